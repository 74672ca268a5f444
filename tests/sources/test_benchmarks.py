"""Benchmark files: the published layouts, fields by path, and files that are not what they say."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.config.benchmark_presets import PRESETS
from corpus.errors import InputError
from corpus.sources import benchmarks
from corpus.sources.benchmarks import Example


def read(path: Path, preset: str | None = None, **chosen: Any) -> list[Example]:
    known = benchmarks.layouts(preset, chosen.get("fields"), chosen.get("id"))
    return list(benchmarks.read(str(path), known=known))


def write_lines(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


QUESTION = {"stem": "Which?", "choices": [{"text": "this", "label": "A"}, {"text": "that"}]}
SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "title": "T",
            "paragraphs": [
                {
                    "context": "One context.",
                    "qas": [
                        {"question": "First?", "id": "q1", "answers": [{"text": "One"}]},
                        {"question": "Second?", "id": "q2", "answers": [], "is_impossible": True},
                    ],
                },
                {"context": "Other context.", "qas": [{"question": "Third?", "id": "q3"}]},
            ],
        }
    ],
}
DROP = {
    "nfl_1": {
        "passage": "The passage.",
        "qa_pairs": [
            {"question": "How many?", "answer": {"number": "3", "spans": []}, "query_id": "d1"},
            {"question": "Who?", "answer": {"number": "", "spans": ["X"]}, "query_id": "d2"},
        ],
    },
    "nfl_2": {"passage": "Another.", "qa_pairs": [{"question": "Y?", "query_id": "d3"}]},
}
COQA = {
    "data": [
        {
            "id": "c1",
            "story": "A story.",
            "questions": [{"input_text": "Who?", "turn_id": 1}, {"input_text": "Why?"}],
            "answers": [{"input_text": "She", "span_text": "she did"}, {"input_text": "So"}],
        }
    ]
}
RECORD = {
    "idx": 0,
    "passage": {"text": "News.", "entities": [{"start": 0, "end": 3}]},
    "qas": [{"query": "@placeholder said", "idx": 7, "answers": [{"text": "N"}]}],
}
MULTIRC = {
    "idx": 4,
    "passage": {
        "text": "Paragraph.",
        "questions": [
            {
                "question": "One?",
                "idx": 0,
                "answers": [{"text": "yes", "label": 1}, {"text": "no"}],
            },
            {"question": "Two?", "idx": 1, "answers": [{"text": "maybe", "label": 0}]},
        ],
    },
}


@pytest.mark.parametrize(
    ("preset", "name", "value", "expected"),
    [
        (
            "arc",
            "arc.jsonl",
            {"id": "M_1", "question": QUESTION, "answerKey": "A"},
            [("M_1", "Which?\nthis\nthat")],
        ),
        (
            "arc",
            "arc.jsonl",
            {"id": "M_1", "question": "Which?", "choices": {"text": ["a", "b"], "label": ["A"]}},
            [("M_1", "Which?\na\nb")],
        ),
        (
            "squad",
            "dev-v2.0.json",
            SQUAD,
            [
                ("q1", "One context.\nFirst?"),
                ("q2", "One context.\nSecond?"),
                ("q3", "Other context.\nThird?"),
            ],
        ),
        (
            "drop",
            "drop_dataset_dev.json",
            DROP,
            [
                ("d1", "The passage.\nHow many?"),
                ("d2", "The passage.\nWho?"),
                ("d3", "Another.\nY?"),
            ],
        ),
        ("coqa", "coqa-dev-v1.0.json", COQA, [("c1", "A story.\nWho?\nWhy?\nShe\nSo")]),
        ("record", "val.jsonl", RECORD, [("7", "News.\n@placeholder said")]),
        (
            "multirc",
            "val.jsonl",
            MULTIRC,
            [
                ("val.jsonl:1", "Paragraph.\nOne?\nyes\nno"),
                ("val.jsonl:2", "Paragraph.\nTwo?\nmaybe"),
            ],
        ),
        (
            "race",
            "1.txt",
            {"article": "A.", "questions": ["Q?"], "options": [["a", "b"]], "answers": ["A"]},
            [("1.txt:1", "A.\nQ?\na\nb")],
        ),
        ("triviaqa", "dev.json", {"Data": [{"Question": "Q?", "QuestionId": "t"}]}, [("t", "Q?")]),
        (
            "piqa",
            "valid.jsonl",
            {"goal": "G", "sol1": "a", "sol2": "b"},
            [("valid.jsonl:1", "G\na\nb")],
        ),
        ("gsm8k", "test.jsonl", {"question": "Q", "answer": "A"}, [("test.jsonl:1", "Q\nA")]),
        (
            "hellaswag",
            "val.jsonl",
            {
                "ind": 24,
                "ctx_a": "a",
                "ctx_b": "b",
                "ctx": "a b",
                "endings": ["x", "y"],
                "label": 1,
            },
            [("24", "a b\nx\ny")],
        ),
        (
            "webqs",
            "test.json",
            [{"url": "u", "targetValue": "v", "utterance": "Who?"}],
            [("u", "Who?")],
        ),
    ],
)
def test_preset_reads_the_published_layout(
    tmp_path: Path, preset: str, name: str, value: Any, expected: list[tuple[str, str]]
) -> None:
    path = tmp_path / name
    path.write_text(json.dumps(value, indent=1 if name.endswith(".json") else None) + "\n")
    assert [(example.id, example.text) for example in read(path, preset)] == expected


def test_mmlu_is_read_without_a_head_with_one_and_from_parquet(tmp_path: Path) -> None:
    row = {"question": 'Say "2 +\n2"?', "A": "3", "B": "4", "C": "5", "D": "6", "answer": "B"}
    bare = tmp_path / "algebra_test.csv"
    with bare.open("w", newline="") as file:
        csv.writer(file).writerows([list(row.values())] * 2)
    expected = ['Say "2 +\n2"?\n3\n4\n5\n6'] * 2
    assert [example.text for example in read(bare, "mmlu")] == expected
    headed = tmp_path / "headed.csv"
    with headed.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerows([row] * 2)
    assert [example.text for example in read(headed, "mmlu")] == expected
    table = pa.table(
        {"question": [row["question"]], "choices": [["3", "4", "5", "6"]], "answer": [1]}
    )
    pq.write_table(table, tmp_path / "test.parquet")
    assert [example.text for example in read(tmp_path / "test.parquet", "mmlu")] == expected[:1]


def test_lambada_is_read_as_lines_of_text_and_as_jsonl(tmp_path: Path) -> None:
    (tmp_path / "lambada.txt").write_text("first passage\n\nsecond passage\n")
    assert [e.text for e in read(tmp_path / "lambada.txt", "lambada")] == [
        "first passage",
        "second passage",
    ]
    path = write_lines(tmp_path / "lambada.jsonl", [{"text": "first passage"}])
    assert read(path, "lambada") == [Example("lambada.jsonl:1", "first passage")]


def test_fields_by_path_and_an_id_of_ones_own(tmp_path: Path) -> None:
    rows = [{"q": {"text": "one", "x.y": "two"}, "key": 5, "n": None, "source": "not this"}]
    path = tmp_path / "own.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(rows[0]).encode()))
    assert read(path, fields=["q.text", "q.x.y", "n"], id="key") == [Example("5", "one\ntwo")]
    [every] = read(path)
    assert every.text == "one\ntwo\nnot this"


def test_parquet_and_tables_have_fields_like_jsonl(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"id": ["a", "b"], "question": ["Q1", None], "options": [["x"], ["y", "z"]]}),
        tmp_path / "q.parquet",
    )
    found = read(tmp_path / "q.parquet", fields=["question", "options"], id="id")
    assert found == [Example("a", "Q1\nx"), Example("b", "y\nz")]
    (tmp_path / "q.tsv").write_text("id\tquestion\na\tQ1\n")
    assert read(tmp_path / "q.tsv", fields=["question"], id="id") == [Example("a", "Q1")]


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet"])
def test_file_without_the_named_field_is_refused_with_the_fields_that_it_has(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / f"bench.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table({"prompt": ["p"], "target": ["t"]}), path)
    elif kind == "csv":
        path.write_text("prompt,target\np,t\n")
    else:
        value = {"prompt": "p", "target": "t"}
        path.write_text(json.dumps([value] if kind == "json" else value))
    for chosen in ({"fields": ["question"]}, {"preset": "gsm8k"}):
        with pytest.raises(InputError, match="no field 'question'") as caught:
            read(path, **chosen)
        assert "It has: prompt, target" in str(caught.value)
        assert str(caught.value.where).startswith(str(path))


def test_later_item_without_the_field_is_refused_with_its_line(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "b.jsonl", [{"q": "one"}, {"question": "two"}])
    with pytest.raises(InputError, match="no field 'q'") as caught:
        read(path, fields=["q"])
    assert caught.value.where == f"{path}:2"


def test_plain_text_with_fields_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "questions"  # JSONL without its suffix
    path.write_text('{"goal": "g", "sol1": "a", "sol2": "b"}\n')
    with pytest.raises(InputError, match="a line of plain text has no fields"):
        read(path, "piqa")
    with pytest.raises(InputError, match="a line of plain text has no fields"):
        read(path, fields=["goal"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"q": "one"}\n{"q": "tw', "the line is not JSON"),
        ("a.json", b'[{"q": "one"}, ', "the line is not JSON"),
        ("a.jsonl", b"[" * 100_000, "the line is not JSON"),
        (
            "a.jsonl.gz",
            gzip.compress(b'{"q": "one"}\n' * 999)[:-20],
            "the benchmark file is damaged",
        ),
        ("a.parquet", b"PAR1 and no more", "the benchmark file is damaged"),
        ("a.csv", b'q,a\n"one,two\n', "cannot be read as CSV"),
        ("a.csv", b"q,a\none,two,three\n", "the row has 3 columns, not 2"),
        ("a.jsonl", b"", "no benchmark text"),
        ("a.jsonl", b'{"q": " "}\n{"q": 7}\n', "no benchmark text"),
        ("a.txt", b"\n\n", "no benchmark text"),
        ("a.csv", b"q,a\n", "no benchmark text"),
    ],
)
def test_file_that_is_not_what_it_says_is_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value.where)


def test_every_preset_names_fields_and_none_twice() -> None:
    for name, known in PRESETS.items():
        for layout in known:
            assert layout.is_text or layout.fields, name
            assert len(set(layout.fields or ())) == len(layout.fields or ())
            if layout.columns:
                assert set(layout.fields or ()) <= set(layout.columns)


@pytest.mark.real
@pytest.mark.parametrize(
    ("preset", "file", "examples"),
    [
        ("lambada", "lambada_test", 5153),
        ("gsm8k", "gsm8k_test", 1319),
        ("piqa", "piqa_valid", 1838),
        ("humaneval", "humaneval", 164),
        ("copa", "copa_dev", 500),
    ],
)
def test_preset_reads_the_real_file(real_data: Path, preset: str, file: str, examples: int) -> None:
    found = read(real_data / "benchmarks" / f"{file}.jsonl.zst", preset)
    assert len(found) == examples
    assert len({example.id for example in found}) == examples

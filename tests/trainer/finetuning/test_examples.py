"""Lines to examples: fields, labels and answers as the public sets have them, and what is wrong."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard

from corpus.errors import InputError
from corpus.trainer.finetuning.config import TaskConfig
from corpus.trainer.finetuning.examples import Example, Examples, label_names, read, targets
from tests.trainer.finetuning.conftest import write_lines

PAIR = {"first": "premise", "second": "hypothesis", "label": "gold_label"}
CHOICE = {"question": "question", "choices": "choices.text", "answer": "answerKey"}


def task(kind: str, fields: dict[str, Any], **changes: Any) -> TaskConfig:
    settings = {"kind": kind, "train": "", "validation": "", "fields": fields}
    return TaskConfig.model_validate(settings | changes)


def examples(folder: Path, wanted: TaskConfig, *rows: dict[str, Any]) -> tuple[Example, ...]:
    return read(wanted, write_lines(folder / "a.jsonl", list(rows))).examples


def test_texts_and_labels_are_found_at_their_paths(tmp_path: Path) -> None:
    fields = {"text": "data.body", "label": "meta.label"}
    rows = [{"data": {"body": f"t{n}"}, "meta": {"label": n}} for n in (3, "x", True)]

    found = examples(tmp_path, task("classification", fields), *rows)

    assert [(one.texts, one.label) for one in found] == [
        (("t3",), "3"),
        (("tx",), "x"),
        (("tTrue",), "true"),
    ]
    assert found[1].where == f"{tmp_path}/a.jsonl:2"


@pytest.mark.parametrize(
    ("changes", "row", "answer"),
    [
        ({}, {"answerKey": 1}, 1),
        ({}, {"answerKey": "2"}, 2),
        ({"answers": "number"}, {"answerKey": 1}, 0),
        ({"answers": "letter"}, {"answerKey": "c"}, 2),
        ({"answers": "text"}, {"answerKey": "two "}, 1),
        ({"answers": "key"}, {"answerKey": "B"}, 1),
    ],
)
def test_answers_are_read_in_every_form(
    tmp_path: Path, changes: dict[str, Any], row: dict[str, Any], answer: int
) -> None:
    fields = CHOICE | ({"keys": "choices.label"} if changes.get("answers") == "key" else {})
    choices = {"text": ["one", "two", "three"], "label": ["A", "B", "C"]}

    wanted = task("multiple_choice", fields, **changes)
    (found,) = examples(tmp_path, wanted, {"question": "q", "choices": choices, **row})

    assert found.texts == ("", "q")
    assert found.choices == ("one", "two", "three")
    assert found.label == answer


def test_choices_may_be_objects_of_a_list_or_fields_of_their_own(tmp_path: Path) -> None:
    objects = {"choices": [{"text": "one"}, {"text": "two"}], "question": "q", "answerKey": 0}
    (a,) = examples(tmp_path, task("multiple_choice", CHOICE), objects)
    fields = {"context": "goal", "choices": ["sol1", "sol2"], "answer": "label"}
    single = {"goal": "g", "sol1": "one", "sol2": "two", "label": 1}
    (b,) = examples(tmp_path, task("multiple_choice", fields), single)

    assert (a.choices, a.label) == (("one", "two"), 0)
    assert (b.choices, b.label, b.texts) == (("one", "two"), 1, ("g", ""))


def test_questions_may_have_different_numbers_of_choices(tmp_path: Path) -> None:
    rows = [
        {"question": "q", "choices": {"text": ["x"] * n}, "answerKey": n - 1} for n in (2, 5, 3)
    ]
    found = examples(tmp_path, task("multiple_choice", CHOICE), *rows)

    assert [len(one.choices) for one in found] == [2, 5, 3]


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_compressed_files_are_read_like_plain_ones(tmp_path: Path, suffix: str) -> None:
    lines = b'{"t": "a", "l": "0"}\n\n{"t": "b", "l": "1"}'
    packed = {"": lines, ".gz": gzip.compress(lines), ".zst": zstandard.compress(lines)}[suffix]
    (tmp_path / f"a.jsonl{suffix}").write_bytes(packed)

    found = read(task("classification", {"text": "t", "label": "l"}), f"{tmp_path}/a*").examples

    assert [(one.texts[0], one.where.rpartition(":")[2]) for one in found] == [
        ("a", "1"),
        ("b", "3"),
    ]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_file_that_was_cut_off_is_named(tmp_path: Path, suffix: str) -> None:
    lines = b"".join(
        b'{"t": "%d", "l": "0"}\n' % n for n in np.random.default_rng(1).integers(9**9, size=999)
    )
    packed = (gzip if suffix == ".gz" else zstandard).compress(lines)
    (tmp_path / f"a{suffix}").write_bytes(packed[: len(packed) // 2])

    with pytest.raises(InputError, match="the file is damaged"):
        read(task("classification", {"text": "t", "label": "l"}), f"{tmp_path}/a{suffix}")


@pytest.mark.parametrize(
    ("wanted", "row", "message"),
    [
        (task("entailment", PAIR), {"premise": "p", "gold_label": "x"}, "no field 'hypothesis'"),
        (task("entailment", PAIR), {"premise": "p", "hypothesis": "h"}, "no field 'gold_label'"),
        (
            task("entailment", PAIR),
            {"premise": 3, "hypothesis": "h"},
            "'premise' is not a text but",
        ),
        (
            task("entailment", PAIR),
            {"premise": "p", "hypothesis": "h", "gold_label": 0.5},
            "not a label .* but float",
        ),
        (
            task("similarity", PAIR, target="score"),
            {"premise": "p", "hypothesis": "h", "gold_label": "high"},
            "not a number but str",
        ),
        (task("multiple_choice", CHOICE), {"question": "q"}, "no field 'choices.text'"),
        (
            task("multiple_choice", CHOICE),
            {"question": "q", "choices": {"text": ["a"]}, "answerKey": 0},
            "a question with 1 choices",
        ),
        (
            task("multiple_choice", CHOICE),
            {"question": "q", "choices": {"text": ["a", "b"]}, "answerKey": 2},
            "the answer '2' is none of the choices",
        ),
        (
            task("multiple_choice", CHOICE | {"keys": "choices.label"}, answers="key"),
            {"question": "q", "choices": {"text": ["a", "b"], "label": ["A"]}, "answerKey": "A"},
            "not a key of each choice",
        ),
    ],
)
def test_what_is_wrong_in_a_line_is_named_by_file_and_line(
    tmp_path: Path, wanted: TaskConfig, row: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        examples(tmp_path, wanted, row)
    assert caught.value.where == f"{tmp_path}/a.jsonl:1"


@pytest.mark.parametrize(("line", "message"), [("{", "not JSON"), ("[1]", "not a JSON object")])
def test_a_line_that_is_no_object_is_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"t": "a", "l": "x"}}\n{line}\n')
    with pytest.raises(InputError, match=message) as caught:
        read(task("classification", {"text": "t", "label": "l"}), f"{tmp_path}/a.jsonl")
    assert caught.value.where == f"{tmp_path}/a.jsonl:2"


def test_files_that_are_not_there_and_files_without_examples_are_named(tmp_path: Path) -> None:
    wanted = task("classification", {"text": "t", "label": "l"})
    with pytest.raises(InputError, match="no file of the task matches"):
        read(wanted, f"{tmp_path}/none*.jsonl")
    with pytest.raises(InputError, match="no example"):
        examples(tmp_path, wanted)


def test_ignored_labels_are_counted_and_not_among_the_classes(tmp_path: Path) -> None:
    wanted = task("entailment", PAIR, ignore_labels=["-"])
    path = write_lines(
        tmp_path / "a.jsonl",
        [{"premise": "p", "hypothesis": "h", "gold_label": label} for label in "b-a-b"],
    )

    found = read(wanted, path)

    assert (len(found.examples), found.ignored) == (3, 2)
    assert label_names(wanted, found) == ["a", "b"]
    assert targets(wanted, found, ["a", "b"]).tolist() == [1, 0, 1]


def test_an_unknown_label_in_validation_is_named_by_its_line() -> None:
    wanted = task("classification", {"text": "t", "label": "l"})
    split = Examples((Example("v:1", ("x",), (), "a"), Example("v:2", ("x",), (), "c")), 0)

    with pytest.raises(InputError, match="the label 'c' is unknown") as caught:
        targets(wanted, split, ["a", "b"])
    assert caught.value.where == "v:2"


def test_training_examples_of_one_class_are_refused() -> None:
    wanted = task("classification", {"text": "t", "label": "l"})
    with pytest.raises(InputError, match="every training example has the label 'a'"):
        label_names(wanted, Examples((Example("t:1", ("x",), (), "a"),), 0))
    given = task("classification", {"text": "t", "label": "l"}, labels=["b", "a"])
    assert label_names(given, Examples((Example("t:1", ("x",), (), "a"),), 0)) == ["b", "a"]


def test_without_labels_none_is_looked_at(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [{"premise": "p", "hypothesis": "h"}])

    (found,) = read(task("entailment", PAIR), path, labelled=False).examples

    assert found.label is None

"""The evaluation side of Appendix C: which examples are clean, against a plain search."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import zstandard
from typer.testing import CliRunner

from corpus import clean, tables
from corpus.build import Build, read_build
from corpus.cli import app
from corpus.errors import InputError
from corpus.look import overlap
from corpus.manifest import Manifest, with_digest
from corpus.text.contamination import gram_size
from corpus.text.cut_texts import apply_cuts
from tests.made import ENGINE, Recording, by_id, make_recipe, run, text, write_jsonl
from tests.plain_decontamination import grams, plain_words


def item(name: str, words: int) -> str:
    return " ".join(f"{name}{number}" for number in range(words))


def built(
    folder: Path,
    documents: Mapping[str, str],
    benchmarks: Mapping[str, Sequence[Mapping[str, Any]]],
    **chosen: Any,
) -> Build:
    source = write_jsonl(
        folder / "s.jsonl", [{"id": id, "text": own} for id, own in documents.items()]
    )
    given = {
        name: {
            "paths": str(write_jsonl(folder / f"{name}.jsonl", rows)),
            "fields": ["q"],
            "id": "key",
        }
        for name, rows in benchmarks.items()
    }
    recipe = make_recipe(
        {"s": {"documents": str(source)}}, decontaminate={"benchmarks": given, **chosen}
    )
    return run(recipe, folder / "out")


def evaluated(build: Build, progress: Recording | None = None) -> Manifest:
    return overlap.evaluate(build, ENGINE, progress or Recording())


def rows(manifest: Manifest) -> dict[str, dict[str, Any]]:
    return {row["benchmark"]: row for row in manifest.shards[0].details["benchmarks"]}


def listed(manifest: Manifest, benchmark: str, name: str) -> list[str]:
    path = Path(manifest.folder) / f"{rows(manifest)[benchmark]['files']}.{name}.txt"
    return path.read_text().splitlines()


def around(middle: str, seed: str) -> str:
    return f"{text(f'b {seed}', 120)} {middle} {text(f'a {seed}', 120)}"


def test_examples_are_dirty_before_cutting_and_clean_after(tmp_path: Path) -> None:
    quiz = [{"q": item(f"e{n}x", 20), "key": f"id {n}"} for n in range(6)]
    documents = {"a": around(quiz[0]["q"].upper(), "a"), "b": around(quiz[3]["q"], "b")}
    manifest = evaluated(built(tmp_path, documents, {"quiz": quiz}))
    row = rows(manifest)["quiz"]
    assert (row["n"], row["examples"], row["short"], row["empty"]) == (13, 6, 0, 0)
    assert row["before"] == {"dirty": 2, "clean": 4, "clean_percent": 66.67}
    assert row["after"] == {"dirty": 0, "clean": 6, "clean_percent": 100.0}
    assert listed(manifest, "quiz", "clean") == [f"id {n}" for n in range(6)]
    assert listed(manifest, "quiz", "dirty") == []


def test_what_is_common_or_under_thirteen_words_is_left_and_dirty(tmp_path: Path) -> None:
    everywhere, short = item("common", 15), item("short", 9)
    quiz = [{"q": everywhere, "key": "c"}, {"q": item("rare", 15), "key": "r"}]
    trivia = [
        {"q": short, "key": "s"},
        *({"q": item(f"t{n}x", 9), "key": f"t{n}"} for n in range(3)),
    ]
    documents = {f"d{n}": around(everywhere, str(n)) for n in range(11)}
    documents["rare"] = around(quiz[1]["q"], "rare")
    documents["short"] = around(short, "short")
    manifest = evaluated(built(tmp_path, documents, {"quiz": quiz, "trivia": trivia}))
    assert rows(manifest)["trivia"]["n"] == 9
    assert listed(manifest, "quiz", "dirty") == ["c"]
    assert listed(manifest, "quiz", "clean") == ["r"]
    assert listed(manifest, "trivia", "dirty") == ["s"]
    assert rows(manifest)["quiz"]["before"]["dirty"] == 2
    first = manifest.shards[0].details["grams"][0]
    assert (first["before"], first["after"], first["words"]) == (11, 11, 13)
    assert first["ignored"] is True
    assert first["text"] in everywhere
    rare = [gram for gram in rows(manifest)["quiz"]["grams"] if gram["text"].startswith("rare")]
    assert [(gram["before"], gram["after"], gram["ignored"]) for gram in rare] == [
        (1, 0, False)
    ] * 3


def test_example_of_fewer_words_than_n_is_dirty_when_all_of_it_occurs(tmp_path: Path) -> None:
    quiz = [{"q": item(f"long{n}x", 30), "key": f"l{n}"} for n in range(30)]
    quiz += [{"q": "Seldom seen!", "key": "whole"}, {"q": "seldom heard", "key": "half"}]
    quiz += [{"q": "—", "key": "empty"}]
    documents = {"d": around("It is seldom seen.", "d")}
    manifest = evaluated(built(tmp_path, documents, {"quiz": quiz}))
    row = rows(manifest)["quiz"]
    assert (row["n"], row["short"], row["empty"]) == (8, 3, 1)
    assert listed(manifest, "quiz", "dirty") == ["whole"]
    assert {"half", "empty"} <= set(listed(manifest, "quiz", "clean"))


def plain_dirty(texts: Sequence[str], examples: Sequence[str], size: int) -> list[bool]:
    """Return which examples share a gram with any text, by sets of tuples."""
    lengths = [min(len(plain_words(example)), size) for example in examples]
    found = {n: {g for t in texts for g, _, _ in grams(t, n)} for n in set(lengths) if n}
    return [
        bool(n) and any(gram in found[n] for gram, _, _ in grams(example, n))
        for example, n in zip(examples, lengths, strict=True)
    ]


def assert_plain(build: Build, examples: Mapping[str, Sequence[str]]) -> Manifest:
    """Compare every example with the plain search, before and after cutting."""
    manifest = evaluated(build)
    verdicts = by_id(build.stage("decontaminate"))
    documents = by_id(build.stage("extract"), "documents")
    before = [documents[id]["text"] for id, v in verdicts.items() if v["kept"] is not None]
    after = [
        apply_cuts(documents[id]["text"], v["cuts"]) for id, v in verdicts.items() if v["kept"]
    ]
    made = {o.path: o for o in manifest.shards[0].outputs}
    for name, own in examples.items():
        size = gram_size([len(plain_words(example)) for example in own])
        row = rows(manifest)[name]
        assert row["n"] == size
        table = pq.read_table(manifest.path(made[f"{row['files']}.parquet"]))
        assert table["dirty_before"].to_pylist() == plain_dirty(before, own, size)
        assert table["dirty"].to_pylist() == plain_dirty(after, own, size)
        assert row["before"]["dirty"] == sum(table["dirty_before"].to_pylist())
        assert row["after"]["clean"] == len(own) - sum(table["dirty"].to_pylist())
    return manifest


def test_evaluation_agrees_with_the_plain_search_on_generated_text(tmp_path: Path) -> None:
    draw = random.Random(8)
    words = ["the", "of", "naïve,", "漢字", "—", "Big", "small", "red", "x-y"]
    examples = {
        name: [" ".join(draw.choices(words, k=draw.randint(least, 24))) for _ in range(60)]
        for name, least in (("long", 13), ("middle", 9), ("short", 1))
    }
    every = [example for own in examples.values() for example in own]
    documents = {}
    for number in range(80):
        parts = draw.choices([*every, *(text(f"{number} {i}", 90) for i in range(40))], k=9)
        documents[str(number)] = "\n".join(parts)
    benchmarks = {
        name: [{"q": q, "key": i} for i, q in enumerate(own)] for name, own in examples.items()
    }
    manifest = assert_plain(built(tmp_path, documents, benchmarks, max_documents=3), examples)
    for row in rows(manifest).values():
        assert row["before"]["dirty"] > row["after"]["dirty"] > 0


@pytest.mark.real
def test_evaluation_agrees_with_the_plain_search_on_real_text(
    real_data: Path, tmp_path: Path
) -> None:
    def read(name: str) -> list[dict[str, Any]]:
        with (real_data / name).open("rb") as raw:
            stream = zstandard.ZstdDecompressor().stream_reader(raw)
            return [json.loads(line) for line in io.TextIOWrapper(stream, "utf-8")]

    books = [row["text"] for row in read("books/books.jsonl.zst")][:6]
    examples = {
        "lambada": [row["text"] for row in read("benchmarks/lambada_test.jsonl.zst")][:120],
        "copa": [row["premise"] for row in read("benchmarks/copa_dev.jsonl.zst")][:120],
        "books": [
            " ".join(book.split()[at : at + 9 + at % 7])
            for book in books
            for at in range(50, 99, 9)
        ],
    }
    draw = random.Random(4)
    documents = {
        str(n): f"{book[:20_000]}\n{draw.choice(examples['lambada'])}\n{book[20_000:60_000]}"
        for n, book in enumerate(books)
    }
    benchmarks = {
        name: [{"q": q, "key": i} for i, q in enumerate(own)] for name, own in examples.items()
    }
    manifest = assert_plain(built(tmp_path, documents, benchmarks), examples)
    assert rows(manifest)["lambada"]["before"]["dirty"] >= 4
    assert rows(manifest)["lambada"]["after"]["dirty"] == 0


def test_evaluation_is_kept_and_made_again_only_where_the_corpus_changed(tmp_path: Path) -> None:
    quiz = [{"q": item(f"e{n}x", 20), "key": n} for n in range(3)]
    documents = {"a": around(quiz[0]["q"], "a")}
    build = built(tmp_path, documents, {"quiz": quiz})
    progress = Recording()
    first = evaluated(build, progress)
    assert progress.made == {"overlap": 1, "evaluation": 1}
    again = Recording()
    assert evaluated(build, again).fingerprint == first.fingerprint
    assert again.made == {}
    found = {f.name.split("-")[0]: f.state for f in clean.folders(read_build(build.output))}
    assert {found[name] for name in ("overlap", "evaluation", "grams", "benchmarks")} == {"used"}
    other = built(tmp_path, documents, {"quiz": quiz}, window=0)
    states = {f.name: f.state for f in clean.folders(read_build(other.output))}
    assert states[Path(first.folder).name] == "unused"
    assert evaluated(other).folder != first.folder


def test_report_is_a_table_and_json_of_the_same(tmp_path: Path) -> None:
    quiz = [{"q": item("e\x1b[31m", 15), "key": "one"}]
    documents = {f"d{n}": around(quiz[0]["q"], str(n)) for n in range(11)}
    manifest = evaluated(built(tmp_path, documents, {"quiz": quiz}))
    out = io.StringIO()
    tables.show(overlap.describe(manifest), out)
    shown = out.getvalue()
    assert "\x1b" not in shown
    assert ["quiz", "13", "1", "0", "1", "0.0%", "1", "0.0%"] in [
        line.split() for line in shown.splitlines()
    ]
    assert "common, left" in shown
    facts = json.loads(json.dumps(overlap.report(manifest)))
    assert facts["benchmarks"][0]["after"] == {"dirty": 1, "clean": 0, "clean_percent": 0.0}
    assert facts["folder"] == manifest.folder


def test_stage_of_an_older_version_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    build = built(tmp_path, {"a": text(1)}, {"quiz": [{"q": item("e", 20), "key": 1}]})
    path = Path(build.stage("decontaminate").folder) / "manifest.json"
    value = json.loads(path.read_text())
    value["summary"]["uses"] = []
    path.write_text(json.dumps(with_digest(value)))
    with pytest.raises(InputError, match="not recorded which benchmarks"):
        evaluated(read_build(build.output))


def test_verb_builds_what_it_needs_and_prints_the_table_or_json(tmp_path: Path) -> None:
    example = item("e", 20)
    write_jsonl(tmp_path / "s.jsonl", [{"id": "a", "text": around(example, "a")}])
    write_jsonl(tmp_path / "quiz.jsonl", [{"question": example, "answer": "42"}])
    (tmp_path / "mix.yaml").write_text(
        "name: made\nseed: 1\nsources: {s: {documents: s.jsonl}}\n"
        "decontaminate: {benchmarks: {quiz: {preset: gsm8k, paths: quiz.jsonl}}}\n"
    )
    arguments = ["decontaminate", "--report", "--engine", "local", "--workers", "0"]
    arguments += ["--config", str(tmp_path / "mix.yaml"), "--output", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "quiz" in result.output
    result = CliRunner().invoke(app, [*arguments, "--json"])
    facts = json.loads(result.stdout)
    assert facts["benchmarks"][0]["before"]["dirty"] == 1
    assert facts["benchmarks"][0]["after"]["dirty"] == 0

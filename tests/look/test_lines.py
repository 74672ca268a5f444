"""Cut lines behind dedup: decontaminated, tokenised, exported, told and checked."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.build import Build, describe, read_build
from corpus.export.documents import kept_documents
from corpus.look import check, explain, inspect, overlap
from corpus.manifest import with_digest
from corpus.parts import parts
from corpus.text import tokenizer
from corpus.text.cut_texts import apply_cuts, in_whole_text, merged
from corpus.tokenize.shards import TokenShard
from tests.look.test_check import rewrite
from tests.made import ENGINE, by_id, make_recipe, run, text, write_jsonl

HEAD = "Home | News | Contact"
NOTICE = "All rights reserved — ask us first!"
ITEM = [f"item{n}" for n in range(16)]
BEFORE = f"{text('a', 90)} {'é ' * 40}"  # in another place its windows would be of other bytes
TEXTS = {
    "first": f"{HEAD}\n{text('first', 400)}\n{NOTICE}",
    # The item is in a row only where the notice between its halves is cut.
    "split": f"{HEAD}\n{BEFORE}\n{' '.join(ITEM[:8])}\n{NOTICE}\n{' '.join(ITEM[8:])}\n"
    f"{text('b', 100)}\n",
    "quote": f"{text('c', 95)} {' '.join(ITEM)} {text('d', 99)}\r\n{HEAD}\n{text('e', 20)}",
    "plain": f"{text('f', 100)}\n{NOTICE}",
    "short": f"{HEAD}\nfew words",
}
TEXTS["twin"] = TEXTS["first"]
GONE = {"short", "twin"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return a finished build of these texts, for reading."""
    folder = tmp_path_factory.mktemp("lines")
    rows = [{"id": id, "url": f"https://{id}.example/", "text": one} for id, one in TEXTS.items()]
    source = {"documents": str(write_jsonl(folder / "a.jsonl", rows)), "weight": 1}
    quiz = write_jsonl(folder / "quiz.jsonl", [{"question": " ".join(ITEM)}])
    recipe = make_recipe(
        {"a": source},
        dedup={"lines": {"minimum_left": 50}},
        decontaminate={"benchmarks": {"quiz": str(quiz)}},
        tokenize={},
    )
    return run(recipe, folder / "out")


def left(build: Build, id: str) -> str:
    return apply_cuts(TEXTS[id], by_id(build.stage("decontaminate"))[id]["cuts"])


def test_what_is_left_has_neither_the_lines_nor_the_item(made: Build) -> None:
    verdicts = by_id(made.stage("decontaminate"))
    assert {id for id, one in verdicts.items() if one["kept"]} == {*TEXTS} - GONE
    assert left(made, "first") == TEXTS["first"]
    assert left(made, "plain") == text("f", 100)
    # 200 characters on both sides of the item, counted without the notice between its halves.
    before, after = f"{BEFORE}\n", f"\n{text('b', 100)}\n"
    assert left(made, "split") == f"{before[:-200]}\n\n{after[200:]}"
    quote = TEXTS["quote"].replace(f"{HEAD}\n", "")
    begin = quote.index("item0")
    end = begin + len(" ".join(ITEM))
    assert left(made, "quote") == f"{quote[: begin - 200]}\n\n{quote[end + 200 :]}"


def test_cuts_of_benchmarks_stand_by_themselves_and_among_all(made: Build) -> None:
    verdicts, dedup = by_id(made.stage("decontaminate")), by_id(made.stage("dedup"))
    for id in ("first", "split", "quote", "plain"):
        own = verdicts[id]["benchmark_cuts"]
        assert bool(own) == (id in ("split", "quote"))
        assert verdicts[id]["cuts"] == merged(dedup[id]["cuts"], own)
    assert verdicts["short"]["cuts"] == []
    assert made.stage("decontaminate").measure("cuts") == 2


def test_tokens_and_exported_documents_are_what_is_left(made: Build) -> None:
    stage = made.stage("tokenize")
    [shard] = stage.shards
    encoder = tokenizer.load("gpt2")
    tokens = TokenShard(stage.path(shard.output("training_bin")).removesuffix(".bin"))
    ends = np.flatnonzero(tokens.tokens == encoder.end_of_text)
    pieces = np.split(tokens.tokens, ends + 1)[:-1]
    texts = [encoder.decode(piece[:-1]) for piece in pieces]
    wanted = [left(made, id) for id in TEXTS if id not in GONE]
    assert texts == wanted
    found = parts(made.stage("extract"), made.stage("decontaminate"))
    exported = [one for part in found for batch in kept_documents(part) for one in batch["text"]]
    assert [one.as_py() for one in exported] == wanted


def test_documents_are_exported_and_tokenised_without_their_lines_right_behind_dedup(
    tmp_path: Path,
) -> None:
    rows = [{"id": id, "text": one} for id, one in TEXTS.items()]
    source = str(write_jsonl(tmp_path / "a.jsonl", rows))
    build = run(make_recipe({"a": source}, dedup={"lines": {}}, tokenize={}), tmp_path / "out")
    verdicts = by_id(build.stage("dedup"))
    wanted = [apply_cuts(TEXTS[id], one["cuts"]) for id, one in verdicts.items() if one["kept"]]
    assert wanted != [TEXTS[id] for id, one in verdicts.items() if one["kept"]]
    found = parts(build.stage("extract"), build.stage("dedup"))
    exported = [one for part in found for batch in kept_documents(part) for one in batch["text"]]
    assert [one.as_py() for one in exported] == wanted
    assert build.stage("tokenize").measure("text_bytes") == sum(len(w.encode()) for w in wanted)
    assert check.check(build, full=True, say=lambda line: None).problems == ()


def test_overlap_counts_what_reached_decontaminate_and_what_is_left(made: Build) -> None:
    from tests.made import Recording

    report = overlap.report(overlap.evaluate(made, ENGINE, Recording()))
    [quiz] = report["benchmarks"]
    assert (quiz["before"]["dirty"], quiz["after"]["dirty"]) == (1, 0)
    assert {gram["before"] for gram in report["grams"]} == {2}  # the split item is one, too


def test_explain_names_each_line_with_its_keeper(made: Build) -> None:
    [story] = explain.explain(made, "split").stories
    assert [(one.removed, one.keeper.id, one.keeper.url) for one in story.lines] == [
        (HEAD, "first", "https://first.example/"),
        (NOTICE, "first", "https://first.example/"),
    ]
    assert len(story.cuts) == 1
    told = "\n".join(map(str, explain.describe(explain.explain(made, "split"))))
    assert "kept, 2 lines cut" in told
    assert "bytes 0 to 21 are cut, a line of first  a  https://first.example/" in told
    assert "shares text with quiz" in told
    gone = "\n".join(map(str, explain.describe(explain.explain(made, "short"))))
    assert "dropped: duplicate_lines, 1 lines cut" in gone


def test_inspect_and_the_line_of_the_stage_say_what_was_cut(made: Build) -> None:
    look = inspect.inspect(
        made,
        stage="dedup",
        dropped=True,
        reason="duplicate_lines",
        source=None,
        number=5,
        sample=None,
    )
    told = "\n".join(map(str, inspect.describe(look)))
    assert "duplicate_lines" in told
    assert "lines 0-21" in told
    assert describe(made.stage("dedup")) == (
        "dedup: 6 documents in, 4 kept, duplicate_lines 1, exact_duplicate 1; "
        "5 lines of 4 documents, 142 bytes, cut"
    )


Row = dict[str, Any]


def tampered(build: Build, folder: Path, change: Callable[[Row], None]) -> list[str]:
    """Change the verdict of dedup about `split` in a copy, signed anew; return the problems."""
    output = Path(shutil.copytree(build.output, folder / "output"))
    [path] = output.glob("dedup-*/a/*.parquet")

    def changed(table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        for row in rows:
            if row["id"] == "split":
                change(row)
        return pa.Table.from_pylist(rows, table.schema)

    rewrite(path, changed)
    checkup = check.check(read_build(str(output)), full=True, say=lambda line: None)
    return [problem.what for problem in checkup.problems]


def test_check_of_the_build_finds_nothing(made: Build) -> None:
    checkup = check.check(made, full=True, say=lambda line: None)
    assert checkup.problems == ()
    assert checkup.checked["lines cut"] == 5


def _other_keeper(row: Row) -> None:
    row["lines"][0]["keeper"] = "plain"


def _itself(row: Row) -> None:
    row["lines"][0]["keeper"] = "split"


def _dropped_keeper(row: Row) -> None:
    row["lines"][0]["keeper"] = "short"


def _duplicate(row: Row) -> None:
    row["lines"][0]["keeper"] = "twin"


def _other_line(row: Row) -> None:
    row["lines"][0]["start"] += 1


def _outside(row: Row) -> None:
    row["lines"][1] |= {"start": 10**9, "end": 10**9 + 5}


def _other_hash(row: Row) -> None:
    row["lines"][0]["hash"] ^= 1


def _other_cut(row: Row) -> None:
    row["cuts"][0]["end"] += 1


def _one_more(row: Row) -> None:
    row["cuts"].append({"start": 10**6, "end": 10**6 + 9})


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (_other_keeper, "a line was cut for plain, which does not keep it"),
        (_itself, "a line was cut for split, which does not keep it"),
        (_dropped_keeper, "a line was cut for short, which does not keep it"),
        (_duplicate, "a line was cut for twin, which does not keep it"),
        (_other_line, "a line that was cut out of split is none of its lines"),
        (_outside, "a line that was cut out of split is none of its lines"),
        (_other_hash, "a line that was cut out of split is none of its lines"),
        (_other_cut, "other bytes are cut than the lines that it names"),
        (_one_more, "other bytes are cut than the lines that it names"),
    ],
)
def test_check_finds_a_tampered_cut(
    made: Build, tmp_path: Path, change: Callable[[Row], None], what: str
) -> None:
    assert any(what in problem for problem in tampered(made, tmp_path, change))


def test_check_finds_lines_that_decontaminate_does_not_leave_out(
    made: Build, tmp_path: Path
) -> None:
    output = Path(shutil.copytree(made.output, tmp_path / "output"))
    [path] = output.glob("decontaminate-*/a/*.parquet")
    rewrite(
        path,
        lambda table: pa.Table.from_pylist(
            [row | {"cuts": row["benchmark_cuts"]} for row in table.to_pylist()], table.schema
        ),
    )
    checkup = check.check(read_build(str(output)), full=True, say=lambda line: None)
    wanted = "what dedup cut out of split is not cut here"
    assert wanted in [problem.what for problem in checkup.problems]


LINES = st.lists(st.sampled_from(["", "a", "bb", "ccc", "é"]), max_size=12)


@given(LINES, st.lists(st.booleans(), min_size=12, max_size=12), st.data())
def test_cuts_of_what_other_cuts_left_are_those_of_the_whole(
    lines: list[str], flags: list[bool], data: st.DataObject
) -> None:
    whole = "".join(f"{line}\n" for line in lines)
    before, at = [], 0
    for line, gone in zip(lines, flags, strict=False):
        end = at + len(line.encode()) + 1
        if gone:
            before.append({"start": at, "end": end})
        at = end
    before = merged(before, [])
    rest = apply_cuts(whole, before)
    places = [len(rest[:n].encode()) for n in range(len(rest) + 1)]
    ends = sorted(data.draw(st.sets(st.sampled_from(places), max_size=4)))
    later = [{"start": a, "end": b} for a, b in zip(ends[::2], ends[1::2], strict=False) if a < b]
    found = in_whole_text(before, later)
    assert not {cut["start"] for cut in found} & {cut["start"] for cut in before}
    assert not {cut["end"] for cut in found} & {cut["end"] for cut in before}
    both = merged(before, found)
    assert apply_cuts(whole, both) == apply_cuts(rest, later)
    given_bytes = whole.encode()
    pieces, start = [], 0
    for cut in [*both, {"start": len(given_bytes), "end": len(given_bytes)}]:
        pieces.append(given_bytes[start : cut["start"]])
        start = cut["end"]
    assert sum(map(len, pieces)) == len(rest.encode()) - sum(c["end"] - c["start"] for c in later)


def test_check_compares_the_figures_of_the_manifest_with_the_rows(
    made: Build, tmp_path: Path
) -> None:
    output = Path(shutil.copytree(made.output, tmp_path / "output"))
    [path] = output.glob("dedup-*/manifest.json")
    text = path.read_text().replace('"cut_lines": 5', '"cut_lines": 6')
    path.write_text(json.dumps(with_digest(json.loads(text))))

    checkup = check.check(read_build(str(output)), full=False, say=lambda line: None)

    assert [one.what for one in checkup.problems] == [
        "cut_lines is 5 by its rows, the manifest says 6"
    ]


def test_what_a_document_repeats_that_is_dropped_for_it_needs_no_keeper(tmp_path: Path) -> None:
    rows = [
        {"id": "chant", "text": "the same words\n" * 5000},
        {"id": "other", "text": text("other", 200)},
    ]
    source = {"documents": str(write_jsonl(tmp_path / "a.jsonl", rows))}
    recipe = make_recipe({"a": source}, dedup={"lines": {"minimum_left": 50}, "max_loss": 1})
    build = run(recipe, tmp_path / "out")

    assert by_id(build.stage("dedup"))["chant"]["reason"] == "duplicate_lines"
    checkup = check.check(build, full=True, say=lambda line: None)
    assert checkup.problems == ()
    assert checkup.checked["lines cut"] == 4999
    look = inspect.inspect(
        build, stage="dedup", dropped=True, reason=None, source=None, number=1, sample=None
    )
    told = "\n".join(map(str, inspect.describe(look)))
    assert "cuts 15-75000" in told
    assert "and 4,979 more" in told
    assert len(told) < 2000
    assert look.rows[0].totals == {"lines": 4999}
    assert len(json.dumps(dataclasses.asdict(look))) < 20_000, "and no less for a machine"
    told_in_full = explain.explain(build, "chant")
    [story] = told_in_full.stories
    assert (len(story.lines), story.lines_total, story.text_bytes) == (20, 4999, 75_000)
    assert story.text == rows[0]["text"][:10_000]


def test_explain_holds_a_part_of_cuts_however_many_and_long_they_are(tmp_path: Path) -> None:
    quote = " ".join(ITEM)
    long = " ".join([quote] * 200)
    places = [f"{text(n, 300)} {quote}" for n in range(30)]
    rows = [{"id": "quotes", "text": "\n".join([long, *places])}]
    quiz = write_jsonl(tmp_path / "quiz.jsonl", [{"question": quote}])
    source = {"documents": str(write_jsonl(tmp_path / "a.jsonl", rows))}
    decontaminate = {"benchmarks": {"quiz": str(quiz)}, "max_pieces": 100}
    build = run(make_recipe({"a": source}, decontaminate=decontaminate), tmp_path / "out")

    told = explain.explain(build, "quotes")

    [story] = told.stories
    assert story.cuts_total == len(by_id(build.stage("decontaminate"))["quotes"]["cuts"]) > 20
    assert len(story.cuts) == 20
    first = story.cuts[0]
    assert first.end - first.start > 10_000
    assert first.removed == long[:1000]
    assert f"and {story.cuts_total - 20} places more" in "\n".join(map(str, explain.describe(told)))
    assert len(json.dumps(dataclasses.asdict(told))) < 50_000

"""decontaminate: what is planted is cut, and what everybody says is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from corpus import parts as parts_module
from corpus.build import Build
from corpus.errors import InputError
from corpus.manifest import Counts
from tests.made import Recording, by_id, make_recipe, run, text, write_jsonl

ITEM = " ".join(f"item{i}" for i in range(16))
OTHER = " ".join(f"other{i}" for i in range(13))


def before(seed: str) -> str:
    return text(f"before {seed}", 120)


def after(seed: str) -> str:
    return text(f"after {seed}", 120)


def around(middle: str, seed: str = "") -> str:
    return f"{before(seed)} {middle} {after(seed)}"


def decontaminated(
    folder: Path,
    files: Sequence[Mapping[str, str]],
    benchmarks: Any = None,
    progress: Recording | None = None,
    **settings: Any,
) -> Build:
    """Build; each file is a map of ids to texts."""
    quiz = write_jsonl(folder / "quiz.jsonl", [{"question": ITEM}, {"question": "too short"}])
    paths = [
        str(write_jsonl(folder / f"{i}.jsonl", [{"id": d, "text": t} for d, t in file.items()]))
        for i, file in enumerate(files)
    ]
    chosen = {"benchmarks": benchmarks or {"quiz": str(quiz)}, **settings}
    recipe = make_recipe({"s": {"documents": paths}}, decontaminate=chosen)
    return run(recipe, folder / "out", progress=progress)


def left(original: str, cuts: list[dict[str, int]]) -> list[str]:
    """Return the pieces, by the bytes that the cuts leave."""
    data, pieces, start = original.encode(), [], 0
    for cut in [*cuts, {"start": len(data), "end": len(data)}]:
        pieces.append(data[start : cut["start"]].decode())
        start = cut["end"]
    return pieces


def test_planted_item_is_cut_with_two_hundred_characters_on_each_side(tmp_path: Path) -> None:
    original = around(ITEM)
    build = decontaminated(tmp_path, [{"planted": original, "clean": text(1)}])
    verdicts = by_id(build.stage("decontaminate"))
    assert verdicts["clean"]["cuts"] == []
    assert verdicts["clean"]["benchmarks"] == []
    planted = verdicts["planted"]
    assert (planted["kept"], planted["reason"], planted["benchmarks"]) == (True, None, ["quiz"])
    begin = original.index("item0")
    assert planted["cuts"] == [{"start": begin - 200, "end": begin + len(ITEM) + 200}]
    assert left(original, planted["cuts"]) == [original[: begin - 200], after("")[199:]]
    assert build.stage("decontaminate").measure("cuts") == 1


def test_piece_under_two_hundred_characters_is_cut_away_too(tmp_path: Path) -> None:
    short, long = "x" * 150, "y" * 201
    original = f"{long} {before('')[:198]} {ITEM} {after('')[:198]} {short}"
    verdicts = by_id(decontaminated(tmp_path, [{"d": original}]).stage("decontaminate"))
    assert [piece.strip() for piece in left(original, verdicts["d"]["cuts"])] == [long, ""]


def test_item_is_found_whatever_its_case_and_punctuation_and_in_bytes_of_utf8(
    tmp_path: Path,
) -> None:
    shouted = "«" + ", ".join(ITEM.upper().split()) + "!»"
    original = "é " * 150 + before("") + " " + shouted + " " + after("") + " ß" * 150
    verdict = by_id(decontaminated(tmp_path, [{"d": original}]).stage("decontaminate"))["d"]
    pieces = left(original, verdict["cuts"])
    assert len(pieces) == 2
    assert pieces[0].startswith("é é")
    assert pieces[1].endswith("ß ß")
    assert not any("ITEM" in piece for piece in pieces)


def test_short_of_thirteen_words_nothing_is_cut(tmp_path: Path) -> None:
    twelve = " ".join(ITEM.split()[:12])
    build = decontaminated(tmp_path, [{"d": around(twelve), "e": around("too short")}])
    verdicts = by_id(build.stage("decontaminate"))
    assert verdicts["d"]["cuts"] == verdicts["e"]["cuts"] == []


def test_document_with_nothing_left_and_document_in_too_many_pieces_are_dropped(
    tmp_path: Path,
) -> None:
    many = " ".join(around(ITEM, str(i)) for i in range(11))
    few = " ".join(around(ITEM, str(i)) for i in range(9))
    build = decontaminated(tmp_path, [{"bare": ITEM, "many": many, "few": few}])
    verdicts = by_id(build.stage("decontaminate"))
    assert (verdicts["bare"]["kept"], verdicts["bare"]["reason"]) == (False, "nothing_left")
    assert (verdicts["many"]["kept"], verdicts["many"]["reason"]) == (False, "contaminated")
    assert verdicts["few"]["kept"]
    assert len(verdicts["few"]["cuts"]) == 9
    counts = build.stage("decontaminate").counts()
    assert counts == Counts(3, 1, {"contaminated": 1, "nothing_left": 1})


@pytest.mark.parametrize("files", [1, 3])
def test_gram_in_more_than_ten_documents_is_ignored_however_they_lie_in_files(
    tmp_path: Path, files: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts_module, "BATCH_ROWS", 4)
    bench = write_jsonl(tmp_path / "b.jsonl", [{"q": ITEM}, {"q": OTHER}])
    common = {f"c{i}": around(OTHER, f"c{i}") for i in range(11)}
    rare = {f"r{i}": around(ITEM, f"r{i}") for i in range(10)}
    rare["r9"] += " " + ITEM  # a second time in one document counts once
    every = list({**common, **rare}.items())
    parts = [dict(every[i::files]) for i in range(files)]
    build = decontaminated(tmp_path, parts, {"quiz": str(bench)})
    verdicts = by_id(build.stage("decontaminate"))
    assert all(verdicts[id]["cuts"] == [] for id in common)
    assert all(verdicts[id]["cuts"] for id in rare)
    assert build.stage("decontaminate").summary["grams_ignored"] == 1


def test_bound_on_common_grams_is_that_of_the_recipe(tmp_path: Path) -> None:
    files = [{f"d{i}": around(ITEM, f"{i}") for i in range(3)}]
    for bound, cut in ((3, True), (2, False)):
        build = decontaminated(tmp_path / str(bound), files, max_documents=bound)
        verdicts = by_id(build.stage("decontaminate"))
        assert all(bool(row["cuts"]) is cut for row in verdicts.values())


def test_each_benchmark_that_is_hit_is_named(tmp_path: Path) -> None:
    one = write_jsonl(tmp_path / "one.jsonl", [{"q": ITEM, "id": 1}])
    two = tmp_path / "two.txt"
    two.write_text(f"{OTHER}\n\n{ITEM}\n")
    files = [{"a": around(ITEM), "b": around(OTHER), "c": text(1)}]
    build = decontaminated(tmp_path, files, {"one": str(one), "two": str(two)})
    verdicts = by_id(build.stage("decontaminate"))
    assert verdicts["a"]["benchmarks"] == ["one", "two"]
    assert verdicts["b"]["benchmarks"] == ["two"]
    assert verdicts["c"]["benchmarks"] == []
    summary = build.stage("decontaminate").summary
    assert summary["items"] == {"one": 1, "two": 2}
    pattern = decontaminated(tmp_path / "2", files, [str(one), str(two)])
    assert by_id(pattern.stage("decontaminate"))["a"]["benchmarks"] == ["one", "two"]


def test_items_that_are_too_short_to_be_found_are_counted(tmp_path: Path) -> None:
    summary = decontaminated(tmp_path, [{"d": text(1)}]).stage("decontaminate").summary
    assert summary["too_short"] == {"quiz": 1}
    assert summary["items"] == {"quiz": 2}
    assert summary["grams"] == 4


def test_named_fields_alone_count(tmp_path: Path) -> None:
    bench = write_jsonl(tmp_path / "b.jsonl", [{"question": ITEM, "source": OTHER}])
    given = {"quiz": {"paths": str(bench), "fields": ["question"]}}
    build = decontaminated(tmp_path, [{"a": around(ITEM), "b": around(OTHER)}], given)
    verdicts = by_id(build.stage("decontaminate"))
    assert verdicts["a"]["cuts"]
    assert not verdicts["b"]["cuts"]


def test_benchmark_that_is_not_there_is_an_input_error_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no benchmark file matches") as caught:
        decontaminated(tmp_path, [{"d": text(1)}], {"quiz": f"{tmp_path}/none-*.jsonl"})
    assert "decontaminate.benchmarks.quiz" in str(caught.value)
    assert caught.value.where == f"{tmp_path}/none-*.jsonl"


def test_document_that_was_dropped_before_neither_counts_nor_is_cut(tmp_path: Path) -> None:
    german = "Der Hund lief über die Straße und bellte, weil er die Katze gesehen hatte. " * 6
    rows = [{"id": f"g{i}", "text": f"{german} {i} {ITEM} {german}"} for i in range(20)]
    rows.append({"id": "d", "text": around(ITEM)})
    web = write_jsonl(tmp_path / "a.jsonl", rows)
    quiz = write_jsonl(tmp_path / "quiz.jsonl", [{"q": ITEM}])
    recipe = make_recipe(
        {"web": {"documents": str(web), "filter": True}},
        filter={"languages": {"en": 0.5}},
        decontaminate={"benchmarks": str(quiz)},
    )
    build = run(recipe, tmp_path / "out")
    verdicts = by_id(build.stage("decontaminate"))
    assert verdicts["d"]["cuts"]
    assert verdicts["g0"]["kept"] is None
    assert verdicts["g0"]["cuts"] == []
    assert build.stage("decontaminate").counts() == Counts(1, 1)


def test_source_without_documents_or_hits_is_no_obstacle(tmp_path: Path) -> None:
    build = decontaminated(tmp_path, [{}, {"d": text(1)}, {}])
    assert build.stage("decontaminate").counts() == Counts(1, 1)
    build = decontaminated(tmp_path / "2", [{}])
    assert build.stage("decontaminate").counts() == Counts()


def test_another_window_searches_nothing_again(tmp_path: Path) -> None:
    files = [{"d": around(ITEM)}]
    decontaminated(tmp_path, files)
    progress = Recording()
    build = decontaminated(tmp_path, files, progress=progress, window=0)
    assert progress.made == {"decontaminate": 1}
    cut = by_id(build.stage("decontaminate"))["d"]["cuts"][0]
    assert cut["end"] - cut["start"] == len(ITEM)

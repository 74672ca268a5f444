"""Line dedup: what is cut is what plain Python cuts, and every cut has a keeper that is kept."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from corpus import parts
from corpus.build import Build
from corpus.config import Recipe
from corpus.dedup import exchange, line_steps
from corpus.engine import LocalEngine
from corpus.errors import BoundError
from corpus.look.check import check
from corpus.manifest import Shard
from corpus.text.cut_texts import apply_cuts
from tests.dedup.test_steps import Interrupted, Killed
from tests.made import Recording, by_id, digests, make_recipe, rows, run, text, write_jsonl
from tests.plain_lines import Texts, plain


def recipe_of(
    folder: Path,
    given: Mapping[str, Sequence[Texts]],
    /,
    dedup: Mapping[str, Any] | None = None,
    **lines: Any,
) -> Recipe:
    """Return a recipe; each source is a list of files, each a map of ids to texts."""
    made = {}
    for name, files in given.items():
        paths = [
            str(
                write_jsonl(
                    folder / f"{name}-{number}.jsonl",
                    [{"id": id, "text": one} for id, one in file.items()],
                )
            )
            for number, file in enumerate(files)
        ]
        made[name] = {"documents": paths}
    given_lines = {"lines": {"minimum_left": 0, **lines}}
    return make_recipe(made, dedup={"max_loss": 1, **given_lines, **(dedup or {})})


def lines_of(
    folder: Path, given: Mapping[str, Sequence[Texts]], /, **lines: Any
) -> tuple[dict[str, dict[str, Any]], dict[str, str], Build]:
    """Return the verdicts by id, the text that is left of each that is kept, and the build."""
    build = run(recipe_of(folder, given, **lines), folder / "out")
    verdicts = by_id(build.stage("dedup"))
    whole = {id: one for files in given.values() for file in files for id, one in file.items()}
    left = {id: apply_cuts(whole[id], v["cuts"]) for id, v in verdicts.items() if v["kept"]}
    return verdicts, left, build


def own(seed: str, words: int = 60) -> str:
    """Return a line that no other document has."""
    return text(seed, words)


def cut_of(verdict: Mapping[str, Any], whole: str) -> list[tuple[int, str, str]]:
    """Return the number of each line that is cut, the line, and its keeper."""
    data = whole.encode()
    return [
        (
            data[: line["start"]].count(b"\n"),
            data[line["start"] : line["end"]].decode(),
            line["keeper"],
        )
        for line in verdict["lines"]
    ]


def test_line_is_kept_by_the_first_document_in_the_order_of_visits(tmp_path: Path) -> None:
    """Earlier source, then longer text, then smaller id."""
    head = "Home | News | Contact"
    sources = {
        "wiki": [{"w": f"{own('w', 5)}\n{head}"}],
        "web": [
            {
                "b": f"{head}\n{own('b')}\nShare 1",
                "c": f"SHARE 2!\n{own('c', 90)}\n  home, news, contact",
            },
            {"a": f"{own('b')[::-1]}\n{head}\nshare 3"},
        ],
    }
    verdicts, left, build = lines_of(tmp_path, sources)
    assert left["w"] == sources["wiki"][0]["w"]
    assert left["c"] == f"SHARE 2!\n{own('c', 90)}"
    assert left["b"] == f"{own('b')}"
    assert left["a"] == own("b")[::-1]
    [line] = verdicts["c"]["lines"]
    assert (line["keeper"], line["keeper_source"]) == ("w", "wiki")
    assert [line["keeper"] for line in verdicts["a"]["lines"]] == ["w", "c"]
    summary = build.stage("dedup").summary["lines"]
    assert (summary["lines"], summary["cut_lines"], summary["cut_documents"]) == (11, 5, 3)
    assert build.stage("dedup").measure("cut_bytes", "web") == summary["cut_bytes"]


def random_sources(seed: int) -> dict[str, list[dict[str, str]]]:
    draw = random.Random(seed)
    common = [f"common line {'x' * n}" for n in range(12)] + [
        "Yes",
        "no!",
        "NO",
        "",
        "",
        " \t",
        "***",
    ]
    sources: dict[str, list[dict[str, str]]] = {}
    number = 0
    for name in ("a", "b", "c"):
        sources[name] = []
        for _ in range(draw.randrange(1, 4)):
            file = {}
            for _ in range(draw.randrange(0, 9)):
                number += 1
                given = [draw.choice(common) for _ in range(draw.randrange(1, 9))]
                if draw.random() < 0.8:
                    given.insert(draw.randrange(len(given) + 1), own(f"{seed} {number}", 12))
                file[f"{draw.randrange(10**6):06d}-{number}"] = "\n".join(given)
            sources[name].append(file)
    return sources


SETTINGS: list[dict[str, Any]] = [
    {},
    {"scope": "within"},
    {"minimum_words": 2, "minimum_left": 80},
    {"minimum_documents": 4},
    {"sources": ["a", "c"], "minimum_left": 60},
    {"scope": "within", "sources": ["b"], "minimum_documents": 2},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("seed", range(2))
def test_cuts_are_those_of_plain_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], seed: int
) -> None:
    monkeypatch.setattr(parts, "BATCH_ROWS", 3)
    monkeypatch.setattr(line_steps, "TASK_ROWS", 20)
    monkeypatch.setattr(exchange, "BATCH_ROWS", 4)
    sources = random_sources(seed)
    verdicts, _, build = lines_of(tmp_path, sources, **settings)
    given = {**settings, "losing": settings.get("sources", ())}
    given.pop("sources", None)
    # Only documents that are no duplicates count.
    alive = {
        name: [
            {id: t for id, t in file.items() if verdicts[id]["duplicate_of"] is None}
            for file in files
        ]
        for name, files in sources.items()
    }
    wanted, dropped = plain(alive, **given)
    whole = {id: t for files in alive.values() for file in files for id, t in file.items()}
    assert {id: cut_of(verdicts[id], t) for id, t in whole.items()} == wanted
    assert {id for id in whole if not verdicts[id]["kept"]} == dropped
    assert all(verdicts[id]["reason"] == "duplicate_lines" for id in dropped)
    assert sum(map(len, wanted.values())) > 0
    for verdict in verdicts.values():
        for line in verdict["lines"]:
            assert verdicts[line["keeper"]]["kept"]
    counts = build.stage("dedup").counts()
    assert counts.dropped.get("duplicate_lines", 0) == len(dropped)


def test_document_that_is_cut_to_too_little_is_dropped_and_says_so(tmp_path: Path) -> None:
    head = "Home, News, Contact and so on"
    sources = {
        "a": [
            {
                "first": f"{head}\n{own('first', 90)}",
                "empty": f"{head}\n \n***\n{head}",  # nothing is left that has a letter
                "short": f"{head}\nfew words",
                "enough": f"{head}\n{own('enough')}",
                "unlike": "few other words",  # as short, but nothing was cut out of it
            }
        ]
    }
    verdicts, left, build = lines_of(tmp_path, sources, minimum_left=50)
    assert {id for id, one in verdicts.items() if not one["kept"]} == {"empty", "short"}
    for id in ("empty", "short"):
        assert (verdicts[id]["reason"], verdicts[id]["duplicate_of"]) == ("duplicate_lines", None)
    assert left["enough"] == own("enough")
    counts = build.stage("dedup").counts()
    assert (counts.into, counts.kept, dict(counts.dropped)) == (5, 3, {"duplicate_lines": 2})
    only_empty, *_ = lines_of(tmp_path / "0", {"a": [{"f": head, "e": f"{head}\n{head}\n"}]})
    assert {id: one["kept"] for id, one in only_empty.items()} == {"f": False, "e": True}


def test_short_document_for_which_another_lost_a_line_is_kept(tmp_path: Path) -> None:
    head, notice = "Home, News, Contact", "Closed on Mondays"
    sources = {
        "a": [
            {"long": f"{head}\n{own('long')}", "keeper": f"{head}\n{notice}", "z": f"{notice}\nz"}
        ]
    }
    verdicts, _, build = lines_of(tmp_path, sources, minimum_left=50)
    assert {id: one["kept"] for id, one in verdicts.items()} == {
        "long": True,
        "keeper": True,
        "z": False,
    }
    assert verdicts["keeper"]["cuts"] == [{"start": 0, "end": len(head) + 1}]
    assert build.stage("dedup").summary["lines"]["short_keepers"] == 1


def test_line_of_a_dropped_duplicate_cuts_no_other_document(tmp_path: Path) -> None:
    """The near copy is the longer one, but of a later source; its line is nobody's keeper."""
    same, extra = text(1, 200), "a line that the dropped one has too"
    sources = {
        "wiki": [{"kept": same}],
        "web": [{"copy": f"{same}\n{extra}", "other": f"{text(2, 30)}\n{extra}"}],
    }
    verdicts, left, _ = lines_of(tmp_path, sources)
    assert verdicts["copy"]["reason"] == "near_duplicate"
    assert left["other"] == sources["web"][0]["other"]


def verdict_bytes(build: Build) -> list[bytes]:
    manifest = build.stage("dedup")
    return [Path(manifest.path(shard.output("verdict"))).read_bytes() for shard in manifest.shards]


def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_steps, "TASK_ROWS", 30)
    monkeypatch.setattr(exchange, "BATCH_ROWS", 4)


def test_build_that_is_killed_at_any_task_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pieces(monkeypatch)
    recipe = recipe_of(tmp_path, random_sources(5))
    run(recipe, tmp_path / "calm", progress=(calm := Recording()))
    steps = ["lines", "line-keepers", "line-cuts"]
    assert [calm.made[step] > 1 for step in steps] == [True] * 3
    run(recipe, tmp_path / "rough", until="extract")
    kills = 0
    while kills < 100:
        try:
            run(recipe, tmp_path / "rough", engine=Interrupted(3))
        except Killed:
            kills += 1
        else:
            break
    assert kills > 5
    assert digests(tmp_path / "rough") == digests(tmp_path / "calm")


def test_two_workers_write_the_bytes_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pieces(monkeypatch)
    recipe = recipe_of(tmp_path, random_sources(6))
    alone = run(recipe, tmp_path / "0")
    engine = LocalEngine(2)
    try:
        both = run(recipe, tmp_path / "2", engine=engine)
    finally:
        engine.close()
    assert verdict_bytes(both) == verdict_bytes(alone)
    assert alone.stage("dedup").summary["lines"]["cut_lines"] > 0


def test_cuts_do_not_depend_on_the_order_of_documents_or_on_their_files(tmp_path: Path) -> None:
    sources = random_sources(7)
    first, *_ = lines_of(tmp_path / "1", sources, minimum_left=40)
    moved = {}
    for name, files in sources.items():
        whole = [pair for file in files for pair in file.items()][::-1]
        moved[name] = [dict(whole[:2]), dict(whole[2:3]), dict(whole[3:])]
    second, *_ = lines_of(tmp_path / "2", moved, minimum_left=40)
    assert second == first
    assert any(one["lines"] for one in first.values())


class Rows(Recording):
    """Notes how many rows the files of each step have."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, int] = {}

    def advance(self, shard: Shard, weight: int) -> None:
        super().advance(shard, weight)
        rows = sum(output.rows for output in shard.outputs)
        self.rows[self._stage] = self.rows.get(self._stage, 0) + rows


def test_line_that_is_there_a_hundred_thousand_times_is_a_row_a_part(tmp_path: Path) -> None:
    many = "\n".join(["the same line"] * 500)
    file = {f"d{i:03d}": f"{own(str(i), 9)}\n{many}" for i in range(100)}
    recipe = recipe_of(tmp_path, {"a": [file, {f"x{id}": one[::-1] for id, one in file.items()}]})
    build = run(recipe, tmp_path / "out", progress=(seen := Rows()))
    assert build.stage("dedup").summary["lines"]["cut_lines"] == 2 * (100 * 500 - 1)
    assert seen.rows["lines"] == 2 * 101  # a line of its own each, and the one of all
    assert seen.rows["line-keepers"] == 2
    verdicts = rows(build.stage("dedup"), "verdict")
    assert len({line["keeper"] for one in verdicts for line in one["lines"]}) == 2


def test_source_that_would_lose_too_much_of_its_text_stops_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_steps, "LEAST_BYTES", 100)
    sources = {"good": [{"g": own("g")}], "bad": [{str(i): f"{own('b')}\n{i}" for i in range(9)}]}
    dedup = {"max_loss": 0.5, "threshold": 1.0}
    recipe = recipe_of(tmp_path, sources, dedup, minimum_documents=2)
    with pytest.raises(BoundError, match=r"bad would lose .* bytes of its text to dedup\.lines"):
        run(recipe, tmp_path / "out")
    with pytest.raises(BoundError, match="bad would lose"):  # nor does it pass the second time
        run(recipe, tmp_path / "out")


def test_recipe_without_lines_has_no_column_of_them(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, {"a": [{"x": own("x")}]}, {"lines": None})
    build = run(recipe, tmp_path / "out")
    [verdict] = rows(build.stage("dedup"), "verdict")
    assert "lines" not in verdict
    assert "cuts" not in verdict
    assert "lines" not in build.stage("dedup").settings


def test_source_that_does_not_exist_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as error:
        recipe_of(tmp_path, {"common_crawl": [{"x": "x"}]}, sources=["comon_crawl"])
    problems = error.value.errors()[0]["ctx"]["problems"]
    assert problems == [
        ("dedup.lines.sources", "'comon_crawl' is no source; did you mean common_crawl?")
    ]


def test_document_that_an_index_dropped_for_its_lines_still_stands_for_its_copies(
    tmp_path: Path,
) -> None:
    head, tail = own("head"), "a tail of few words"
    old = {"long": f"{head}\n{own('old', 200)}", "gone": f"{head}\n{tail}"}
    first = run(recipe_of(tmp_path / "1", {"a": [old]}, minimum_left=50), tmp_path / "one")
    assert by_id(first.stage("dedup"))["gone"]["reason"] == "duplicate_lines"
    new = {"copy": old["gone"], "near": f"{old['gone']} more", "new": own("new")}
    index = {"index": str(tmp_path / "one")}
    second = run(recipe_of(tmp_path / "2", {"b": [new]}, index), tmp_path / "two")
    verdicts = by_id(second.stage("dedup"))
    assert {id: (one["reason"], one["duplicate_of"]) for id, one in verdicts.items()} == {
        "copy": ("exact_duplicate", "gone"),
        "near": ("near_duplicate", "gone"),
        "new": (None, None),
    }
    assert check(second, full=True, say=lambda line: None).problems == ()

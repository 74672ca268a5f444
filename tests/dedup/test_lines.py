"""Line dedup: what is cut is what plain Python cuts, and every cut has a keeper that is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from corpus import parts
from corpus.build import Build
from corpus.config import Recipe
from corpus.dedup import exchange, line_steps
from corpus.text.cut_texts import apply_cuts
from tests.made import by_id, make_recipe, run, text, write_jsonl
from tests.plain_lines import Texts, plain


def recipe_of(
    folder: Path, given: Mapping[str, Sequence[Texts]], /, max_loss: float = 1, **lines: Any
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
    return make_recipe(made, dedup={"max_loss": max_loss, "lines": {"minimum_left": 0, **lines}})


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
    import random

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

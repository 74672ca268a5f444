"""One document a URL: the best stays, the others name it, and none of them keeps another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from corpus import parts
from corpus.build import Build
from corpus.clean import folders
from corpus.dedup import spans
from corpus.look.check import check
from corpus.look.clusters import clustering, describe
from corpus.look.explain import describe as describe_story
from corpus.look.explain import explain
from tests.made import Recording, by_id, make_recipe, run, text, write_jsonl
from tests.stages.test_dedup import SCHEME, kept

Rows = list[dict[str, str]]


@pytest.fixture(autouse=True)
def many_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """List the drops of every part by a task of its own."""
    monkeypatch.setattr(spans, "SPAN_DOCUMENTS", 2)


def build_of(
    folder: Path,
    sources: Mapping[str, Sequence[Rows]],
    progress: Recording | None = None,
    **settings: Any,
) -> Build:
    made = {
        name: [str(write_jsonl(folder / f"{name}-{i}.jsonl", file)) for i, file in enumerate(files)]
        for name, files in sources.items()
    }
    recipe = make_recipe(
        {name: {"documents": paths} for name, paths in made.items()},
        dedup={**SCHEME, "max_loss": 1, "urls": True, **settings},
    )
    return run(recipe, folder / "out", progress=progress)


def row(id: str, content: str, url: str | None = None) -> dict[str, str]:
    return {"id": id, "text": content} | ({"url": url} if url is not None else {})


def test_the_longest_of_a_url_is_kept_whatever_way_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "BATCH_ROWS", 2)
    files = [
        [
            row("a", text(1, 50), "https://www.x.example/page/?b=1&a=2#top"),
            row("none", text(2)),
            row("bad", text(3), "not a URL"),
        ],
        [
            row("b", text(4, 60), "http://x.example/page?a=2&b=1&utm_source=y"),
            row("bad2", text(5), "not a URL"),
            row("other", text(6), "https://x.example/page"),
        ],
        [],
    ]
    made = build_of(tmp_path, {"s": files})
    verdicts = by_id(made.stage("dedup"))
    assert kept(verdicts) == {"b", "none", "bad", "bad2", "other"}
    a = verdicts["a"]
    assert (a["reason"], a["duplicate_of"], a["duplicate_source"]) == ("url_duplicate", "b", "s")
    assert a["jaccard"] is a["duplicate_index"] is None
    assert made.stage("dedup").summary["url_duplicates"] == 1
    assert made.stage("dedup").counts().dropped == {"url_duplicate": 1}
    assert kept(by_id(build_of(tmp_path, {"s": files}, urls=False).stage("dedup"))) == set(verdicts)


def test_document_of_any_span_that_goes_for_its_address_keeps_no_copy(tmp_path: Path) -> None:
    files = [
        [row("best", text(1, 90), "http://x.example/"), row("more", text(2))],
        [row("other", text(3)), row("gone", text(4, 60), "http://x.example/")],
        [row("same", text(4, 60))],
    ]
    verdicts = by_id(build_of(tmp_path, {"s": files}).stage("dedup"))
    assert kept(verdicts) == {"best", "more", "other", "same"}
    assert verdicts["gone"]["reason"] == "url_duplicate"


def test_earlier_source_keeps_its_page_and_scopes_hold(tmp_path: Path) -> None:
    files = {
        "first": [[row("f", text(1, 50), "https://x.example/")]],
        "second": [[row("s", text(2, 90), "https://x.example/")]],
    }
    assert kept(by_id(build_of(tmp_path, files).stage("dedup"))) == {"f"}
    within = build_of(tmp_path, files, scope="within")
    assert kept(by_id(within.stage("dedup"))) == {"f", "s"}


def test_document_dropped_for_its_url_keeps_no_copy_and_names_the_last_keeper(
    tmp_path: Path,
) -> None:
    """`old` goes for its URL, so its copy elsewhere stays; `new` goes for a copy with another URL.

    `new` is the best of the URL, and is dropped for `best`: both name `best`.
    """
    files = [
        [
            row("old", text(1, 50), "https://x.example/"),
            row("p-copy", text(1, 50), "https://y.example/"),
            row("new", text(2, 90), "https://x.example/"),
        ],
        [row("best", text(2, 90) + " and more", "https://z.example/")],
    ]
    made = build_of(tmp_path, {"s": files})
    verdicts = by_id(made.stage("dedup"))
    assert kept(verdicts) == {"p-copy", "best"}
    assert [verdicts[id]["duplicate_of"] for id in ("old", "new")] == ["best", "best"]
    assert [verdicts[id]["reason"] for id in ("old", "new")] == ["url_duplicate", "near_duplicate"]
    assert check(made, full=True, say=print).problems == ()
    states = {folder.name.split("-")[0]: folder.state for folder in folders(made)}
    assert states["urls"] == states["signatures"] == "used"
    [cluster] = clustering(made, source=None, number=5).largest
    assert [member.jaccard is None for member in cluster.members] == [False, True]
    shown = "\n".join(map(str, describe(clustering(made, source=None, number=5))))
    assert "URL     old" in shown
    for id, said in (("old", "the same URL"), ("best", "the same URL")):
        lines = "\n".join(map(str, describe_story(explain(made, id))))
        assert said in lines


def test_complete_stage_is_not_made_again(tmp_path: Path) -> None:
    files = [[row("a", text(1), "https://x.example/"), row("b", text(2), "https://x.example")]]
    first = build_of(tmp_path, {"s": files})
    progress = Recording()
    again = build_of(tmp_path, {"s": files}, progress)
    assert "dedup" not in progress.made
    assert again.stage("dedup") == first.stage("dedup")
    threshold = Recording()
    build_of(tmp_path, {"s": files}, threshold, threshold=0.9)
    assert threshold.made.keys() & {"urls", "signatures", "dedup"} == {"dedup"}

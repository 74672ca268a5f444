"""Across time: what an earlier build kept is never dropped again, and drops what is like it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from corpus.build import Build
from corpus.config import Recipe
from corpus.dedup import components, spans
from corpus.engine import Engine, RayEngine
from corpus.errors import InputError, RecipeError
from corpus.look.check import check
from corpus.look.clusters import clustering
from corpus.look.explain import describe, explain
from corpus.planning.plan import StagePlan, plan
from corpus.storage import read_json
from tests.dedup.test_steps import Interrupted, Killed
from tests.made import (
    ENGINE,
    Recording,
    by_id,
    changed,
    digests,
    make_recipe,
    run,
    text,
    write_jsonl,
)
from tests.stages.test_dedup import SCHEME, jaccard, kept, planted, row

Rows = list[dict[str, str]]


@pytest.fixture(autouse=True)
def many_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """List the drops of every part by a task of its own."""
    monkeypatch.setattr(spans, "SPAN_DOCUMENTS", 2)


def snapshot(
    folder: Path,
    name: str,
    sources: Mapping[str, Sequence[Rows]],
    index: Sequence[Path] = (),
    progress: Recording | None = None,
    unfiltered: Sequence[str] | None = None,
    seed: int = 11,
    engine: Engine = ENGINE,
    **settings: Any,
) -> Build:
    """Build a snapshot in a folder of its name; each source is a list of files of rows."""
    made: dict[str, Any] = {}
    for source, files in sources.items():
        paths = [
            str(write_jsonl(folder / f"{name}-{source}-{i}.jsonl", file))
            for i, file in enumerate(files)
        ]
        made[source] = {"documents": paths}
        if unfiltered is not None and source not in unfiltered:
            made[source]["filter"] = True
    sections: dict[str, Any] = {"filter": {"languages": {"en": 0.01}}} if unfiltered else {}
    dedup = {**SCHEME, "max_loss": 1, "index": [str(path) for path in index], **settings}
    recipe = make_recipe(made, dedup=dedup, **sections).model_copy(update={"seed": seed})
    return run(recipe, folder / name, engine=engine, progress=progress)


def verdicts_of(build: Build) -> dict[str, dict[str, Any]]:
    return by_id(build.stage("dedup"))


def test_new_documents_like_a_kept_one_are_dropped_for_it_although_they_are_better(
    tmp_path: Path,
) -> None:
    old, near = text(1), text(2)
    first = snapshot(tmp_path, "one", {"a": [[row("o", old), row("n", near)], [row("z", text(3))]]})
    before = digests(tmp_path / "one")
    texts = {"o2": old, "n2": f"{near} and many more words", "s": text(4)}
    new: Rows = [row(id, one) for id, one in texts.items()]
    progress = Recording()
    second = snapshot(tmp_path, "two", {"b": [new]}, [tmp_path / "one"], progress)
    verdicts = verdicts_of(second)
    assert kept(verdicts) == {"s"}
    name = Path(first.stage("dedup").folder).name
    for id, keeper, reason in (("o2", "o", "exact_duplicate"), ("n2", "n", "near_duplicate")):
        verdict = verdicts[id]
        assert (verdict["duplicate_of"], verdict["reason"]) == (keeper, reason)
        assert (verdict["duplicate_source"], verdict["duplicate_index"]) == ("a", name)
    assert verdicts["n2"]["jaccard"] == pytest.approx(jaccard(near, texts["n2"]), abs=1e-12)
    assert progress.made["signatures"] == 1  # nothing of the index
    assert digests(tmp_path / "one") == before
    assert second.stage("dedup").summary["index"] == {name: str(tmp_path / "one")}
    assert second.stage("dedup").summary["index_documents"] == 3


def one_and_two() -> tuple[Rows, Rows]:
    """Return two snapshots with duplicates in each, and of one in the other."""
    first = planted()
    second = [row(f"later-{one['id']}", one["text"]) for one in first[::3]]
    second += [row(f"more-{i}", changed(text(i, 90 + i), 50 + i, 1 + i % 8)) for i in range(20)]
    second += [row(f"stranger-{i}", text(f"new {i}")) for i in range(5)]
    second += [row(f"again-{i}", changed(text(f"new {i}"), i, 1)) for i in range(5)]
    return first, second


@pytest.mark.parametrize(
    ("bucket", "urls"),
    [(components.BUCKET_SHINGLES, False), (100, False), (components.BUCKET_SHINGLES, True)],
)
def test_snapshots_one_by_one_come_to_the_same_as_all_in_one_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bucket: int, urls: bool
) -> None:
    """The earlier as the earlier source; within tiers of large components, too."""
    first, second = one_and_two()
    for step, rows in ((7, first), (5, second)):  # some share an address with one or several others
        for i in range(0, len(rows), 2):
            rows[i]["url"] = f"https://x.example/{i % 9 * step}"
    both = {"one": [first], "two": [second]}
    whole = verdicts_of(snapshot(tmp_path, "whole", both, urls=urls))
    monkeypatch.setattr(components, "BUCKET_SHINGLES", bucket)
    a = verdicts_of(snapshot(tmp_path, "one", {"one": [first[:9], [], first[9:]]}, urls=urls))
    index = [tmp_path / "one"]
    later = {"two": [second[:20], second[20:]]}
    b = verdicts_of(snapshot(tmp_path, "two", later, index, urls=urls))
    found = {id: {**verdict, "duplicate_index": None} for id, verdict in (a | b).items()}
    assert found == whole
    in_index = [id for id, verdict in b.items() if verdict["duplicate_index"] is not None]
    assert len(in_index) > 20
    assert sum(not v["kept"] for v in b.values()) > len(in_index)
    assert any(v["reason"] == "near_duplicate" and v["jaccard"] < 1 for v in b.values())
    by_url = {v["duplicate_index"] for v in b.values() if v["reason"] == "url_duplicate"}
    assert len(by_url) == 2 * urls  # of the index's, and among themselves


def test_document_that_the_index_dropped_keeps_none_but_hands_on_its_keeper(
    tmp_path: Path,
) -> None:
    """k ~ d ~ n with k unlike n: n stays; an exact copy of d goes for k, as similar as d was."""
    words = text(5, 104).split()
    k, d, n = (" ".join(words[start:100]) for start in (0, 20, 40))
    first = snapshot(tmp_path, "one", {"a": [[row("k", k), row("d", d)]]})
    assert kept(verdicts_of(first)) == {"k"}
    new = {"b": [[row("n", n), row("copy", d)]]}
    verdicts = verdicts_of(snapshot(tmp_path, "two", new, [tmp_path / "one"]))
    assert kept(verdicts) == {"n"}
    assert (verdicts["copy"]["duplicate_of"], verdicts["copy"]["reason"]) == ("k", "near_duplicate")
    assert verdicts["copy"]["jaccard"] == pytest.approx(jaccard(k, d), abs=1e-12)


def test_band_keys_of_copies_in_one_part_are_those_of_the_kept_one(tmp_path: Path) -> None:
    """The first copy in the file is dropped for a later one with a smaller id."""
    base = text(1)
    snapshot(tmp_path, "one", {"a": [[row("z", base), row("a", base)]]})
    new = {"b": [[row("n", changed(base, 1, 2))]]}
    verdicts = verdicts_of(snapshot(tmp_path, "two", new, [tmp_path / "one"]))
    assert verdicts["n"]["duplicate_of"] == "a"


def test_index_brings_the_indexes_that_it_was_checked_against(tmp_path: Path) -> None:
    a, b = text(1), text(2)
    snapshot(tmp_path, "one", {"s": [[row("a", a)]]})
    snapshot(tmp_path, "two", {"s": [[row("b", b), row("a2", a)]]}, [tmp_path / "one"])
    new = {"s": [[row("a3", a), row("b3", b), row("c", text(3))]]}
    third = snapshot(tmp_path, "three", new, [tmp_path / "two"])
    verdicts = verdicts_of(third)
    assert kept(verdicts) == {"c"}
    assert [verdicts[id]["duplicate_of"] for id in ("a3", "b3")] == ["a", "b"]
    (tmp_path / "one").rename(tmp_path / "moved")
    with pytest.raises(InputError, match=r"was checked against dedup-\w+, which is not there"):
        snapshot(tmp_path, "three", new, [tmp_path / "two"])
    moved = [tmp_path / "two", tmp_path / "moved"]
    again = snapshot(tmp_path, "three", new, moved)
    assert verdicts_of(again)["a3"]["duplicate_of"] == "a"
    assert again.stage("dedup").folder == third.stage("dedup").folder
    assert check(again, full=True, say=print).problems == ()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"shingle": 4}, "shingle is 5 there and 4 here"),
        ({"words": "whitespace"}, "words is word there and whitespace here"),
        ({"bands": 40}, "bands is 50 there and 40 here"),
        ({"seed": 12}, "seed is 11 there and 12 here"),
    ],
)
def test_index_of_other_signatures_is_refused(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    rows: dict[str, list[Rows]] = {"s": [[row("a", text(1))]]}
    snapshot(tmp_path, "one", rows)
    with pytest.raises(RecipeError, match=named) as caught:
        snapshot(tmp_path, "two", rows, [tmp_path / "one"], **changes)
    assert str(tmp_path / "one") in str(caught.value)


def test_other_threshold_needs_no_other_index(tmp_path: Path) -> None:
    base = text(1)
    snapshot(tmp_path, "one", {"s": [[row("a", base)]]})
    new = {"s": [[row("b", changed(base, 1, 5))]]}
    for threshold, keeps in ((0.7, set()), (0.95, {"b"})):
        made = snapshot(tmp_path, "two", new, [tmp_path / "one"], threshold=threshold)
        assert kept(verdicts_of(made)) == keeps


def test_build_is_no_index_of_its_own_and_a_folder_without_a_build_is_none(tmp_path: Path) -> None:
    rows: dict[str, list[Rows]] = {"s": [[row("a", text(1))]]}
    snapshot(tmp_path, "one", rows)
    with pytest.raises(RecipeError, match="its own index"):
        snapshot(tmp_path, "one", rows, [tmp_path / "one"])
    with pytest.raises(InputError, match="no build here"):
        snapshot(tmp_path, "two", rows, [tmp_path / "none"])


def test_scopes_hold_across_time(tmp_path: Path) -> None:
    """Within: only what the index has of the same source. Curated: the index is like curated."""
    same = text(1)
    snapshot(tmp_path, "one", {"web": [[row("w", same)]]})
    new: dict[str, list[Rows]] = {"own": [[row("o", same)]], "web": [[row("v", same)]]}
    index = [tmp_path / "one"]
    within = verdicts_of(snapshot(tmp_path, "two", new, index, scope="within"))
    assert (kept(within), within["v"]["duplicate_of"]) == ({"o"}, "w")
    curated = verdicts_of(
        snapshot(tmp_path, "three", new, index, scope="curated", unfiltered=["own"])
    )
    assert (kept(curated), curated["v"]["duplicate_of"]) == ({"o"}, "w")
    assert kept(verdicts_of(snapshot(tmp_path, "four", new, index))) == set()


def test_check_looks_for_keepers_in_the_index(tmp_path: Path) -> None:
    snapshot(tmp_path, "one", {"s": [[row("a", text(1))]]})
    new = {"s": [[row("b", text(1)), row("c", text(2))]]}
    made = snapshot(tmp_path, "two", new, [tmp_path / "one"])
    checkup = check(made, full=True, say=print)
    assert (checkup.problems, checkup.checked["keepers"]) == ((), 1)
    (tmp_path / "one").rename(tmp_path / "gone")
    [problem] = check(made, full=True, say=print).problems
    assert "1 keepers are in an index that is gone" in problem.what


def test_explain_and_clusters_name_the_index_and_the_url_there(tmp_path: Path) -> None:
    old = {"id": "a", "text": text(1), "url": "https://a.example/"}
    snapshot(tmp_path, "one", {"s": [[old]]})
    # The same document again: the same id is dropped for itself, in the index.
    new = {"s": [[old, row("b", text(1))]]}
    made = snapshot(tmp_path, "two", new, [tmp_path / "one"])
    [story] = explain(made, "b").stories
    assert story.duplicate_of is not None
    assert story.duplicate_of.url == "https://a.example/"
    assert story.duplicate_of.index == str(tmp_path / "one")
    [again] = explain(made, "a").stories
    assert again.duplicate_of is not None
    assert again.duplicates == ()
    [cluster] = clustering(made, source=None, number=5).largest
    assert (cluster.keeper.url, cluster.keeper.index) == (old["url"], str(tmp_path / "one"))
    assert [member.id for member in cluster.members] == ["a", "b"]
    lines = [str(block) for block in describe(explain(made, "b"))]
    assert any(f"in the index {tmp_path / 'one'}" in line for line in lines)


def test_build_that_is_killed_again_and_again_ends_with_the_same_bytes(tmp_path: Path) -> None:
    """With an index and addresses, whose verdicts lie among the steps."""
    first, second = one_and_two()
    snapshot(tmp_path, "one", {"one": [first]}, urls=True)
    second = [{**one, "url": f"https://x.example/{i % 30}"} for i, one in enumerate(second)]
    paths = [str(write_jsonl(tmp_path / f"two-{i}.jsonl", second[i::2])) for i in range(2)]
    dedup = {**SCHEME, "max_loss": 1, "index": str(tmp_path / "one"), "urls": True}
    recipe = make_recipe({"two": {"documents": paths}}, dedup=dedup)
    whole = run(recipe, tmp_path / "whole")
    reasons = whole.stage("dedup").counts().dropped
    assert set(reasons) == {"url_duplicate", "exact_duplicate", "near_duplicate"}
    killed = 0
    while killed < 50:
        try:
            run(recipe, tmp_path / "killed", engine=Interrupted(1))
            break
        except Killed:
            killed += 1
    assert killed > 8
    assert digests(tmp_path / "killed") == digests(tmp_path / "whole")


def test_index_without_addresses_is_refused_where_they_are_to_be_compared(tmp_path: Path) -> None:
    rows: dict[str, list[Rows]] = {"s": [[row("a", text(1))]]}
    snapshot(tmp_path, "one", rows)
    with pytest.raises(RecipeError, match="no addresses to compare with"):
        snapshot(tmp_path, "two", rows, [tmp_path / "one"], urls=True)


def test_address_is_compared_across_time_and_the_curated_keep_theirs(tmp_path: Path) -> None:
    url = {"url": "https://x.example/"}
    old = {**row("old", text(1)), **url}
    first = snapshot(tmp_path, "one", {"s": [[old]]}, urls=True)
    new: dict[str, list[Rows]] = {
        "own": [[{**row("o1", text(2)), **url}, {**row("o2", text(3)), **url}]],
        "web": [[{**row("w", text(4, 200)), **url}]],
    }
    index = [tmp_path / "one"]
    every = verdicts_of(snapshot(tmp_path, "two", new, index, urls=True))
    assert kept(every) == set()
    name = Path(first.stage("dedup").folder).name
    assert {(v["duplicate_of"], v["duplicate_index"]) for v in every.values()} == {("old", name)}
    curated = verdicts_of(
        snapshot(tmp_path, "two", new, index, urls=True, scope="curated", unfiltered=["own"])
    )
    assert kept(curated) == {"o1", "o2"}


def test_plan_notices_an_index_that_was_built_anew_under_the_same_path(tmp_path: Path) -> None:
    def dedup(build: Build) -> StagePlan:
        recipe = Recipe.model_validate(read_json(f"{build.output}/build.json")["recipe"])
        [stage] = [one for one in plan(recipe, build.output).stages if one.stage == "dedup"]
        return stage

    snapshot(tmp_path, "one", {"a": [[row("o", text(1))]]})
    second = snapshot(tmp_path, "two", {"b": [[row("n", text(2))]]}, [tmp_path / "one"])
    assert dedup(second).state == "built"
    snapshot(tmp_path, "one", {"a": [[row("o", text(1)), row("p", text(2))]]})
    assert (dedup(second).state, dedup(second).detail.split()[0]) == ("changed", "dedup.index")
    third = snapshot(tmp_path, "two", {"b": [[row("n", text(2))]]}, [tmp_path / "one"])
    assert dedup(third).state == "built"
    assert kept(verdicts_of(third)) == set()


@pytest.mark.ray
@pytest.mark.slow
def test_ray_checks_addresses_and_an_index_as_one_process_does(tmp_path: Path) -> None:
    old = [[row("o", text(1)) | {"url": "https://x.example/"}, row("n", text(2))]]
    new = [
        [row("p", text(5)) | {"url": "http://x.example/#top"}, row("q", text(1))],
        [row("r", f"{text(2)} more") | {"url": "https://y.example/"}, row("s", text(6))],
    ]

    def built(folder: Path, engine: Engine) -> dict[str, str]:
        snapshot(tmp_path, "one", {"a": old}, urls=True, engine=engine)
        second = snapshot(
            tmp_path, folder.name, {"b": new}, [tmp_path / "one"], urls=True, engine=engine
        )
        assert kept(verdicts_of(second)) == {"s"}
        # The manifest has the digests of the inputs, in which the names of their files stand.
        return digests(Path(second.stage("dedup").folder), ignored=["manifest.json"])

    alone = built(tmp_path / "alone", ENGINE)
    engine = RayEngine(2)
    try:
        assert built(tmp_path / "ray", engine) == alone
    finally:
        engine.close()

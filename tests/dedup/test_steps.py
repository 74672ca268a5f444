"""The steps of dedup after interruptions, on both engines, and on inputs that are all alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from corpus.build import Build
from corpus.config import Recipe
from corpus.dedup import components, exchange, shingles
from corpus.engine import LocalEngine, RayEngine
from corpus.stages import ahead
from tests.made import Recording, by_id, changed, digests, make_recipe, run, text, write_jsonl

T = TypeVar("T")
R = TypeVar("R")
CONNECTED = ["small-stars", "large-stars", "sums", "totals", "candidates"]
PARTING = ["rarity", "prefixes", "links", "groups", "tiers", "move"]
FIRST = ["signatures", "copies", "edges", *CONNECTED, "shingles", *PARTING]
STEPS = [*FIRST, "visit", "fates", "drops", "dedup"]
FIFTY = {"preset": "fineweb", "threshold": 0.7, "bands": 50, "rows": 2, "max_loss": 1}


class Killed(BaseException):
    """Ends a build at once, as a signal does."""


class Interrupted(LocalEngine):
    """Runs tasks in this process, and no more than so many; compiling ahead is none."""

    def __init__(self, tasks: int) -> None:
        super().__init__(0)
        self.left = tasks

    def map(self, function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        for result in super().map(function, tasks):
            self.left -= function.__module__ != ahead.__name__
            if self.left < 0:
                raise Killed
            yield result


class Rounds(Recording):
    """Counts the rounds of visits."""

    rounds = 0

    def start(self, stage: str, *, total: int, reused: int, shards: int) -> None:
        super().start(stage, total=total, reused=reused, shards=shards)
        self.rounds += stage == "visit"


def recipe_of(folder: Path, sources: dict[str, list[list[str]]], **dedup: Any) -> Recipe:
    """Return a recipe of sources, each a list of files of texts."""
    made = {}
    for name, files in sources.items():
        made[name] = {
            "documents": [
                str(
                    write_jsonl(
                        folder / f"{name}-{number}.jsonl",
                        [{"id": f"{name}{number}-{i}", "text": one} for i, one in enumerate(file)],
                    )
                )
                for number, file in enumerate(files)
            ]
        }
    return make_recipe(made, dedup={**FIFTY, **dedup})


def mixed(folder: Path, large: int = 0) -> Recipe:
    """Return a recipe of pairs, and of so many near-copies of one page."""
    originals = [text(i, 60) for i in range(12)]
    copies = [changed(one, i, 1 + i % 5) for i, one in enumerate(originals)]
    page = [changed(text("page", 60), i, 2) for i in range(large)]
    files = {"a": [originals, copies[:6] + page[::2]], "b": [copies[6:] + originals[:3] + page]}
    return recipe_of(folder, files)


def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "TASK_ROWS", 800)
    monkeypatch.setattr(exchange, "COPY_ROWS", 20)
    monkeypatch.setattr(components, "BUCKET_SHINGLES", 200)
    monkeypatch.setattr(components, "LARGE_SHINGLES", 200)
    monkeypatch.setattr(shingles, "FILE_SHINGLES", 300)


def test_build_that_is_killed_after_every_few_tasks_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever step it was in."""
    small_pieces(monkeypatch)
    recipe = mixed(tmp_path, 12)
    run(recipe, tmp_path / "calm", progress=(calm := Recording()))
    assert [step for step in calm.made if step in STEPS] == STEPS
    kills = 0
    for _ in range(100):
        try:
            run(recipe, tmp_path / "rough", engine=Interrupted(5))
        except Killed:
            kills += 1
        else:
            break
    assert kills >= 4
    assert digests(tmp_path / "rough") == digests(tmp_path / "calm")


def test_step_that_is_done_is_not_done_again_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pieces(monkeypatch)
    recipe = mixed(tmp_path)
    run(recipe, tmp_path / "out", until="extract")
    run(recipe, tmp_path / "calm", progress=(calm := Recording()))
    before = sum(calm.made.get(step, 0) for step in FIRST)
    with pytest.raises(Killed):
        run(recipe, tmp_path / "out", engine=Interrupted(before + 2))
    run(recipe, tmp_path / "out", progress=(second := Recording()))
    assert [step for step in second.made if step in STEPS] == ["visit", "fates", "drops", "dedup"]
    assert second.reused["visit"] == 3  # the receipt of the third was written before the kill


def test_exchange_that_a_kill_left_beside_a_complete_stage_is_removed(tmp_path: Path) -> None:
    recipe = mixed(tmp_path)
    folder = Path(run(recipe, tmp_path / "out").stage("dedup").folder)
    left = folder / ".exchange" / "edges-000000000000" / "all"
    left.mkdir(parents=True)
    run(recipe, tmp_path / "out")
    assert not (folder / ".exchange").exists()


def verdict_bytes(build: Build) -> dict[str, str]:
    return digests(Path(build.stage("dedup").folder))


def test_two_workers_write_the_bytes_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pieces(monkeypatch)
    recipe = mixed(tmp_path, 12)
    alone = verdict_bytes(run(recipe, tmp_path / "0"))
    engine = LocalEngine(2)
    try:
        assert verdict_bytes(run(recipe, tmp_path / "2", engine=engine)) == alone
    finally:
        engine.close()


@pytest.mark.ray
@pytest.mark.slow
def test_ray_writes_the_bytes_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pieces(monkeypatch)
    recipe = mixed(tmp_path, 12)
    alone = verdict_bytes(run(recipe, tmp_path / "0"))
    engine = RayEngine(2)
    try:
        assert verdict_bytes(run(recipe, tmp_path / "ray", engine=engine)) == alone
    finally:
        engine.close()


def test_one_document_many_times_costs_one_band_entry_a_part(tmp_path: Path) -> None:
    same = text(1, 60)
    recipe = recipe_of(tmp_path, {"a": [[same] * 400, [same] * 300]})
    build = run(recipe, tmp_path / "out")
    verdicts = by_id(build.stage("dedup"))
    assert [id for id, one in verdicts.items() if one["kept"]] == ["a0-0"]
    assert {one["duplicate_of"] for one in verdicts.values()} == {None, "a0-0"}
    summary = build.stage("dedup").summary
    assert (summary["exact_duplicates"], summary["candidates"], summary["compared"]) == (699, 0, 0)


def test_pages_of_one_template_stay_and_their_copies_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One large component; no two pages but the last and its model are alike."""
    monkeypatch.setattr(components, "BUCKET_SHINGLES", 4000)
    monkeypatch.setattr(components, "LARGE_SHINGLES", 4000)
    notice = text("notice", 70)
    pages = [f"{notice} {' '.join(f'w{i}x{k}' for k in range(30))}" for i in range(150)]
    copy = pages[77].replace("w77x29", "other")
    recipe = recipe_of(tmp_path, {"a": [pages[:60], [*pages[60:], copy]]})
    build = run(recipe, tmp_path / "out", progress=(progress := Rounds()))
    verdicts = by_id(build.stage("dedup"))
    dropped = {id: one["duplicate_of"] for id, one in verdicts.items() if not one["kept"]}
    assert list(dropped.items()) in ([("a1-90", "a1-17")], [("a1-17", "a1-90")])
    summary = build.stage("dedup").summary
    assert summary["largest_component"] == 151
    assert (summary["grouped"], summary["groups"], summary["largest_group"]) == (2, 1, 2)
    assert (summary["compared"], summary["unfinished"], progress.rounds) == (1, 0, 1)


@pytest.mark.parametrize(
    ("texts", "kept"),
    [
        (["word"] * 3 + ["other"], 2),
        (["?!", "...", "?!", "— —"], 3),
        (["日本語" * 40] * 2 + ["日本語" * 40 + "。"], 2),  # no spaces: one word, compared exactly
        (["語 " * 40, "語 " * 41], 1),  # one shingle, many times
    ],
    ids=["words", "punctuation", "no spaces", "one shingle"],
)
def test_documents_without_much_to_compare(tmp_path: Path, texts: list[str], kept: int) -> None:
    recipe = recipe_of(tmp_path, {"a": [texts]})
    found = run(recipe, tmp_path / "out").stage("dedup")
    assert found.counts().into == len(texts)
    assert found.counts().kept == kept


def test_files_of_the_exchange_that_changed_in_an_interruption_are_made_again(
    tmp_path: Path,
) -> None:
    """They are gone when the stage is complete, so that `corpus check` never sees them."""
    recipe = mixed(tmp_path)
    run(recipe, tmp_path / "whole")
    whole = digests(tmp_path / "whole")
    run(recipe, tmp_path / "out", until="extract")
    tasks = len(ahead.of_dedup()) + 6  # signatures of four parts, copies, edges
    with pytest.raises(Killed):
        run(recipe, tmp_path / "out", engine=Interrupted(tasks))
    flipped = 0
    for path in sorted((tmp_path / "out").glob("dedup-*/.exchange/*/**/*.arrow")):
        data = bytearray(path.read_bytes())
        if not data:
            continue
        data[len(data) // 2 :] = bytes(byte ^ 1 for byte in data[len(data) // 2 :])
        path.write_bytes(data)
        flipped += 1
    assert flipped
    run(recipe, tmp_path / "out")
    assert digests(tmp_path / "out") == whole

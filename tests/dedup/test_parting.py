"""Large components: what prefix filtering connects, and what the stage makes of it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.build import describe
from corpus.config import Dedup
from corpus.dedup import components, exchange, parting, visit
from corpus.dedup.edges import Stars
from corpus.dedup.links import LinksTask, find_links
from corpus.dedup.prefix import COUNTER_BITS, count_shingles, link_runs, prefix_records
from corpus.dedup.spans import span_of, spans
from corpus.engine import LocalEngine
from corpus.manifest import Shard
from corpus.progress import Silent
from corpus.stage_folder import make
from tests.dedup.test_kernels import families, hashed, jaccard
from tests.dedup.test_rule import expected, shingle_set, similarity, verdicts
from tests.dedup.test_steps import Rounds, recipe_of
from tests.made import by_id, changed, run, text

SETS = st.lists(st.sets(st.integers(0, 12), max_size=8), max_size=14)
LARGE = {"preset": "fineweb", "threshold": 0.7, "shingle": 2, "bands": 50, "rows": 2}


def connected(sets: Sequence[set[int]], threshold: float) -> list[int]:
    """Return a label for each set: equal ones for sets that the links connect."""
    offsets = np.cumsum([0, *map(len, sets)], dtype=np.int64)
    hashes = np.array([h for one in sets for h in sorted(map(hashed, one))], dtype=np.uint64)
    counters = np.zeros(1 << COUNTER_BITS, dtype=np.uint32)
    count_shingles(hashes, counters)
    keys, owners, reaches = prefix_records(
        offsets, hashes, np.zeros(len(sets), np.int64), counters, threshold
    )
    sizes = np.diff(offsets)[owners]
    order = np.lexsort((sizes, keys))
    left, right = link_runs(keys[order], sizes[order], reaches[order], threshold)
    labels = list(range(len(sets)))
    for a, b in zip(owners[order[left]].tolist(), owners[order[right]].tolist(), strict=True):
        labels = [labels[a] if label == labels[b] else label for label in labels]
    return labels


def check(sets: Sequence[set[int]], threshold: float) -> int:
    labels = connected(sets, threshold)
    alike = [
        (a, b)
        for a, b in combinations(range(len(sets)), 2)
        if jaccard(sets[a], sets[b]) >= threshold
    ]
    assert all(labels[a] == labels[b] for a, b in alike)
    return len(alike)


def test_sets_that_are_similar_enough_are_always_connected() -> None:
    alike = 0
    for seed in range(120):
        for threshold in (0.3, 0.5, 0.8, 0.9, 1.0):
            alike += check(families(seed), threshold)
    assert alike > 5000


@settings(deadline=None)  # the first call compiles the kernels
@given(SETS, st.floats(0.01, 1))
def test_any_sets_that_are_similar_enough_are_connected(
    sets: list[set[int]], threshold: float
) -> None:
    check(sets, threshold)


@pytest.mark.parametrize("own", [10, 13, 40])
def test_pages_of_one_template_that_are_not_similar_enough_are_not_connected(own: int) -> None:
    """Also where each pair is just below the threshold: 90 of 110 is, at 0.8, and 87 of 113."""
    pages = [
        set(range(100 - own)) | {1000 * i + k for k in range(1, own + 1)} for i in range(1, 50)
    ]
    assert jaccard(pages[0], pages[1]) == (100 - own) / (100 + own)
    groups = len(set(connected(pages, 0.8)))
    assert groups == (1 if own == 10 else 49)


def test_longer_page_that_does_not_reach_a_shorter_one_is_not_connected_with_it() -> None:
    """Ten pages that are alike, and ten with more of their own, which are like none.

    What the former have and the latter have not is frequent elsewhere, so it comes last.
    """
    alike = [set(range(100)) | {1000 * i + k for k in range(5)} for i in range(1, 11)]
    others = [set(range(5, 100)) | {1000 * i + k for k in range(20)} for i in range(11, 21)]
    assert jaccard(alike[0], alike[1]) > 0.9 > 0.8 > jaccard(alike[0], others[0]) > 0.75
    rest = [set(range(5)) | {1000 * i + k for k in range(100)} for i in range(21, 51)]
    labels = connected([*alike, *others, *rest], 0.8)
    assert len(set(labels[:10])) == 1
    assert len(set(labels)) == 1 + 10 + 30


@dataclass(frozen=True)
class RecordsTask:
    """The writing of records of six shingles that pages of one size share, at places that vary."""

    reach: int
    name: str = "00000"
    source: str = "every"
    key: str = "records"
    weight: int = 1
    folder: str = ""


def write_records(task: RecordsTask) -> Shard:
    keys = np.repeat(np.arange(1, 7, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15), 50)
    order = np.argsort(keys, kind="stable")
    records = pa.table(
        {
            "key": keys[order],
            "document": np.arange(len(keys))[order],
            "size": np.full(len(keys), 100, np.int32),
            "reach": np.full(len(keys), task.reach, np.int32),
        }
    )
    path = f"{task.source}/{task.name}.4.arrow"
    cells = exchange.by_hash(keys[order], 4)
    output = exchange.write(task.folder, path, records, cells, "prefixes")
    return Shard(task.name, task.source, task.key, (output,))


@pytest.mark.parametrize(
    ("reach", "rows", "groups"), [(99, 60, 300), (99, 30, 6), (110, 60, 6), (110, 30, 6)]
)
def test_a_range_of_more_records_than_are_sorted_is_parted_by_shingle(
    tmp_path: Path, reach: int, rows: int, groups: int
) -> None:
    """Pages that cannot be alike are connected only where one shingle alone has too many."""
    place, engine = str(tmp_path), LocalEngine(0)
    records = make(place, "prefixes", write_records, [RecordsTask(reach)], engine, Silent())
    task = LinksTask("00000", "every", "links", 1, records.folder, 0, 0, rows, 0.8, (0, 300))
    links = make(place, "links", find_links, [task], engine, Silent())
    edges = exchange.read_all(links.path(links.shards[0].output("edges")))
    labels = list(range(300))
    for a, b in zip(edges["other"].to_pylist(), edges["document"].to_pylist(), strict=True):
        labels = [labels[a] if label == labels[b] else label for label in labels]
    assert len(set(labels)) == groups


def test_stars_in_pieces_connect_what_they_connect_at_once() -> None:
    draw = np.random.default_rng(1)
    keys = draw.integers(0, 40, 400).astype(np.uint64)
    documents = np.arange(400)

    def labels(rows: int) -> list[int]:
        stars = Stars(10**6, rows)
        for start in range(0, 400, 20):
            stars.add(keys[start : start + 20], documents[start : start + 20])
        edges = stars.edges()
        found = list(range(400))
        for a, b in zip(edges["left"].to_pylist(), edges["right"].to_pylist(), strict=True):
            found = [found[a] if label == found[b] else label for label in found]
        return found

    whole = labels(1000)
    assert len(set(whole)) == len(set(keys.tolist()))
    assert labels(45) == whole


def test_spans_are_runs_of_parts_and_never_of_a_build_and_an_index() -> None:
    assert spans([10, 20, 30], 3) == ((0, 3),)
    assert spans([300_000, 200_000, 1, 900_000, 5], 4) == ((0, 2), (2, 3), (3, 4), (4, 5))
    assert spans([1, 1, 1], 2) == ((0, 2), (2, 3))
    assert span_of(np.array([0, 4, 5, 9]), (0, 5, 5, 8)).tolist() == [0, 0, 2, 3]


def small(monkeypatch: pytest.MonkeyPatch, shingles: int) -> None:
    monkeypatch.setattr(components, "BUCKET_SHINGLES", shingles)
    monkeypatch.setattr(components, "LARGE_SHINGLES", shingles)
    monkeypatch.setattr(parting, "RANGE_ROWS", 300)
    monkeypatch.setattr(exchange, "BATCH_ROWS", 16)


def halves(seed: int, count: int) -> list[str]:
    """Return texts of four fifths of a few lists of words: similar to some, less so to most."""
    draw = random.Random(seed)
    lists = [[f"w{number}x{place}" for place in range(30)] for number in range(4)]
    texts = []
    for _ in range(count):
        words = list(draw.choice(lists))
        for _ in range(draw.choice([1, 3, 6])):
            words[draw.randrange(30)] = f"y{draw.randrange(40)}"
        texts.append(" ".join(words))
    return list(dict.fromkeys(texts))


class Steps(Rounds):
    """Counts how often documents are moved, too."""

    moves = 0

    def start(self, stage: str, *, total: int, reused: int, shards: int) -> None:
        super().start(stage, total=total, reused=reused, shards=shards)
        self.moves += stage == "move"


def test_near_copies_of_one_page_take_two_rounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch, 1000)
    page = text("page", 100)
    copies = [changed(page, number, 2) for number in range(80)]
    recipe = recipe_of(tmp_path, {"a": [copies[:30], copies[30:]]}, threshold=0.7)
    build = run(recipe, tmp_path / "out", progress=(steps := Steps()))
    assert build.stage("dedup").counts().kept == 1
    assert build.stage("dedup").summary["largest_group"] == 80
    assert (steps.rounds, steps.moves) == (2, 1)


@pytest.mark.parametrize(
    ("threshold", "most", "rounds", "moves"),
    [(0.4, 8_000_000, 3, 2), (0.7, 60, None, None)],
)
def test_verdicts_of_groups_that_take_rounds_are_those_of_the_plain_rule(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    threshold: float,
    most: int,
    rounds: int | None,
    moves: int | None,
) -> None:
    """Also where little is left of tiers, or a shingle has more records than are sorted at once."""
    listed = halves(3, 240)
    texts = {f"a0-{number:03d}": (0, one) for number, one in enumerate(listed)}
    shape = {**LARGE, "threshold": threshold}
    small(monkeypatch, 400)
    monkeypatch.setattr(parting, "MOST_ROWS", most)
    wanted = expected(texts, Dedup(**shape).scheme())
    assert 15 < sum(reason is None for reason, *_ in wanted.values()) < 200
    assert verdicts(tmp_path / "verdicts", texts, 2, **shape) == wanted
    if rounds is not None:
        recipe = recipe_of(tmp_path, {"a": [listed]}, **shape)
        run(recipe, tmp_path / "out", progress=(steps := Steps()))
        assert (steps.rounds, steps.moves) == (rounds, moves)


def test_document_that_may_be_compared_no_further_is_kept_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(5)
    words = [f"w{number}" for number in range(60)]
    texts = [" ".join(w for w in words if draw.random() < 0.8) for _ in range(80)]
    settings_ = {**LARGE, "shingle": 1, "threshold": 0.75, "max_loss": 1}
    recipe = recipe_of(tmp_path, {"a": [texts]}, **settings_)
    free = run(recipe, tmp_path / "free").stage("dedup")
    assert free.summary["unfinished"] == 0
    monkeypatch.setattr(visit, "MOST_TRIED", 1)
    bound = run(recipe, tmp_path / "bound").stage("dedup")
    assert 0 < bound.summary["unfinished"] < 80
    assert f"{bound.summary['unfinished']} kept before they were compared" in describe(bound)
    assert "kept before" not in describe(free)
    assert bound.summary["compared"] <= 2 * 80
    assert bound.counts().kept >= free.counts().kept
    made = by_id(bound)
    scheme = recipe.dedup.scheme()  # type: ignore[union-attr]
    sets = {f"a0-{n}": shingle_set(one, scheme) for n, one in enumerate(texts)}
    for id, one in made.items():
        if not one["kept"]:
            assert made[one["duplicate_of"]]["kept"]
            assert similarity(sets[id], sets[one["duplicate_of"]]) == one["jaccard"] >= 0.75

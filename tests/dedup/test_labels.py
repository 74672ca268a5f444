"""Labels of connected documents against SciPy, and components that lie in many ranges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from corpus.dedup import labels, spans, sums
from corpus.dedup.labels import Labels, read_labels, write_edges
from corpus.dedup.sums import LARGE, Connected, Sizes, bucketed, total
from corpus.engine import LocalEngine
from corpus.manifest import Manifest, Shard
from corpus.parts import write_table
from corpus.progress import Silent
from corpus.stage_folder import make
from tests.dedup.test_steps import mixed, small_pieces
from tests.made import digests, run

Ints = npt.NDArray[np.int64]
ENGINE = LocalEngine(0)


@dataclass(frozen=True)
class EdgesTask:
    """The writing of given edges, and of the shingles of all documents of a range."""

    edges: tuple[tuple[int, int], ...]
    bounds: tuple[int, ...]
    shingles: tuple[int, ...] = ()
    name: str = "00000"
    source: str = "every"
    key: str = "edges"
    weight: int = 1
    folder: str = ""


def write(task: EdgesTask) -> Shard:
    ends = np.sort(np.array(task.edges, dtype=np.int64).reshape(-1, 2), axis=1)
    table = pa.table({"left": ends[:, 0], "right": ends[:, 1]})
    outputs = [write_edges(task.folder, "every/edges.arrow", table, task.bounds)]
    for number, (first, last) in enumerate(zip(task.bounds, task.bounds[1:], strict=False)):
        own = pa.table({"shingles": np.array(task.shingles[first:last], dtype=np.int64)})
        outputs.append(write_table(task.folder, f"every/{number}.parquet", own, "documents"))
    return Shard(task.name, task.source, task.key, tuple(outputs))


@dataclass
class Steps:
    """Makes steps in a folder, and counts them."""

    folder: Path
    made: int = 0

    def __call__(
        self, name: str, function: Callable[[Any], Shard], tasks: Sequence[Any]
    ) -> Manifest:
        self.made += 1
        return make(str(self.folder), name, function, tasks, ENGINE, Silent())


def given(folder: Path, edges: Ints, bounds: Sequence[int], shingles: Sequence[int] = ()) -> Any:
    pairs = tuple((int(a), int(b)) for a, b in edges)
    task = EdgesTask(pairs, tuple(bounds), tuple(shingles))
    return make(str(folder), "edges", write, [task], ENGINE, Silent())


def found(folder: Path, edges: Ints, bounds: Sequence[int]) -> tuple[list[int], int]:
    """Return the label of each document, -1 without edges, and how many steps it took."""
    steps = Steps(folder)
    stars = Labels("key", "every", tuple(bounds), steps).find([given(folder, edges, bounds)])
    labels_ = [read_labels(stars.folder, bounds, n) for n in range(len(bounds) - 1)]
    return np.concatenate(labels_).tolist(), steps.made


def smallest(count: int, edges: Ints) -> list[int]:
    """Return the same by SciPy."""
    graph = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
    components = connected_components(graph, directed=False)[1]
    label = [int(np.flatnonzero(components == one)[0]) for one in components]
    ends = set(edges.ravel().tolist())
    return [one if document in ends else -1 for document, one in enumerate(label)]


@pytest.mark.parametrize("bounds", [[0, 60], [0, 1, 2, 30, 30, 45, 60]], ids=["one", "many"])
def test_labels_are_the_components_of_scipy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bounds: list[int]
) -> None:
    monkeypatch.setattr(labels, "SORTED_EDGES", 7)
    draw = np.random.default_rng(4)
    for number in (0, 1, 15, 30, 60, 300):
        edges = draw.integers(0, 60, (number, 2))
        edges = edges[edges[:, 0] != edges[:, 1]]
        got, _ = found(tmp_path / str(number), edges, bounds)
        assert got == smallest(60, edges)


@pytest.mark.parametrize("seed", [None, 1, 2], ids=["in order", "at random", "at random too"])
def test_chain_takes_as_many_rounds_as_its_length_has_bits(
    tmp_path: Path, seed: int | None
) -> None:
    chain = np.arange(512)
    if seed is not None:
        np.random.default_rng(seed).shuffle(chain)
    edges = np.stack([chain[:-1], chain[1:]], axis=1)
    got, steps = found(tmp_path, edges, [0, 100, 200, 512])
    assert got == [0] * 512
    assert steps <= 2 * 10


@pytest.mark.parametrize(("center", "steps"), [(0, 2), (299, 2), (150, 4)])
def test_star_takes_a_round_or_two_however_many_leaves_it_has(
    tmp_path: Path, center: int, steps: int
) -> None:
    """One round makes a star, if it was none, or finds that nothing is left to do."""
    leaves = np.delete(np.arange(300), center)
    edges = np.stack([np.full_like(leaves, center), leaves], axis=1)
    assert found(tmp_path, edges, [0, 150, 300]) == ([0] * 300, steps)


def buckets(
    folder: Path, edges: Ints, shingles: Sequence[int], bounds: list[int], own: int
) -> tuple[list[tuple[int, ...]], Manifest]:
    """Return document, label, bucket and shingles of all that count, and the totals."""
    made, steps = given(folder, edges, bounds, shingles), Steps(folder)
    stars = Labels("key", "every", tuple(bounds), steps).find([made])
    files = made.shards[0].all("documents")
    sizes = tuple(
        (Sizes(made.path(file), "shingles", first),)
        for file, first in zip(files, bounds[:-1], strict=True)
    )
    connected = Connected(stars.folder, tuple(bounds), sizes, None, own, large=40, bucket=50)
    totals = total("key", connected, steps)
    rows: list[tuple[int, ...]] = []
    for number in range(len(bounds) - 1):
        columns = [one.tolist() for one in bucketed(connected, totals, number)]
        rows += zip(*columns, strict=True)
    return rows, totals


def test_buckets_are_filled_in_the_order_of_labels_whatever_the_ranges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums, "SORTED_PLACES", 3)
    draw = np.random.default_rng(2)
    edges = draw.integers(0, 100, (45, 2))
    edges = edges[edges[:, 0] != edges[:, 1]]
    shingles = draw.integers(1, 12, 100).tolist()
    one, first = buckets(tmp_path / "one", edges, shingles, [0, 80, 100], 80)
    many, other = buckets(tmp_path / "many", edges, shingles, [0, 5, 30, 31, 80, 95, 100], 80)
    assert one == many
    for name in ("members", "others", "components", "shingles"):
        assert first.measure(name) == other.measure(name)
    # The plain rule: labels ascend, and a bucket ends with the shingles before it.
    label = smallest(100, edges)
    wanted: list[tuple[int, ...]] = []
    before = 0
    for root in sorted({one for one in label if one >= 0}):
        members = [d for d in range(100) if label[d] == root]
        size = sum(shingles[d] for d in members)
        if min(members) >= 80:
            continue  # of the index alone
        wanted += [(d, root, LARGE if size > 40 else before // 50, shingles[d]) for d in members]
        before += size if size <= 40 else 0
    assert one == sorted(wanted)
    assert {bucket for _, _, bucket, _ in one} == {LARGE, 0, 1, 2, 3, 4}
    assert any(document >= 80 for document, *_ in one)


def test_range_of_each_part_gives_the_bytes_of_one_range(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pieces(monkeypatch)
    recipe = mixed(tmp_path, 12)
    at_once = run(recipe, tmp_path / "one").stage("dedup")
    monkeypatch.setattr(spans, "RANGE_DOCUMENTS", 1)
    in_ranges = run(recipe, tmp_path / "many").stage("dedup")
    assert digests(Path(in_ranges.folder)) == digests(Path(at_once.folder))

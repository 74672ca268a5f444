"""Components of many documents, by edges alone: time, peak memory, and the labels against SciPy.

`python benchmarks/dedup_components.py DOCUMENTS [--connected 0.1] [--shape pairs]` makes edges
among the numbers of so many documents, of which a share has any, as files of a million in an
exchange by range, and runs the steps from the edges to the buckets in this process. The shapes:

- `pairs`: clusters of 2 to 6, each connected as a star, every edge in four files
- `star`: one component: a page of which all others are near-copies
- `chain`: one component: each document is like the next one, in an order drawn at random

Printed are, for each step, processor time and peak memory above that of the start.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from dedup import peak
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from corpus.dedup.components import BUCKET_SHINGLES, LARGE_SHINGLES
from corpus.dedup.labels import Labels, read_labels, write_edges
from corpus.dedup.spans import ranges
from corpus.dedup.sums import Connected, Sizes, bucketed, total
from corpus.engine import LocalEngine
from corpus.manifest import Manifest, Shard
from corpus.progress import Silent
from corpus.stage_folder import make

FILE_EDGES = 1_000_000
PART_DOCUMENTS = 100_000
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class EdgesTask:
    """One file of edges, which are drawn again from the seed."""

    shape: str
    documents: int
    connected: int
    number: int
    bounds: tuple[int, ...]
    name: str = ""
    source: str = "all"
    key: str = ""
    weight: int = 1
    folder: str = ""


def drawn(shape: str, documents: int, connected: int) -> Ints:
    """Return all edges, shape (edges, 2)."""
    draw = np.random.default_rng(1)
    chosen = draw.choice(documents, connected, replace=False)
    if shape == "star":
        return np.stack([np.full(connected - 1, chosen[0]), chosen[1:]], axis=1)
    if shape == "chain":
        return np.stack([chosen[:-1], chosen[1:]], axis=1)
    sizes = draw.integers(2, 7, connected // 2)
    starts = np.cumsum(sizes) - sizes
    sizes = sizes[starts + sizes <= connected]
    starts = starts[: len(sizes)]
    center = np.repeat(chosen[starts], sizes)
    edges = np.stack([center, chosen[: len(center)]], axis=1)
    edges = np.tile(edges[edges[:, 0] != edges[:, 1]], (4, 1))
    return edges[draw.permutation(len(edges))]


def write(task: EdgesTask) -> Shard:
    edges = drawn(task.shape, task.documents, task.connected)
    ends = np.sort(edges[task.number * FILE_EDGES : (task.number + 1) * FILE_EDGES], axis=1)
    table = pa.table({"left": ends[:, 0], "right": ends[:, 1]})
    output = write_edges(task.folder, f"all/{task.name}.arrow", table, task.bounds)
    return Shard(task.name, task.source, task.key, (output,))


class Steps:
    """Makes steps in this process and prints what each takes."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.before = 0.0

    def __call__(
        self, name: str, function: Callable[[Any], Shard], tasks: Sequence[Any]
    ) -> Manifest:
        Path("/proc/self/clear_refs").write_text("5")
        begun = time.process_time()
        made = make(self.folder, name, function, tasks, LocalEngine(0), Silent())
        size = sum(output.bytes for shard in made.shards for output in shard.outputs)
        print(
            f"  {name} ({len(tasks)}): {time.process_time() - begun:.1f} s, "
            f"{peak('self') - self.before:.0f} MB, {size / 1e6:.0f} MB on disk",
            flush=True,
        )
        return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("documents", type=int)
    parser.add_argument("--connected", type=float, default=0.1)
    parser.add_argument("--shape", choices=["pairs", "star", "chain"], default="pairs")
    given = parser.parse_args()
    count, own = given.documents, int(given.documents * given.connected)
    edges = drawn(given.shape, count, own)
    rows = [min(PART_DOCUMENTS, count - start) for start in range(0, count, PART_DOCUMENTS)]
    found = ranges(rows, len(rows))
    bounds = (*(first * PART_DOCUMENTS for first, _ in found), count)
    with tempfile.TemporaryDirectory() as folder:
        files = -(-len(edges) // FILE_EDGES)
        tasks = [
            EdgesTask(given.shape, count, own, n, bounds, f"{n:05d}", key=f"{n}")
            for n in range(files)
        ]
        made = make(folder, "edges", write, tasks, LocalEngine(0), Silent())
        for number, size in enumerate(rows):
            table = pa.table({"shingles": np.full(size, 300)})
            pq.write_table(table, f"{folder}/documents-{number}.parquet")
        print(f"{given.shape}: {count:,} documents, {own:,} connected, {len(edges):,} edges")
        del edges
        steps = Steps(folder)
        Path("/proc/self/clear_refs").write_text("5")
        steps.before = peak("self")
        stars = Labels("key", "all", bounds, steps).find([made])
        sizes = tuple(
            tuple(
                Sizes(f"{folder}/documents-{n}.parquet", "shingles", n * PART_DOCUMENTS)
                for n in range(*one)
            )
            for one in found
        )
        connected = Connected(
            stars.folder, bounds, sizes, None, count, LARGE_SHINGLES, BUCKET_SHINGLES
        )
        totals = total("key", connected, steps)
        Path("/proc/self/clear_refs").write_text("5")
        begun = time.process_time()
        counted = sum(len(bucketed(connected, totals, n)[0]) for n in range(len(found)))
        used = time.process_time() - begun
        print(f"  buckets: {used:.1f} s, {peak('self') - steps.before:.0f} MB; {counted:,} counted")
        print(f"  {totals.measure('components'):,} components")
        edges = drawn(given.shape, count, own)
        graph = coo_array((np.ones(len(edges), np.int8), edges.T), shape=(count, count))
        wanted = connected_components(graph, directed=False)[1]
        labels = np.concatenate([read_labels(stars.folder, bounds, n) for n in range(len(found))])
        ends = np.flatnonzero(labels >= 0)
        smallest = np.full(wanted.max() + 1, count)
        np.minimum.at(smallest, wanted, np.arange(count))
        assert (labels[ends] == smallest[wanted[ends]]).all(), "a label is wrong"
        assert len(ends) == len(np.unique(edges)), "a label is missing"


if __name__ == "__main__":
    main()

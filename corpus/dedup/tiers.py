"""Tiers: groups that are too large for a bucket, cut in the order of visits.

In: the documents of such groups, each file in the order of visits, group by group. Out: `assigned`
(document, component, bucket), sorted into an exchange by pile. One process merges the files, of
which it holds a block each, some 100 bytes a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.dedup import exchange
from corpus.dedup.groups import ASSIGNED
from corpus.dedup.order import Scope, visiting_order
from corpus.manifest import Output, Shard

SORTED_ROWS = 1_000_000  # that are written at a time

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TiersTask:
    """All groups of a build that are too large for a bucket.

    Attributes:
        ranked: Paths of their documents, and the blocks of each file.
        scope: Which documents are compared.
        bucket: The bucket that is the first tier.
        tier_shingles: Shingles in a tier.
    """

    name: str
    source: str
    key: str
    weight: int
    ranked: tuple[tuple[str, int], ...]
    scope: Scope
    bucket: int
    tier_shingles: int
    folder: str = ""


def cut_tiers(task: TiersTask) -> Shard:
    """Write the tier of each document.

    `details["tiers"]` has, for each group, the shingles of each of its tiers.
    """
    tiers: list[list[int]] = []
    outputs: list[Output] = []
    held: list[pa.Table] = []
    rows = 0
    group, before, last, bucket = -1, 0, -1, task.bucket - 1
    for table in merged(task.ranked, task.scope):
        component, size = (table[name].to_numpy() for name in ("component", "size"))
        found = np.empty(len(table), dtype=np.int64)
        starts = np.flatnonzero(np.concatenate([[True], component[1:] != component[:-1]]))
        for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(table)], strict=True):
            if component[start] != group:
                group, before, last = int(component[start]), 0, -1
                tiers.append([])
            own = size[start:end]
            tier = (before + np.cumsum(own) - own) // task.tier_shingles
            fresh = np.concatenate([[tier[0] != last], tier[1:] != tier[:-1]])
            found[start:end] = bucket + np.cumsum(fresh)
            sums = np.bincount(found[start:end] - bucket, weights=own).astype(np.int64).tolist()
            if not fresh[0]:
                tiers[-1][-1] += sums[0]
            tiers[-1] += sums[1:]
            before, last, bucket = before + int(own.sum()), int(tier[-1]), int(found[end - 1])
        told = (table["document"], table["component"], found)
        columns = dict(zip(ASSIGNED, told, strict=True))
        held.append(pa.table({**columns, "pile": table["pile"]}))
        rows += len(table)
        if rows >= SORTED_ROWS:
            outputs.append(_write(task, held, len(outputs)))
            held, rows = [], 0
    if held:
        outputs.append(_write(task, held, len(outputs)))
    details = {"tiers": tiers}
    return Shard(task.name, task.source, task.key, tuple(outputs), details=details)


def _write(task: TiersTask, tables: Sequence[pa.Table], number: int) -> Output:
    table = pa.concat_tables(tables)
    path = f"{task.source}/{task.name}.{number}.arrow"
    pile = table["pile"].to_numpy()
    return exchange.write(task.folder, path, table.drop_columns(["pile"]), pile, "assigned")


def merged(files: Sequence[tuple[str, int]], scope: Scope) -> Iterator[pa.Table]:
    """Yield the rows of sorted files in one order: by component, and best first.

    Args:
        files: Paths, and the blocks of each file.
        scope: Which documents are compared.
    """
    read = [0] * len(files)
    blocks: dict[int, pa.Table] = {}
    while True:
        for number, (path, count) in enumerate(files):
            if number not in blocks and read[number] < count:
                blocks[number] = exchange.read(path, read[number], read[number] + 1)
                read[number] += 1
        if not blocks:
            return
        numbers = sorted(blocks)  # of equal rows the order is that of the files
        table = pa.concat_tables([blocks[number] for number in numbers]).combine_chunks()
        ends = np.cumsum([len(blocks[number]) for number in numbers])
        priority = scope.priority(table["source"].to_numpy())
        order = visiting_order(table["component"].to_numpy(), priority, table)
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        # Behind the last row of a block its file may have rows that come before others here.
        more = [read[number] < files[number][1] for number in numbers]
        safe = int(rank[ends - 1][more].min(initial=len(order) - 1)) + 1
        yield table.take(pa.array(order[:safe]))
        for number, end in zip(numbers, ends.tolist(), strict=True):
            start = end - len(blocks.pop(number))
            left = int((rank[start:end] >= safe).sum())  # of its rows, the last ones
            if left:
                blocks[number] = table.slice(end - left, left)

"""Groups: large components parted into what can be similar enough, and new buckets for these.

In: the labels of the links, the places of the groups, and the members of each pile. Out: for each
pile `assigned` (document, component, bucket) of its documents that are linked, directly or through
others, with another one. Documents of a group that is too large for a bucket are `ranked` instead:
in the order of visits, for `corpus.dedup.tiers`.

`move` puts the documents of a bucket into others: those of a pile into these, and later what is
left of a tier into fewer ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.dedup import exchange
from corpus.dedup.order import Scope, visiting_order
from corpus.dedup.sets import EFFORT, read_bucket, shingle_paths, without_effort
from corpus.dedup.spans import places
from corpus.dedup.sums import LARGE, Connected, bucketed
from corpus.manifest import Output, Shard, read_manifest
from corpus.parts import read_columns, write_table

RANKED_ROWS = 4096  # of ranked documents that are read at a time
RANKED = ("source", "score", "length", "id")
ASSIGNED = ("document", "component", "bucket")

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class AssignTask:
    """The documents of one range.

    Attributes:
        connected: What is known of linked documents.
        number: The range.
        totals: Folder of the places of groups.
        piles: The piles that have documents of the range, each with the path of its members.
        scope: Which documents are compared.
    """

    name: str
    source: str
    key: str
    weight: int
    connected: Connected
    number: int
    totals: str
    piles: tuple[tuple[int, str], ...]
    scope: Scope
    folder: str = ""


@dataclass(frozen=True)
class MoveTask:
    """One bucket whose documents get into others.

    Attributes:
        shingles: Folder of the shingles.
        bucket: The bucket.
        documents: Paths of the documents that go on: those assigned to buckets, or what is left of
            a tier.
        into: The bucket that the latter get into, or -1.
        tiers: Folder of more that are assigned, to tiers, or None.
    """

    name: str
    source: str
    key: str
    weight: int
    shingles: str
    bucket: int
    documents: tuple[str, ...]
    into: int = -1
    tiers: str | None = None
    folder: str = ""


def assign(task: AssignTask) -> Shard:
    """Write the new buckets of one range's documents, of each pile in a file of its own.

    `details["piles"]` are the piles of the files that are assigned, and `details["buckets"]` says
    up to which number there are buckets.
    """
    totals = read_manifest(task.totals)
    document, labels, bucket, _ = bucketed(task.connected, totals, task.number)
    large = bucket == LARGE
    outputs: list[Output] = []
    present: list[int] = []
    ranked: list[pa.Table] = []
    for pile, path in task.piles:
        members = read_columns(path, ["document", "size", *RANKED])
        row, own = places(document, members["document"].to_numpy())
        row, members = row[own], members.filter(pa.array(own))
        told = (document[row], labels[row], bucket[row])
        table = pa.table(dict(zip(ASSIGNED, told, strict=True)))
        cut_up = large[row]
        if cut_up.any():
            kept = table.filter(pa.array(cut_up)).select(["document", "component"])
            rest = members.filter(pa.array(cut_up)).select(["size", *RANKED])
            for column in rest.column_names:
                kept = kept.append_column(column, rest[column])
            ranked.append(kept.append_column("pile", pa.array(np.full(len(kept), pile))))
            table = table.filter(pa.array(~cut_up))
        if len(table):
            name = f"{task.source}/{task.name}.{pile:06d}.parquet"
            outputs.append(write_table(task.folder, name, table, "assigned"))
            present.append(pile)
    if ranked:
        table = pa.concat_tables(ranked).combine_chunks()
        priority = task.scope.priority(table["source"].to_numpy())
        order = visiting_order(table["component"].to_numpy(), priority, table)
        block = np.arange(len(order)) // RANKED_ROWS
        name = f"{task.source}/{task.name}.arrow"
        table = table.take(pa.array(order))
        outputs.append(exchange.write(task.folder, name, table, block, "ranked"))
    return Shard(
        task.name,
        task.source,
        task.key,
        tuple(outputs),
        details={"piles": present, "buckets": int(bucket.max(initial=-1)) + 1},
    )


def move(task: MoveTask) -> Shard:
    """Write the documents of a bucket that go on, sorted by their new bucket."""
    told = ("component", "bucket") if task.into < 0 else EFFORT
    tables = [read_columns(path, ["document", *told]) for path in task.documents]
    if task.tiers is not None:
        manifest = read_manifest(task.tiers)
        paths = [manifest.path(output) for shard in manifest.shards for output in shard.outputs]
        tables += [exchange.read(path, task.bucket, task.bucket + 1) for path in paths]
    chosen = pa.concat_tables(tables)
    bucket = np.full(len(chosen), task.into, np.int64)
    if task.into < 0:
        chosen = chosen.sort_by([("bucket", "ascending"), ("document", "ascending")])
        bucket = chosen["bucket"].to_numpy()
    table = read_bucket(shingle_paths(task.shingles), task.bucket)
    order = np.argsort(table["document"].to_numpy())
    ascending = table["document"].to_numpy()[order]
    row = order[np.searchsorted(ascending, chosen["document"].to_numpy())]
    table = table.take(pa.array(row))
    if task.into < 0:
        place = table.column_names.index("component")
        table = table.set_column(place, "component", chosen["component"])
    else:
        table = without_effort(table)
        for column in EFFORT:
            table = table.append_column(column, chosen[column])
    path = f"{task.source}/{task.name}.arrow"
    output = exchange.write(task.folder, path, table, bucket, "shingles")
    return Shard(task.name, task.source, task.key, (output,))

"""Groups: large components parted into what can be similar enough, and new buckets for these.

In: the links, and the members of each pile. Out: for each pile `assigned` (document, component,
bucket) of its documents that are linked, directly or through others, with another one. One process
holds some 40 bytes for each document of a large component, and its identifier where a group is too
large for a bucket: that is cut into tiers, in the order of visits, each a bucket of its own.

`move` puts the documents of a bucket into others: those of a pile into these, and later what is
left of a tier into fewer ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.dedup import exchange
from corpus.dedup.components import cut
from corpus.dedup.order import Scope, visiting_order
from corpus.dedup.sets import EFFORT, read_bucket, shingle_paths, without_effort
from corpus.dedup.unions import connect, flatten
from corpus.manifest import Manifest, Shard, read_manifest
from corpus.parts import read_columns, write_table

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class GroupsTask:
    """All groups of a build's large components.

    Attributes:
        prefixes: Folder of the piles' members.
        links: Folder of the links.
        scope: Which documents are compared.
        bucket_shingles: Shingles in a bucket.
    """

    name: str
    source: str
    key: str
    weight: int
    prefixes: str
    links: str
    scope: Scope
    bucket_shingles: int
    folder: str = ""


@dataclass(frozen=True)
class MoveTask:
    """One bucket whose documents get into others.

    Attributes:
        shingles: Folder of the shingles.
        bucket: The bucket.
        documents: Path of the documents that go on: those assigned to buckets, or what is left of
            a tier.
        into: The bucket that the latter get into, or -1.
    """

    name: str
    source: str
    key: str
    weight: int
    shingles: str
    bucket: int
    documents: str
    into: int = -1
    folder: str = ""


def find_groups(task: GroupsTask) -> Shard:
    """Write the new buckets of each pile's documents; the details say how many buckets there are.

    `details["tiers"]` has, for each group that is cut, the shingles of each of its tiers.
    """
    prefixes = read_manifest(task.prefixes)
    paths = [prefixes.path(shard.output("members")) for shard in prefixes.shards]
    piles = [read_columns(path, ["document", "size"]) for path in paths]
    sizes = np.concatenate([table["size"].to_numpy() for table in piles])
    documents = np.concatenate([table["document"].to_numpy() for table in piles])
    starts = np.cumsum([0, *map(len, piles)])
    del piles
    roots = _roots(read_manifest(task.links), documents)
    labels, group, members = np.unique(roots, return_inverse=True, return_counts=True)
    totals = np.bincount(group, weights=sizes, minlength=len(labels)).astype(np.int64)
    several = members > 1
    large = several & (totals > task.bucket_shingles)
    of_group = np.full(len(labels), -1, dtype=np.int64)
    of_group[several & ~large] = cut(totals[several & ~large], task.bucket_shingles)
    buckets = int(of_group.max(initial=-1)) + 1
    bucket = of_group[group]
    tiers: list[list[int]] = []
    cut_up = np.flatnonzero(large[group])
    if len(cut_up):
        order = cut_up[_order(paths, starts, cut_up, group[cut_up], task.scope)]
        first = buckets
        for own in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
            tier = cut(sizes[own], task.bucket_shingles)
            bucket[own] = first + tier
            tiers.append(np.bincount(tier, weights=sizes[own]).astype(np.int64).tolist())
            first += len(tiers[-1])
    outputs = []
    for index in range(len(paths)):
        own = np.arange(starts[index], starts[index + 1])
        own = own[several[group[own]]]
        table = pa.table(
            {
                "document": documents[own],
                "component": documents[labels[group[own]]],
                "bucket": bucket[own],
            }
        )
        path = f"{task.source}/{index:06d}.parquet"
        outputs.append(write_table(task.folder, path, table, "assigned"))
    return Shard(
        task.name,
        task.source,
        task.key,
        tuple(outputs),
        measures={
            "grouped": int(members[several].sum()),
            "groups": int(several.sum()),
            "largest_group": int(members.max(initial=0)),
        },
        details={"buckets": buckets, "tiers": tiers},
    )


def _roots(links: Manifest, documents: Ints) -> npt.NDArray[Any]:
    """Return the root of each document's group, by its place among the documents, ascending."""
    count = len(documents)
    roots = np.arange(count, dtype=np.int32 if count < 2**31 else np.int64)
    for shard in links.shards:
        table = read_columns(links.path(shard.output("edges")), ["left", "right"])
        left, right = (table[column].to_numpy() for column in ("left", "right"))
        connect(roots, np.searchsorted(documents, left), np.searchsorted(documents, right))
    flatten(roots)
    return roots


def _order(paths: list[str], starts: Ints, rows: Ints, group: Ints, scope: Scope) -> Ints:
    """Return the order of visits of some of the piles' documents, given by their rows."""
    tables: list[pa.Table] = []
    bounds = np.searchsorted(rows, starts)
    for index, path in enumerate(paths):
        own = rows[bounds[index] : bounds[index + 1]] - starts[index]
        if len(own):
            columns = ["source", "score", "length", "id"]
            tables.append(read_columns(path, columns).take(pa.array(own)))
    table = pa.concat_tables(tables)
    return visiting_order(group, scope.priority(table["source"].to_numpy()), table)


def move(task: MoveTask) -> Shard:
    """Write the documents of a bucket that go on, sorted by their new bucket."""
    told = ("component", "bucket") if task.into < 0 else EFFORT
    chosen = read_columns(task.documents, ["document", *told])
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

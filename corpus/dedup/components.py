"""Components: which documents are connected by bands, and which bucket each is visited in.

In: copies and edges. Out: for each part `candidates` (position among the part's documents,
component, bucket) of those that share a band, directly or through others, with another one. One
process holds some 10 bytes for each document and 60 for each candidate.

A bucket is whole components, so that it can be visited by itself. A component that is too large for
one is cut into tiers, in the order of visits, each a bucket of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.dedup.kernels import connect, count_members, flatten
from corpus.dedup.order import Scope, visiting_order
from corpus.dedup.signatures import Signed, read_signed
from corpus.manifest import Shard, read_manifest
from corpus.parts import Part, read_columns, write_table

# Shingles that are visited at a time, some 40 bytes each with their index; one bucket may have
# twice as many. With more, a large component has fewer tiers to compare with one another.
BUCKET_SHINGLES = 4_000_000

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ComponentsTask:
    """All components of a build.

    Attributes:
        signatures: Folder of the signatures.
        copies: Folder of the copies.
        edges: Folder of the edges.
        parts: The parts, in the order of the signatures.
        scope: Which documents are compared.
        bucket_shingles: Shingles in a bucket.
    """

    name: str
    source: str
    key: str
    weight: int
    signatures: str
    copies: str
    edges: str
    parts: tuple[Part, ...]
    scope: Scope
    bucket_shingles: int
    folder: str = ""


def find_components(task: ComponentsTask) -> Shard:
    """Write each part's candidates; the shard's details say how many buckets there are."""
    signed = read_signed(task.signatures)
    roots, members = _connected(signed, task.copies, task.edges)
    labels, component = np.unique(roots, return_inverse=True)
    starts = np.searchsorted(members, signed.bases)
    shingles = _gathered(signed, members, starts, "shingles")
    totals = np.bincount(component, weights=shingles, minlength=len(labels)).astype(np.int64)
    sizes = np.bincount(component, minlength=len(labels))
    large = (totals > task.bucket_shingles) & (sizes > 1)
    of_component = np.full(len(labels), -1, dtype=np.int64)
    of_component[~large] = _cut(totals[~large], task.bucket_shingles)
    buckets = int(of_component.max(initial=-1)) + 1
    bucket = of_component[component]
    tiers: list[int] = []
    own = np.flatnonzero(large[component])
    if len(own):
        order = own[_order(task, signed, members[own], component[own])]
        cuts = np.flatnonzero(np.diff(component[order])) + 1
        for tier in np.split(order, cuts):
            cut = _cut(shingles[tier], task.bucket_shingles)
            bucket[tier] = buckets + sum(tiers) + cut
            tiers.append(int(cut[-1]) + 1)
    outputs = []
    for index, part in enumerate(task.parts):
        span = slice(starts[index], starts[index + 1])
        table = pa.table(
            {
                "position": (members[span] - signed.bases[index]).astype(np.int32),
                "component": labels[component[span]],
                "bucket": bucket[span],
            }
        )
        path = f"{part.source}/{part.name}.parquet"
        outputs.append(write_table(task.folder, path, table, "candidates"))
    return Shard(
        task.name,
        task.source,
        task.key,
        tuple(outputs),
        measures={
            "candidates": len(members),
            "components": len(labels),
            "largest_component": int(sizes.max(initial=0)),
        },
        details={"buckets": buckets, "tiers": tiers},
    )


def _connected(signed: Signed, copies: str, edges: str) -> tuple[Ints, Ints]:
    """Return the roots of the candidates' components, and the candidates, in their order."""
    count = int(signed.bases[-1])
    parents = np.arange(count, dtype=np.int32 if count < 2**31 else np.int64)
    dropped = np.zeros(count, dtype=np.bool_)
    manifest = read_manifest(copies)
    for shard in manifest.shards:
        columns = ["document", "keeper", "dropped"]
        table = read_columns(manifest.path(shard.output("copies")), columns)
        document = table["document"].to_numpy()
        connect(parents, document, table["keeper"].to_numpy())
        dropped[document[table["dropped"].to_numpy()]] = True
    manifest = read_manifest(edges)
    for shard in manifest.shards:
        table = read_columns(manifest.path(shard.output("edges")), ["left", "right"])
        connect(parents, table["left"].to_numpy(), table["right"].to_numpy())
    flatten(parents)
    # A document whose copies alone share its bands is compared with nothing.
    several = count_members(parents, dropped)[parents] > 1
    members = np.flatnonzero(several & ~dropped)
    return parents[members].astype(np.int64), members


def _gathered(signed: Signed, members: Ints, starts: Ints, column: str) -> Ints:
    """Return a column of the signatures' documents for the candidates."""
    found = [np.empty(0, np.int64)]
    for index, path in enumerate(signed.paths("documents")):
        own = members[starts[index] : starts[index + 1]] - signed.bases[index]
        if len(own):
            found.append(read_columns(path, [column])[column].to_numpy()[own])
    return np.concatenate(found)


def _cut(shingles: Ints, most: int) -> Ints:
    """Return the group of each item, from 0, by the shingles before it: up to `most` and one."""
    before = np.cumsum(shingles) - shingles
    return cast(Ints, np.unique(before // most, return_inverse=True)[1].astype(np.int64))


def _order(task: ComponentsTask, signed: Signed, members: Ints, component: Ints) -> Ints:
    """Return the order of visits of the members of large components."""
    starts = np.searchsorted(members, signed.bases)
    tables: list[pa.Table] = []
    sources: list[Ints] = []
    paths: Sequence[str] = signed.paths("documents")
    for index, part in enumerate(task.parts):
        own = members[starts[index] : starts[index + 1]] - signed.bases[index]
        if len(own):
            table = read_columns(paths[index], ["row", "score", "length"]).take(pa.array(own))
            ids = read_columns(part.documents, ["id"])["id"].take(table["row"])
            tables.append(table.append_column("id", ids))
            sources.append(np.full(len(own), task.scope.sources.index(part.source), np.int64))
    priority = task.scope.priority(np.concatenate(sources))
    return visiting_order(component, priority, pa.concat_tables(tables))

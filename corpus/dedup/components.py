"""Components: which documents are connected by bands, and which bucket each is visited in.

In: copies and edges. Out: for each part `candidates` (position among the part's documents,
component, bucket) of those that share a band, directly or through others, with another one. One
process holds some 10 bytes for each document and 60 for each candidate.

Of an index only those documents count that were kept, and that share a band with one of the build:
they take the numbers after the build's own while the components are made, so that memory does not
grow with the index.

A bucket is whole components, so that it can be visited by itself. The documents of components that
are too large for one lie in piles, buckets with numbers after those; `corpus.dedup.groups` parts
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.dedup import exchange
from corpus.dedup.order import Scope
from corpus.dedup.signatures import Signed, read_signed
from corpus.dedup.unions import connect, count_members, flatten
from corpus.manifest import Shard, read_manifest
from corpus.parts import Part, read_columns, standing_rows, write_table
from corpus.text import sorting

# Shingles that are visited at a time, some 40 bytes each with their index; one bucket may have
# twice as many.
BUCKET_SHINGLES = 3_000_000
# A component of more than these is parted: a visit of it costs too much where its pages are all a
# little less alike than the threshold.
LARGE_SHINGLES = 500_000
COPIES = ("document", "keeper", "dropped")
EDGES = ("left", "right")

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ComponentsTask:
    """All components of a build.

    Attributes:
        signatures: Folders of the signatures.
        copies: Folder of the copies.
        edges: Folder of the edges.
        parts: The parts, in the order of the signatures.
        scope: Which documents are compared.
        bucket_shingles: Shingles in a bucket.
        large_shingles: Shingles of a component that is not parted.
    """

    name: str
    source: str
    key: str
    weight: int
    signatures: tuple[str, ...]
    copies: str
    edges: str
    parts: tuple[Part, ...]
    scope: Scope
    bucket_shingles: int
    large_shingles: int
    folder: str = ""


def find_components(task: ComponentsTask) -> Shard:
    """Write the candidates of each part that has any; the details say which and how many buckets.

    The outputs are in the order of `details["parts"]`, which are numbers of parts.
    """
    signed = read_signed(task.signatures, task.scope)
    roots, members = _connected(task, signed)
    labels, component = np.unique(roots, return_inverse=True)
    starts = np.searchsorted(members, signed.bases)
    shingles = _gathered(signed, members, starts, "shingles")
    totals = np.bincount(component, weights=shingles, minlength=len(labels)).astype(np.int64)
    sizes = np.bincount(component, minlength=len(labels))
    large = (totals > task.large_shingles) & (sizes > 1)
    of_component = np.full(len(labels), -1, dtype=np.int64)
    of_component[~large] = cut(totals[~large], task.bucket_shingles)
    buckets = int(of_component.max(initial=-1)) + 1
    bucket = of_component[component]
    own = np.flatnonzero(large[component])
    pile = cut(shingles[own], task.bucket_shingles)
    bucket[own] = buckets + pile
    outputs = []
    present = np.flatnonzero(np.diff(starts)).tolist()
    for index in present:
        span = slice(starts[index], starts[index + 1])
        table = pa.table(
            {
                "position": (members[span] - signed.bases[index]).astype(np.int32),
                "component": labels[component[span]],
                "bucket": bucket[span],
            }
        )
        path = f"{task.source}/{index:06d}.parquet"
        outputs.append(write_table(task.folder, path, table, "candidates"))
    return Shard(
        task.name,
        task.source,
        task.key,
        tuple(outputs),
        measures={
            "candidates": len(members),
            "index_candidates": int((members >= signed.own).sum()),
            "components": len(labels),
            "largest_component": int(sizes.max(initial=0)),
        },
        details={
            "parts": present,
            "buckets": buckets,
            "piles": int(pile.max(initial=-1)) + 1,
        },
    )


def _connected(task: ComponentsTask, signed: Signed) -> tuple[Ints, Ints]:
    """Return the roots of the candidates' components, and the candidates, in their order."""
    own = signed.own
    known = _known(task, signed) if len(task.signatures) > 1 else np.empty(0, np.int64)
    count = own + len(known)
    parents = np.arange(count, dtype=np.int32 if count < 2**31 else np.int64)
    dropped = np.zeros(count, dtype=np.bool_)
    for document, keeper, gone in _edges(task.copies, "copies", COPIES):
        dropped[document[gone]] = True
        connect(parents, *_numbered(document, keeper, own, known))
    for left, right in _edges(task.edges, "edges", EDGES):
        connect(parents, *_numbered(left, right, own, known))
    flatten(parents)
    # A document whose copies alone share its bands is compared with nothing.
    several = count_members(parents, dropped)[parents] > 1
    if len(known):  # nor are documents of an index with one another
        old = dropped.copy()
        old[own:] = True
        several &= count_members(parents, old)[parents] > 0
    members = np.flatnonzero(several & ~dropped)
    numbers = members.copy()
    numbers[members >= own] = known[members[members >= own] - own]
    return parents[members].astype(np.int64), numbers


def _edges(folder: str, role: str, columns: Sequence[str]) -> Iterator[list[npt.NDArray[Any]]]:
    manifest = read_manifest(folder)
    for shard in manifest.shards:
        path = manifest.path(shard.output(role))
        table = read_columns(path, columns) if role == "edges" else exchange.read_all(path)
        yield [table[column].to_numpy() for column in columns]


def _known(task: ComponentsTask, signed: Signed) -> Ints:
    """Return the kept documents of indexes that are at the end of an edge, in their order."""
    ends = [np.empty(0, np.int64)]
    for folder, role, columns in ((task.copies, "copies", COPIES), (task.edges, "edges", EDGES)):
        ends += [sorting.distinct(e[1][e[1] >= signed.own]) for e in _edges(folder, role, columns)]
    found = sorting.distinct(np.concatenate(ends))
    starts = np.searchsorted(found, signed.bases)
    kept = np.zeros(len(found), dtype=np.bool_)
    paths = signed.paths("documents")
    for index in range(signed.own_parts, len(task.parts)):
        span = slice(starts[index], starts[index + 1])
        if span.start < span.stop:
            rows = read_columns(paths[index], ["row"])["row"].to_numpy()
            kept[span] = standing_rows(task.parts[index])[rows[found[span] - signed.bases[index]]]
    return found[kept]


def _numbered(left: Ints, right: Ints, own: int, known: Ints) -> tuple[Ints, Ints]:
    """Return edges with the documents of indexes numbered anew, those that are known."""
    old = right >= own
    if not old.any():
        return left, right
    place = np.searchsorted(known, right)
    stays = ~old
    inside = old & (place < len(known))
    stays[inside] = known[place[inside]] == right[inside]
    return left[stays], np.where(old, own + place, right)[stays]


def _gathered(signed: Signed, members: Ints, starts: Ints, column: str) -> Ints:
    """Return a column of the signatures' documents for the candidates."""
    found = [np.empty(0, np.int64)]
    for index, path in enumerate(signed.paths("documents")):
        own = members[starts[index] : starts[index + 1]] - signed.bases[index]
        if len(own):
            found.append(read_columns(path, [column])[column].to_numpy()[own])
    return np.concatenate(found)


def cut(shingles: Ints, most: int) -> Ints:
    """Return the group of each item, from 0, by the shingles before it: up to `most` and one."""
    before = np.cumsum(shingles) - shingles
    return cast(Ints, np.unique(before // most, return_inverse=True)[1].astype(np.int64))

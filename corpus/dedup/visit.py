"""The visit: the documents of each component, best first, by the true Jaccard index.

The rule: a document is dropped if and only if one of its component that has been kept is at least
as similar as the threshold, and it is dropped for the best such one. So a chain a ~ b ~ c with a
and c unlike each other loses b alone.

In: the shingles by bucket. Out: `found`, the drops of one bucket, with their keepers, sorted into
an exchange by the span of parts. A group that is cut into tiers takes rounds
(`corpus.dedup.rounds`): in each one the documents that are left of the first tier and of the later
ones are compared with those that the round before has kept, and then those of the first with one
another. `left` are the documents of a tier that are not dropped yet, with what they have been
compared with so far.

How much one document may be compared with has a bound, which the pages of no crawl reach, but which
documents can be made for that are all a little less alike than the threshold. A document at that
bound is kept, and counted as unfinished.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.dedup import exchange
from corpus.dedup.comparison_kernels import DROPS, KEEPS
from corpus.dedup.kernels import visit_components
from corpus.dedup.order import Scope, visiting_order
from corpus.dedup.sets import EFFORT, sets_of, shingle_paths, without_effort
from corpus.dedup.spans import places, span_of
from corpus.manifest import Shard
from corpus.parts import read_columns, write_table

DIRECT = 16  # documents of a component that are compared without an index
# What one document may be held against before it is kept unfinished: entries of the index and
# whole documents, some 10 ms of work.
MOST_LOOKED = 1_000_000
MOST_TRIED = 10_000

Ints = npt.NDArray[np.int64]
SCHEMA = pa.schema(
    {
        "document": pa.int64(),
        "keeper_id": pa.string(),
        "keeper_source": pa.int16(),
        "jaccard": pa.float64(),
    }
)


@dataclass(frozen=True)
class Place:
    """A bucket, or what is left of it.

    Attributes:
        shingles: Folder of the shingles.
        bucket: The bucket.
        left: Path of what is left of it, or None for all of it.
    """

    shingles: str
    bucket: int
    left: str | None = None


@dataclass(frozen=True)
class VisitTask:
    """One bucket in one round.

    Attributes:
        place: The bucket.
        kept: What the round before has kept, that this one is compared with.
        last: Whether this is the bucket's last round: its documents are compared with one another.
        cut: Whether the bucket is one tier of several.
        threshold: Least Jaccard index.
        scope: Which documents are compared.
        bounds: The first document of each span of parts.
        most_looked: Entries of an index that a document may be held against.
        most_tried: Documents that it may be compared with in full.
    """

    name: str
    source: str
    key: str
    weight: int
    place: Place
    kept: Place | None
    last: bool
    cut: bool
    threshold: float
    scope: Scope
    bounds: tuple[int, ...]
    most_looked: int
    most_tried: int
    folder: str = ""


def visit_bucket(task: VisitTask) -> Shard:
    """Visit one bucket and write what is dropped."""
    places = [task.place] if task.kept is None else [task.kept, task.place]
    tables = [_read(place) for place in places]
    rows = [len(table) for table in tables]
    sets = sets_of(pa.concat_tables(tables))
    del tables
    order = _order(sets.table, rows, task.scope)
    table = sets.table.take(pa.array(order))
    starts, given = _components(table["component"].to_numpy(), rows)
    source = table["source"].to_numpy()
    roles = KEEPS * task.scope.keeps(source) + DROPS * task.scope.drops(source)
    looked, tried = (table[column].to_numpy().copy() for column in EFFORT)
    keepers, jaccard, compared, unfinished = visit_components(
        starts,
        given,
        task.last,
        sets.offsets[:-1][order],
        sets.offsets[1:][order],
        sets.hashes,
        roles.astype(np.uint8),
        task.threshold,
        DIRECT,
        looked,
        tried,
        task.most_looked,
        task.most_tried,
    )
    dropped = np.flatnonzero(keepers >= 0)
    best = pa.array(keepers[dropped])
    found = pa.table(
        {
            "document": table["document"].take(pa.array(dropped)),
            "keeper_id": table["id"].take(best),
            "keeper_source": table["source"].take(best),
            "jaccard": jaccard[dropped],
        }
    ).cast(SCHEMA)
    name = f"{task.source}/{task.name}"
    span = span_of(found["document"].to_numpy(), task.bounds)
    outputs = [exchange.write(task.folder, f"{name}.arrow", found, span, "found")]
    shingles = 0
    if task.cut:
        stays = keepers < 0
        stays[: int(given.sum())] = False
        shingles = int(np.diff(sets.offsets)[order[stays]].sum())
        left = pa.table({"document": table["document"], "looked": looked, "tried": tried})
        left = left.filter(pa.array(stays))
        outputs.append(write_table(task.folder, f"{name}.left.parquet", left, "left"))
    return Shard(
        task.name,
        task.source,
        task.key,
        tuple(outputs),
        measures={
            "near_duplicates": len(dropped),
            "compared": int(compared),
            "unfinished": int(unfinished),
            "left": shingles,
        },
    )


def _order(table: pa.Table, rows: Sequence[int], scope: Scope) -> Ints:
    """Return the documents of each bucket in turn, by component, best first."""
    order: list[Ints] = []
    start = 0
    for count in rows:
        own = table.slice(start, count)
        priority = scope.priority(own["source"].to_numpy())
        order.append(start + visiting_order(own["component"].to_numpy(), priority, own))
        start += count
    return np.concatenate(order)


def _components(component: Ints, rows: Sequence[int]) -> tuple[Ints, Ints]:
    """Return where components start, and how many documents of each have been kept already."""
    if not rows[-1]:
        return np.zeros(1, np.int64), np.zeros(0, np.int64)
    if len(rows) > 1:  # one component
        return np.array([0, len(component)]), np.array([rows[0]])
    starts = np.flatnonzero(np.concatenate([[True], component[1:] != component[:-1], [True]]))
    return starts, np.zeros(len(starts) - 1, np.int64)


def _read(place: Place) -> pa.Table:
    """Return what is left of a bucket, with its effort so far."""
    return pa.concat_tables(list(_tables(place)))


def _tables(place: Place) -> Iterator[pa.Table]:
    left = read_columns(place.left, ["document", *EFFORT]) if place.left else None
    if left is not None:
        left = left.sort_by("document")
        documents = left["document"].to_numpy()
    for path in shingle_paths(place.shingles):
        table = exchange.read(path, place.bucket, place.bucket + 1)
        if left is not None:
            row, stays = places(documents, table["document"].to_numpy())
            table = without_effort(table.filter(pa.array(stays)))
            effort = [left[column].take(pa.array(row[stays])) for column in EFFORT]
        elif EFFORT[0] in table.column_names:
            effort = [table[column] for column in EFFORT]
            table = without_effort(table)
        else:
            effort = [pa.array(np.zeros(len(table), np.int64))] * len(EFFORT)
        for column, values in zip(EFFORT, effort, strict=True):
            table = table.append_column(column, values)
        yield table

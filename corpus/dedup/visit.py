"""The visit: the documents of each component, best first, by the true Jaccard index.

The rule: a document is dropped if and only if one of its component that has been kept is at least
as similar as the threshold, and it is dropped for the best such one. So a chain a ~ b ~ c with a
and c unlike each other loses b alone.

In: the shingles by bucket. Out: `found`, the drops of one bucket, with their keepers. A component
that is cut into tiers takes as many rounds as it has tiers: in round r the documents that are
left of tier r and the later ones are compared with those kept of tier r - 1, and then those of
tier r with one another. `left` are the documents of a tier that are not dropped yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.dedup import exchange
from corpus.dedup.kernels import DROPS, KEEPS, visit_components
from corpus.dedup.order import Scope, visiting_order
from corpus.manifest import Shard, read_manifest
from corpus.parts import read_columns, write_table

DIRECT = 16  # documents of a component that are compared without an index

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
class VisitTask:
    """One bucket in one round.

    Attributes:
        shingles: Folder of the shingles.
        bucket: The bucket.
        kept_bucket: The tier before, whose kept documents this one is compared with, or -1.
        kept: Path of what is left of that tier.
        left: Path of what is left of this bucket, or None for all of it.
        last: Whether this is the bucket's last round: its documents are compared with one another.
        cut: Whether the bucket is one tier of several.
        threshold: Least Jaccard index.
        scope: Which documents are compared.
    """

    name: str
    source: str
    key: str
    weight: int
    shingles: str
    bucket: int
    kept_bucket: int
    kept: str | None
    left: str | None
    last: bool
    cut: bool
    threshold: float
    scope: Scope
    folder: str = ""


def visit_bucket(task: VisitTask) -> Shard:
    """Visit one bucket and write what is dropped."""
    paths = _paths(task.shingles)
    own = _read(paths, task.bucket, task.left, task.scope)
    before = _read(paths, task.kept_bucket, task.kept, task.scope)
    component = own["component"].to_numpy()
    if task.kept is None:
        table = own
        starts = np.flatnonzero(np.concatenate([[True], component[1:] != component[:-1], [True]]))
        given = np.zeros(len(starts) - 1, np.int64)
    else:  # one component
        table = pa.concat_tables([before, own])
        starts, given = np.array([0, len(table)]), np.array([len(before)])
    if not len(own):
        starts, given = np.zeros(1, np.int64), np.zeros(0, np.int64)
    del own, before
    source = table["source"].to_numpy()
    roles = KEEPS * task.scope.keeps(source) + DROPS * task.scope.drops(source)
    offsets, hashes = _sets(table)
    keepers, jaccard, compared = visit_components(
        starts, given, task.last, offsets, hashes, roles.astype(np.uint8), task.threshold, DIRECT
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
    outputs = [write_table(task.folder, f"{name}.parquet", found, "found")]
    if task.cut:
        stays = keepers < 0
        stays[: int(given.sum())] = False
        left = table.select(["document"]).filter(pa.array(stays))
        outputs.append(write_table(task.folder, f"{name}.left.parquet", left, "left"))
    return Shard(
        task.name,
        task.source,
        task.key,
        tuple(outputs),
        measures={"near_duplicates": len(dropped), "compared": int(compared)},
    )


def _paths(folder: str) -> Sequence[str]:
    manifest = read_manifest(folder)
    return [manifest.path(output) for shard in manifest.shards for output in shard.outputs]


def _read(paths: Sequence[str], bucket: int, left: str | None, scope: Scope) -> pa.Table:
    """Return what is left of a bucket, by component, best first."""
    tables = list(_tables(paths, bucket, left))
    table = pa.concat_tables(tables)
    source = table["source"].to_numpy()
    order = visiting_order(table["component"].to_numpy(), scope.priority(source), table)
    return table.take(pa.array(order))


def _tables(paths: Sequence[str], bucket: int, left: str | None) -> Iterator[pa.Table]:
    documents = None if left is None else read_columns(left, ["document"])["document"].to_numpy()
    for path in paths:
        table = exchange.read(path, bucket, bucket + 1)
        if documents is not None and len(table):
            stays = np.isin(table["document"].to_numpy(), documents)
            table = table.filter(pa.array(stays))
        yield table


def _sets(table: pa.Table) -> tuple[Ints, npt.NDArray[np.uint64]]:
    """Return the column of shingles as offsets and values."""
    lists = table["shingles"].combine_chunks()
    if isinstance(lists, pa.ChunkedArray):
        lists = pa.concat_arrays(lists.chunks) if lists.num_chunks else pa.array([], lists.type)
    return np.asarray(lists.offsets).astype(np.int64), np.asarray(lists.values)

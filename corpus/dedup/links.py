"""Links: which documents of large components can be similar enough to one another at all.

In: the records of first shingles, one range of keys a task. Out: `edges`, pairs of document numbers
that connect all documents of a run of equal keys whose sizes and places allow it, in an exchange by
the range of the larger one. They are fewer than the records.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.dedup import exchange
from corpus.dedup.edges import Stars
from corpus.dedup.labels import write_edges
from corpus.dedup.prefix import link_runs, maybe_shared
from corpus.manifest import Shard, read_manifest

COLUMNS = {"key": np.uint64, "document": np.int64, "size": np.int32, "reach": np.int32}
# A range of more records than are sorted at a time is read in so many times finer ones (as bits),
# so often.
FINER_BITS = 4
MOST_FINER = 3


@dataclass(frozen=True)
class LinksTask:
    """One range of keys: those that begin with the `bits` of `partition`.

    Attributes:
        prefixes: Folder of the records.
        partition: First bits of the keys.
        bits: How many.
        rows: Records that are sorted at a time.
        threshold: Least Jaccard index.
        bounds: The first document of each range of them.
    """

    name: str
    source: str
    key: str
    weight: int
    prefixes: str
    partition: int
    bits: int
    rows: int
    threshold: float
    bounds: tuple[int, ...]
    folder: str = ""


def find_links(task: LinksTask) -> Shard:
    """Write the links of one range of keys."""
    manifest = read_manifest(task.prefixes)
    paths = [manifest.path(shard.output("prefixes")) for shard in manifest.shards]
    edges = pa.concat_tables(list(_links(paths, task, task.partition, task.bits)))
    output = write_edges(task.folder, f"{task.source}/{task.name}.arrow", edges, task.bounds)
    return Shard(task.name, task.source, task.key, (output,))


def _links(paths: list[str], task: LinksTask, partition: int, bits: int) -> Iterator[pa.Table]:
    """Yield the links of the keys that begin with the `bits` of `partition`.

    More records than are sorted at a time come of a few keys that all pages of a template have. So
    they are read again in finer ranges, which parts these keys. Where a single key has so many, all
    its documents are connected, whatever their sizes: more than have to be, and none is lost.
    """
    tables: list[pa.Table] = []
    rows = 0
    for _, table in exchange.read_hashes(paths, "key", partition, bits):
        tables.append(table)
        rows += len(table)
        if rows > task.rows:
            break
    if rows <= task.rows:
        yield _linked(tables, task.threshold)
        return
    del tables, table
    finer = bits + FINER_BITS
    if finer > task.bits + MOST_FINER * FINER_BITS:
        stars = Stars(np.iinfo(np.int64).max, min(task.rows, exchange.TASK_ROWS))
        for _, table in exchange.read_hashes(paths, "key", partition, bits):
            stars.add(table["key"].to_numpy(), table["document"].to_numpy())
        yield stars.edges()
        return
    for own in range(partition << FINER_BITS, (partition + 1) << FINER_BITS):
        yield from _links(paths, task, own, finer)


def _linked(tables: list[pa.Table], threshold: float) -> pa.Table:
    """Return the links of some records, whose tables are taken out of the list.

    Nothing is held longer than it is used: some 60 bytes a record with the tables.
    """
    shared = maybe_shared(np.concatenate([np.empty(0, np.uint64), *_arrays(tables, "key")]))
    first = 0
    for index, table in enumerate(tables):
        own = shared[first : first + len(table)]
        first += len(table)
        tables[index] = table.filter(pa.array(own))
    del shared
    # Of no table, the type is still that of the column.
    key, document, size, reach = (
        np.concatenate([np.empty(0, dtype), *_arrays(tables, column)])
        for column, dtype in COLUMNS.items()
    )
    tables.clear()
    order = np.lexsort((size, key))
    key, size, reach = key[order], size[order], reach[order]
    document = document[order]
    del order
    left, right = link_runs(key, size, reach, threshold)
    del key, size, reach
    ends = document[left], document[right]
    del document, left, right
    smaller, larger = np.minimum(*ends), np.maximum(*ends)
    del ends
    order = np.lexsort((larger, smaller))
    smaller, larger = smaller[order], larger[order]
    del order
    fresh = smaller != larger
    fresh[1:] &= (smaller[1:] != smaller[:-1]) | (larger[1:] != larger[:-1])
    return pa.table({"left": smaller[fresh], "right": larger[fresh]})


def _arrays(tables: list[pa.Table], column: str) -> Iterator[npt.NDArray[Any]]:
    return (table[column].to_numpy() for table in tables)

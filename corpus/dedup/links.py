"""Links: which documents of large components can be similar enough to one another at all.

In: the records of first shingles, one range of keys a task. Out: `edges`, pairs of document numbers
that connect all documents of a run of equal keys whose sizes and places allow it. They are fewer
than the records.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from corpus.dedup import exchange
from corpus.dedup.edges import Stars
from corpus.dedup.prefix import link_runs, maybe_shared
from corpus.manifest import Shard, read_manifest
from corpus.parts import write_table

COLUMNS = ("key", "document", "size", "reach")


@dataclass(frozen=True)
class LinksTask:
    """One range of keys: those that begin with the `bits` of `partition`.

    Attributes:
        prefixes: Folder of the records.
        partition: First bits of the keys.
        bits: How many.
        rows: Records that are sorted at a time.
        threshold: Least Jaccard index.
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
    folder: str = ""


def find_links(task: LinksTask) -> Shard:
    """Write the links of one range of keys.

    A range has more records than are sorted at a time only where a shingle has. Then all documents
    of equal keys are connected, whatever their sizes: more than have to be, and none is lost.
    """
    manifest = read_manifest(task.prefixes)
    paths = [manifest.path(shard.output("prefixes")) for shard in manifest.shards]
    tables: list[pa.Table] = []
    rows = 0
    for _, table in exchange.read_hashes(paths, "key", task.partition, task.bits):
        tables.append(table)
        rows += len(table)
        if rows > task.rows:
            tables.clear()
            break
    within = tables and rows
    edges = _linked(pa.concat_tables(tables), task.threshold) if within else _stars(paths, task)
    output = write_table(task.folder, f"{task.source}/{task.name}.parquet", edges, "edges")
    return Shard(task.name, task.source, task.key, (output,))


def _stars(paths: list[str], task: LinksTask) -> pa.Table:
    """Return edges between all documents of equal keys."""
    stars = Stars(np.iinfo(np.int64).max, task.rows)
    for _, table in exchange.read_hashes(paths, "key", task.partition, task.bits):
        stars.add(table["key"].to_numpy(), table["document"].to_numpy())
    return stars.edges()


def _linked(table: pa.Table, threshold: float) -> pa.Table:
    """Return the links of some records."""
    table = table.filter(pa.array(maybe_shared(table["key"].to_numpy())))
    key, document, size, reach = (table[column].to_numpy() for column in COLUMNS)
    order = np.lexsort((size, key))
    sizes, reaches = size[order].astype(np.int64), reach[order].astype(np.int64)
    left, right = link_runs(key[order], sizes, reaches, threshold)
    ends = document[order]
    edges = np.sort(np.stack([ends[left], ends[right]], axis=1), axis=1)
    edges = np.unique(edges[edges[:, 0] != edges[:, 1]], axis=0)
    return pa.table({"left": edges[:, 0], "right": edges[:, 1]})

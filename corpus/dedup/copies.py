"""Exact copies: the documents with the text of another one, found by a 128-bit hash of it.

In: the exact keys of all parts, one range of keys a task. Out: `copies`, each document of a text
that several have except the best of them, with that best one, sorted into an exchange by the span
of the best one; `dropped` says whether the scope lets it be dropped for that. By ranges of
documents: `edges`, the same as edges, and `gone`, those that are dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from corpus.dedup import exchange
from corpus.dedup.labels import write_edges
from corpus.dedup.order import Scope, visiting_order
from corpus.dedup.prefix import maybe_shared
from corpus.dedup.signatures import read_signed
from corpus.dedup.spans import span_of
from corpus.manifest import Shard

SCHEMA = pa.schema(
    {
        "document": pa.int64(),
        "keeper": pa.int64(),
        "keeper_id": pa.string(),
        "keeper_source": pa.int16(),
        "dropped": pa.bool_(),
    }
)


@dataclass(frozen=True)
class CopiesTask:
    """One range of exact keys: those that begin with the `bits` of `partition`.

    Attributes:
        signatures: Folders of the keys.
        partition: First bits of the keys.
        bits: How many.
        scope: Which documents are compared.
        bounds: The first document of each span of parts.
        ranges: The first document of each range of parts.
        role: Of the files of keys: "texts", or "urls" for those of addresses.
    """

    name: str
    source: str
    key: str
    weight: int
    signatures: tuple[str, ...]
    partition: int
    bits: int
    scope: Scope
    bounds: tuple[int, ...]
    ranges: tuple[int, ...]
    role: str = "texts"
    folder: str = ""


def find_copies(task: CopiesTask) -> Shard:
    """Write the copies of one range of keys."""
    signed = read_signed(task.signatures, task.scope)
    tables = []
    paths = signed.paths(task.role)
    for part, table in exchange.read_hashes(paths, "high", task.partition, task.bits):
        document = signed.bases[part] + table["position"].to_numpy().astype(np.int64)
        source = np.full(len(document), signed.sources[part], np.int16)
        tables.append(
            table.drop_columns(["position"])
            .append_column("document", pa.array(document))
            .append_column("source", pa.array(source))
        )
        del table
    found = _copies(_copied(tables, task.scope), task.scope) if tables else SCHEMA.empty_table()
    name = f"{task.source}/{task.name}"
    ends = found["document"].to_numpy(), found["keeper"].to_numpy()
    edges = pa.table({"left": np.minimum(*ends), "right": np.maximum(*ends)})
    gone = found.filter(found["dropped"]).select(["document"])
    range_ = span_of(gone["document"].to_numpy(), task.ranges)
    outputs = (
        exchange.write(
            task.folder, f"{name}.arrow", found, span_of(ends[1], task.bounds), "copies"
        ),
        write_edges(task.folder, f"{name}.edges.arrow", edges, task.ranges),
        exchange.write(task.folder, f"{name}.gone.arrow", gone, range_, "gone"),
    )
    measures = {"exact_duplicates": len(gone)}
    return Shard(task.name, task.source, task.key, outputs, measures=measures)


def _copied(tables: list[pa.Table], scope: Scope) -> pa.Table:
    """Return the rows whose text, and group of the scope, is that of another one.

    Their tables are taken out of the list, and most rows, which are nobody's copies, let go first.
    """
    shared = maybe_shared(np.concatenate([table["low"].to_numpy() for table in tables]))
    first = 0
    for index, table in enumerate(tables):
        tables[index] = table.filter(pa.array(shared[first : first + len(table)]))
        first += len(table)
    table = pa.concat_tables(tables).combine_chunks()
    tables.clear()
    del shared
    columns = [table["low"].to_numpy(), table["high"].to_numpy()]
    columns.append(scope.group(table["source"].to_numpy()))
    order = np.lexsort(columns)
    same = np.ones(max(len(order) - 1, 0), dtype=np.bool_)
    for column in columns:
        same &= column[order[1:]] == column[order[:-1]]
    several = np.zeros(len(order), dtype=np.bool_)
    several[1:] = same
    several[:-1] |= same
    run = np.concatenate([np.zeros(min(len(order), 1), np.int64), np.cumsum(~same)])[several]
    del columns, same
    table = table.drop_columns(["low", "high"])
    return table.take(pa.array(order[several])).append_column("run", pa.array(run))


def _copies(table: pa.Table, scope: Scope) -> pa.Table:
    """Return all documents but the best of each run, and those of indexes, with the best."""
    source = table["source"].to_numpy()
    run = table["run"].to_numpy()
    if "length" not in table.column_names:  # equal texts
        table = table.append_column("length", pa.array(np.zeros(len(run), np.int64)))
    order = visiting_order(run, scope.priority(source), table)
    run = run[order]
    starts = np.ones(len(run), dtype=np.bool_)
    starts[1:] = run[1:] != run[:-1]
    first = order[np.maximum.accumulate(np.where(starts, np.arange(len(run)), 0))]
    others = ~starts & ~scope.indexed(source[order])
    own, best = order[others], first[others]
    document = table["document"].to_numpy()
    return pa.table(
        {
            "document": document[own],
            "keeper": document[best],
            "keeper_id": table["id"].take(pa.array(best)),
            "keeper_source": source[best],
            "dropped": scope.drops(source[own]) & scope.keeps(source[best]),
        }
    ).cast(SCHEMA)

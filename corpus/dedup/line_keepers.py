"""Which document keeps each line that several have: the first in the order of visits.

In: the distinct lines of all parts, one range of hashes a task. Out: `keepers`, for each part the
lines that are to be cut there, with the id and the source of the document that keeps them, in an
exchange by part. A line is a row for each part that has it, however often it occurs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.dedup import exchange
from corpus.dedup.order import Scope, visiting_order
from corpus.manifest import Shard

SCHEMA = pa.schema(
    {
        "hash": pa.uint64(),
        "keeper": pa.string(),
        "keeper_source": pa.int16(),
        "row": pa.int32(),  # of the keeper, where it is in this part, or -1
        "shared": pa.bool_(),  # whether any other document loses the line
    }
)
_GROUP = np.uint64(0x9E3779B97F4A7C15)
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LineKeepersTask:
    """One range of hashes: those that begin with the `bits` of `partition`.

    Attributes:
        lines: Paths of the lines of each part.
        sources: The number of each part's source.
        partition: First bits of the hashes.
        bits: How many.
        scope: Which documents are compared.
        loses: Of each source, whether it loses lines; those that do not are visited first.
        minimum_documents: How many documents a line that is cut is in.
    """

    name: str
    source: str
    key: str
    weight: int
    lines: tuple[str, ...]
    sources: tuple[int, ...]
    partition: int
    bits: int
    scope: Scope
    loses: tuple[bool, ...]
    minimum_documents: int
    folder: str = ""


def find_line_keepers(task: LineKeepersTask) -> Shard:
    """Write what each part loses of one range of hashes."""
    tables = []
    for at, table in exchange.read_hashes(task.lines, "hash", task.partition, task.bits):
        number = np.full(len(table), at, np.int32)
        tables.append(table.append_column("part", pa.array(number)))
    found, part = SCHEMA.empty_table(), np.empty(0, np.int64)
    if tables:
        found, part = _keepers(pa.concat_tables(tables), task)
    path = f"{task.source}/{task.name}.arrow"
    output = exchange.write(task.folder, path, found, part, "keepers")
    return Shard(task.name, task.source, task.key, (output,))


def _keepers(every: pa.Table, task: LineKeepersTask) -> tuple[pa.Table, Ints]:
    """Return the rows of `SCHEMA`, and the part of each."""
    source = np.array(task.sources, np.int64)[every["part"].to_numpy()]
    # The same line of another group is another line.
    key = every["hash"].to_numpy() ^ (task.scope.group(source).astype(np.uint64) * _GROUP)
    order = np.argsort(key, kind="stable")
    several, run = _repeated(key[order], every, order, task.minimum_documents)
    chosen = every.take(pa.array(order[several])).combine_chunks()
    source, run = source[order[several]], run[several]
    protected = ~np.array(task.loses, np.bool_)[source]
    # Negative is before all: what loses no lines comes first.
    priority = task.scope.priority(source) - len(task.scope.sources) * protected
    visited = visiting_order(run, priority, chosen)
    run = run[visited]
    starts = np.ones(len(run), dtype=np.bool_)
    starts[1:] = run[1:] != run[:-1]
    place = np.cumsum(starts) - 1
    best = visited[starts][place] if len(run) else visited
    part = chosen["part"].to_numpy()
    here = part[visited] == part[best]
    gone = ~protected[visited]
    # A keeper's own part loses the line if the part has it more than once.
    cut = np.where(starts, chosen["times"].to_numpy()[visited] > 1, True) & gone
    others = np.where(starts, chosen["documents"].to_numpy()[visited] > 1, True) & gone
    shared = np.bincount(place[others], minlength=int(starts.sum()))[place] > 0
    wanted = cut | (starts & shared & gone)
    table = pa.table(
        {
            "hash": chosen["hash"].take(pa.array(visited)),
            "keeper": chosen["id"].take(pa.array(best)),
            "keeper_source": source[best],
            "row": np.where(here, chosen["row"].to_numpy()[best], -1),
            "shared": shared,
        }
    ).cast(SCHEMA)
    return table.filter(pa.array(wanted)), part[visited][wanted].astype(np.int64)


def _repeated(
    key: npt.NDArray[np.uint64], every: pa.Table, order: Ints, least: int
) -> tuple[npt.NDArray[np.bool_], Ints]:
    """Return which of the sorted rows are of lines to be cut, and the number of each row's run."""
    starts = np.ones(len(key), dtype=np.bool_)
    starts[1:] = key[1:] != key[:-1]
    run = np.cumsum(starts) - 1
    first = np.flatnonzero(starts)
    if not len(first):
        return starts, run
    times = np.add.reduceat(every["times"].to_numpy()[order].astype(np.int64), first)
    having = np.add.reduceat(every["documents"].to_numpy()[order].astype(np.int64), first)
    return ((times > 1) & (having >= least))[run], run

"""What is cut out of each part, and which documents have too little left.

In: a part, the list of its drops, and the lines that it loses. Out: `cuts`, a row for each document
that loses a line: row, whether it is kept, the ranges that are cut, and each line with its keeper.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus.config import LineDedup
from corpus.dedup import exchange
from corpus.dedup.line_keepers import SCHEMA
from corpus.dedup.lines import documents
from corpus.document import CUTS, DEDUP_LINES_SCHEMA, LINES, DropReason
from corpus.manifest import Shard
from corpus.parts import Part, read_columns, write_table

if TYPE_CHECKING:
    from corpus.text.lines import Lines

CUT_SCHEMA = pa.schema({"row": pa.int64(), "kept": pa.bool_(), "cuts": CUTS, "lines": LINES})
MEASURES = ("text_bytes", "cut_lines", "cut_bytes", "cut_documents", "short_keepers")
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LineCutsTask:
    """One part that loses lines.

    Attributes:
        part: The part.
        drops: Path of the list of its drops as duplicates.
        number: Of the part, in the keepers.
        keepers: Paths of the keepers of every range of hashes.
        sources: Names of the sources.
        lines: What a line is, and how short a document may become.
    """

    name: str
    source: str
    key: str
    weight: int
    part: Part
    drops: str
    number: int
    keepers: tuple[str, ...]
    sources: tuple[str, ...]
    lines: LineDedup
    folder: str = ""


@dataclass(frozen=True)
class Losses:
    """What one part loses: the path of its `cuts`, and the figures of `MEASURES`."""

    path: str
    measures: Mapping[str, int]


@dataclass(frozen=True)
class _Matches:
    """Which lines of a batch are among those that the part loses.

    Attributes:
        place: Of each line its row in the keepers, or -1.
        gone: Which are cut: all but the first in its keeper.
        keeps: Of each document, whether it keeps a line that another one loses.
    """

    place: Ints
    gone: Flags
    keeps: Flags


def find_line_cuts(task: LineCutsTask) -> Shard:
    """Write what one part loses."""
    from corpus.text import lines, ngrams

    settings = task.lines
    tables = [exchange.read(path, task.number, task.number + 1) for path in task.keepers]
    lost = pa.concat_tables([SCHEMA.empty_table(), *tables]).sort_by("hash").combine_chunks()
    found = [CUT_SCHEMA.empty_table()]
    measures = dict.fromkeys(MEASURES, 0)
    for rows, batch in documents(task.part, task.drops, ["text"]):
        texts = batch.column("text")
        measures["text_bytes"] += int(np.diff(ngrams.text_buffers(texts)[1]).sum())
        if not len(lost):
            continue
        own = lines.find_lines(texts, unit=settings.unit, normalization=settings.normalization)
        matches = _matches(own, rows, lost)
        made = lines.cut_lines(texts, own, matches.gone)
        changed = np.flatnonzero(np.diff(made.offsets))
        short = made.left < max(settings.minimum_left, 1)
        kept = ~short | matches.keeps
        measures["short_keepers"] += int((short & matches.keeps)[changed].sum())
        measures["cut_lines"] += int(matches.gone.sum())
        measures["cut_bytes"] += int((made.cuts[:, 1] - made.cuts[:, 0]).sum())
        measures["cut_documents"] += len(changed)
        spans = [pa.array(np.ascontiguousarray(column)) for column in made.cuts.T]
        found.append(
            pa.table(
                {
                    "row": rows[changed],
                    "kept": kept[changed],
                    "cuts": _lists(made.offsets, changed, spans, CUTS),
                    "lines": _lines(own, matches, changed, lost, task.sources),
                }
            ).cast(CUT_SCHEMA)
        )
    path = f"{task.source}/{task.name}.parquet"
    output = write_table(task.folder, path, pa.concat_tables(found), "cuts")
    return Shard(task.name, task.source, task.key, (output,), measures=measures)


def _matches(own: Lines, rows: Ints, lost: pa.Table) -> _Matches:
    """Compare the lines of a batch, whose documents stand in `rows` of the part, with the lost."""
    hashes = lost["hash"].to_numpy()
    place = np.minimum(np.searchsorted(hashes, own.hashes), len(hashes) - 1)
    place[(hashes[place] != own.hashes) | (own.words < 1)] = -1
    document = own.rows
    inside = np.flatnonzero(place >= 0)
    keeper = lost["row"].to_numpy()[place[inside]] == rows[document[inside]]
    # The first line of each hash in the document that keeps it.
    pairs = document[inside[keeper]] * len(hashes) + place[inside[keeper]]
    first = inside[keeper][np.unique(pairs, return_index=True)[1]]
    gone = place >= 0
    gone[first] = False
    keeps = np.zeros(len(rows), dtype=np.bool_)
    shared = lost["shared"].combine_chunks().to_numpy(zero_copy_only=False)
    keeps[document[first[shared[place[first]]]]] = True
    return _Matches(place, gone, keeps)


def _lists(offsets: Ints, rows: Ints, columns: list[pa.Array], kind: pa.ListType) -> pa.ListArray:
    """Return the lists of some rows; all values are those of these rows."""
    spans = pa.StructArray.from_arrays(columns, fields=list(kind.value_type))
    ends = pa.array(np.append(offsets[rows], len(spans)), pa.int32())
    return pa.ListArray.from_arrays(ends, spans)


def _lines(
    own: Lines, matches: _Matches, rows: Ints, lost: pa.Table, sources: tuple[str, ...]
) -> pa.ListArray:
    gone = np.flatnonzero(matches.gone)
    before = np.concatenate([[0], np.cumsum(matches.gone)])[own.bounds]
    keepers = lost.take(pa.array(matches.place[gone]))
    columns = [
        pa.array(own.starts[gone]),
        pa.array(own.ends[gone]),
        keepers["keeper"].combine_chunks(),
        pa.array(sources, pa.string()).take(keepers["keeper_source"].combine_chunks()),
        pa.array(own.hashes[gone]),
    ]
    return _lists(before, rows, columns, LINES)


def with_line_cuts(verdicts: pa.Table, losses: Losses) -> pa.Table:
    """Return the verdicts of a part with what its documents lose, and those dropped for it.

    Args:
        verdicts: `corpus.document.DEDUP_SCHEMA`, row by row.
        losses: What the part loses.

    Returns:
        `corpus.document.DEDUP_LINES_SCHEMA`.
    """
    cuts = read_columns(losses.path, CUT_SCHEMA.names).combine_chunks()
    rows = cuts["row"].to_numpy()
    short = np.zeros(len(verdicts), dtype=np.bool_)
    short[rows[~cuts["kept"].to_numpy()]] = True
    mask = pa.array(short)
    columns = {name: verdicts[name] for name in verdicts.column_names}
    columns["kept"] = pc.if_else(mask, False, columns["kept"])
    columns["reason"] = pc.if_else(mask, str(DropReason.DUPLICATE_LINES), columns["reason"])
    for name in ("cuts", "lines"):
        given = cuts[name].combine_chunks()
        ends = np.zeros(len(verdicts) + 1, dtype=np.int32)
        ends[rows + 1] = given.value_lengths().to_numpy()
        ends = np.cumsum(ends, dtype=np.int32)
        columns[name] = pa.ListArray.from_arrays(pa.array(ends), given.flatten())
    return pa.table(columns).cast(DEDUP_LINES_SCHEMA)

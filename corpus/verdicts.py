"""A build as it is read: documents files with the verdicts of every stage beside them, row by row.

In: a finished build. Out: its parts with all their verdicts, the places of documents in them, and
single rows, of which no more is read than the row groups that hold them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus import storage
from corpus.build import Build, read_build
from corpus.errors import InputError, IntegrityError
from corpus.parts import Part, damaged, parts, read_columns

PLACE = ("warc_file", "warc_offset", "dump", "page")  # the columns of provenance


@dataclass(frozen=True, slots=True)
class JudgedPart:
    """One documents file and the verdict files about its rows.

    Attributes:
        part: The documents, with the last verdict.
        verdicts: Path of the verdict of each stage that wrote one, in order.
    """

    part: Part
    verdicts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RowPlace:
    """Where a row of a build is: the index of its part, and the row there."""

    part: int
    row: int


def judged_parts(build: Build) -> list[JudgedPart]:
    """Return the parts of a build in the order of the sources.

    Raises:
        InputError: Its extract stage is not built.
        IntegrityError: A stage has no verdict for a part.
    """
    extract, stages = build.stage("extract"), build.verdicts
    found = {manifest.stage: parts(extract, manifest) for manifest in stages}
    last = stages[-1] if stages else None
    return [
        JudgedPart(
            part,
            {
                stage: verdict
                for stage, judged in found.items()
                if (verdict := judged[index].verdict) is not None
            },
        )
        for index, part in enumerate(parts(extract, last))
    ]


def take_rows(path: str, rows: Sequence[int], columns: Sequence[str] | None = None) -> pa.Table:
    """Return rows of a Parquet file, in the order asked for.

    Args:
        path: Path or URL.
        rows: Numbers of rows; each may come more than once.
        columns: Which columns; all by default.

    Raises:
        IntegrityError: The file is damaged or has fewer rows.
    """
    wanted = np.asarray(rows, dtype=np.int64)
    order = np.argsort(wanted, kind="stable")
    ascending = wanted[order]
    tables: list[pa.Table] = []
    first = 0
    with storage.open_arrow(path) as file:
        try:
            parquet = pq.ParquetFile(file)
            for group in range(parquet.num_row_groups):
                last = first + parquet.metadata.row_group(group).num_rows
                own = ascending[(ascending >= first) & (ascending < last)] - first
                if own.size:
                    tables.append(parquet.read_row_group(group, columns).take(pa.array(own)))
                first = last
            schema = parquet.schema_arrow
        except (pa.ArrowInvalid, OSError) as error:
            raise damaged(path, error) from error
    if ascending.size and int(ascending[-1]) >= first:
        raise IntegrityError(
            f"the file has {first} rows, and row {int(ascending[-1])} was asked for",
            where=path,
            fix="Run corpus check",
        )
    if not tables:
        names = schema.names if columns is None else columns
        return pa.schema([schema.field(name) for name in names]).empty_table()
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order))
    return pa.concat_tables(tables).take(pa.array(places))


def verdict_rows(judged: JudgedPart, rows: Sequence[int]) -> dict[str, list[dict[str, Any]]]:
    """Return for each stage its whole verdicts on rows of a part, as plain values."""
    return {stage: take_rows(path, rows).to_pylist() for stage, path in judged.verdicts.items()}


def find_ids(
    judged: Sequence[JudgedPart], ids: Collection[str], *, sources: Collection[str] | None = None
) -> Iterator[tuple[str, RowPlace]]:
    """Yield the places of documents with given ids, in order.

    Args:
        judged: The parts to search.
        ids: What is searched for.
        sources: Only these are searched; all by default.
    """
    wanted = pa.array(sorted(ids), pa.string())
    for index, one in enumerate(judged):
        if len(wanted) and (sources is None or one.part.source in sources):
            column = read_columns(one.part.documents, ["id"])["id"].combine_chunks()
            inside = pc.is_in(column, value_set=wanted).to_numpy(zero_copy_only=False)
            for row in np.flatnonzero(inside).tolist():
                yield column[row].as_py(), RowPlace(index, row)


def find_urls(
    judged: Sequence[JudgedPart], wanted: Collection[tuple[str, str]]
) -> dict[tuple[str, str], str | None]:
    """Return the URLs of those documents, given by id and source, that are there."""
    found: dict[tuple[str, str], str | None] = {}
    ids, sources = {id for id, _ in wanted}, {source for _, source in wanted}
    for id, place in find_ids(judged, ids, sources=sources):
        part = judged[place.part].part
        if (id, part.source) in wanted:
            url = take_rows(part.documents, [place.row], ["url"])["url"][0].as_py()
            found[id, part.source] = url
    return found


def index_parts(folder: str) -> list[JudgedPart]:
    """Return the parts of an earlier build, or none where it is gone."""
    try:
        return judged_parts(read_build(folder))
    except InputError:
        return []


def kept_mask(kept: pa.ChunkedArray, *, value: bool) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which rows of a verdict's `kept` are true (or false); null is neither."""
    mask = pc.equal(kept, value).fill_null(False).combine_chunks()
    return np.asarray(mask.to_numpy(zero_copy_only=False), dtype=np.bool_)

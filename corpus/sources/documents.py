"""Ready-made documents: JSONL, Parquet, plain text files, and tar archives of these.

A path goes in; documents and drops come out, in the order of the file. JSONL (`.jsonl`, `.ndjson`,
`.json` with one object a line), text files and archives may be compressed with gzip, bzip2, xz or
Zstandard.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus import storage
from corpus.document import Document, Drop, DropReason
from corpus.errors import InputError
from corpus.sources import document_archive, streams
from corpus.sources.document_rows import (
    FIELDS,
    damage_drop,
    document_of,
    drop,
    from_json_lines,
    most_line_bytes,
)

# Rows of a row group that are decoded at a time: they are held in memory together.
_BATCH_ROWS = 64


def read(
    path: str, *, name: str, fields: Mapping[str, str], max_document_bytes: int
) -> Iterator[Document | Drop]:
    """Yield the documents of a JSONL, Parquet or text file or archive, and a drop for each loss.

    Args:
        path: Local path or URL.
        name: Stable name of the file, for identifiers and provenance.
        fields: Which field or column of the file holds `text`, `id`, `url`, `date`, `title`; a
            name that is not given is looked for under itself. `data.content` is the field
            `content` of the object or struct `data`.
        max_document_bytes: Bound on the UTF-8 bytes of a text; more is dropped.

    Yields:
        Documents, with `Place(dump=name, page=row)` where rows and lines count from 1. The `id`
        is the file's own when it is a string or an integer, else a hash of name, row and text;
        dates become ISO 8601 in UTC, and None when they cannot be read.

    Raises:
        InputError: The file cannot be read at all, is of no known kind, or is a Parquet file
            without a column of text.
    """
    unknown = sorted(set(fields) - set(FIELDS))
    if unknown:
        raise InputError(
            f"unknown field {unknown[0]!r}", where=name, fix=f"Known fields: {', '.join(FIELDS)}"
        )
    columns = {field: fields.get(field, field) for field in FIELDS}
    plain = streams.plain_name(path)
    if plain.endswith(".parquet"):
        yield from _parquet(path, name, columns, max_document_bytes)
    elif plain.endswith(document_archive.LINES):
        lines = streams.lines(path, max_line_bytes=most_line_bytes(max_document_bytes))
        yield from from_json_lines(lines, name, columns, max_document_bytes)
    elif plain.endswith(document_archive.TEXTS):
        yield _text_file(path, name, max_document_bytes)
    elif document_archive.is_archive(path):
        yield from document_archive.read(path, name, columns, max_document_bytes)
    else:
        raise InputError(
            "unknown kind of document file",
            where=path,
            why="The kind is told by the name",
            fix=f"Use one of {', '.join((*document_archive.LINES, '.parquet', '.tar'))}, "
            f"{', '.join(document_archive.TEXTS)} (+ .gz, .bz2, .xz, .zst)",
        )


def _parquet(
    path: str, name: str, columns: Mapping[str, str], max_document_bytes: int
) -> Iterator[Document | Drop]:
    with storage.open_arrow(path) as handle:
        try:
            file = pq.ParquetFile(handle)
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                "the file cannot be read as Parquet",
                where=path,
                why=str(error)[:200],
                fix="Fetch the file again",
            ) from error
        present = {
            field: column for field, column in columns.items() if _type(file.schema_arrow, column)
        }
        _check_text_column(path, columns["text"], file.schema_arrow)
        before = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            done = 0
            try:
                batches = file.iter_batches(
                    batch_size=_BATCH_ROWS,
                    row_groups=[group],
                    columns=sorted(set(present.values())),
                    use_threads=False,
                )
                for batch in batches:
                    cells = {field: _column(batch, column) for field, column in present.items()}
                    for row in range(batch.num_rows):
                        done += 1
                        values = {field: _cell(cells[field][row]) for field in cells}
                        number = before + done
                        yield document_of(values, columns["text"], name, number, max_document_bytes)
            except (pa.ArrowException, OSError) as error:
                detail = f"{rows - done:,} rows of row group {group} are lost: {str(error)[:200]}"
                yield drop(name, before + done + 1, DropReason.DAMAGED_RECORD, detail)
            before += rows


def _check_text_column(path: str, column: str, schema: pa.Schema) -> None:
    kind = _type(schema, column)
    if kind is None:
        raise InputError(
            f"there is no column {column!r} for the text",
            where=path,
            why=f"The columns are {', '.join(schema.names)}",
            fix="Name the column: fields: {text: COLUMN}",
        )
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    ):
        raise InputError(
            f"the column {column!r} is not text but {kind}",
            where=path,
            fix="Name another column: fields: {text: COLUMN}",
        )


def _type(schema: pa.Schema, column: str) -> pa.DataType | None:
    """Return the type of a column or of a struct's field (`data.content`), or None."""
    if column in schema.names:
        return schema.field(column).type
    first, *names = column.split(".")
    kind = schema.field(first).type if first in schema.names else None
    for name in names:
        index = kind.get_field_index(name) if kind and pa.types.is_struct(kind) else -1
        kind = kind.field(index).type if kind and index >= 0 else None
    return kind


def _column(batch: pa.RecordBatch, column: str) -> pa.Array:
    if column in batch.schema.names:
        return batch.column(column)
    first, *names = column.split(".")
    return pc.struct_field(batch.column(first), names)


def _cell(scalar: Any) -> object:
    """Return the Python value of a cell, and None for one that Python cannot hold."""
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        # Text that is not UTF-8, or a timestamp beyond the year 9999.
        return None


def _text_file(path: str, name: str, max_document_bytes: int) -> Document | Drop:
    try:
        data = streams.whole(path, max_bytes=max_document_bytes)
    except streams.DamagedStreamError as damage:
        return damage_drop(damage, name, 1)
    if data is None:
        detail = f"more than {max_document_bytes:,} bytes"
        return drop(name, 1, DropReason.TEXT_TOO_LARGE, detail)
    text = streams.decode(data)
    if text is None:
        return drop(name, 1, DropReason.MALFORMED, "not text: NUL bytes or damaged UTF-16")
    return document_of({"text": text}, "text", name, 1, max_document_bytes)

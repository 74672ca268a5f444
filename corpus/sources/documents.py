"""Ready-made documents: JSONL, Parquet and plain text files.

A path goes in; documents and drops come out, in the order of the file. JSONL (`.jsonl`, `.ndjson`,
`.json` with one object a line) and text files may be compressed with gzip, bzip2, xz or Zstandard.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpus import storage
from corpus.document import Document, Drop, DropReason, Place, identifier
from corpus.errors import InputError
from corpus.sources import streams

FIELDS = ("text", "id", "url", "date", "title")
_LINES = (".jsonl", ".ndjson", ".json")
_TEXTS = (".txt", ".text", ".md")
# JSON may write a byte of text in six ("\\u0041"), which lines up to 256 MiB are allowed.
_ESCAPED = 6
_ESCAPED_LINE = 1 << 28
_OTHER_FIELDS = 1 << 20
_MAX_ID_BYTES = 1024
# Rows of a row group that are decoded at a time: they are held in memory together.
_BATCH_ROWS = 64


def read(
    path: str, *, name: str, fields: Mapping[str, str], max_document_bytes: int
) -> Iterator[Document | Drop]:
    """Yield the documents of a JSONL, Parquet or plain text file, and a drop for each row lost.

    Args:
        path: Local path or URL.
        name: Stable name of the file, for identifiers and provenance.
        fields: Which field or column of the file holds `text`, `id`, `url`, `date`, `title`; a
            name that is not given is looked for under itself.
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
    elif plain.endswith(_LINES):
        yield from _json_lines(path, name, columns, max_document_bytes)
    elif plain.endswith(_TEXTS):
        yield _text_file(path, name, max_document_bytes)
    else:
        raise InputError(
            "unknown kind of document file",
            where=path,
            why="The kind is told by the name",
            fix=f"Use one of {', '.join((*_LINES, '.parquet', *_TEXTS))} (+ .gz, .bz2, .xz, .zst)",
        )


def damage_drop(
    damage: streams.DamagedStreamError,
    name: str,
    page: int | None,
    *,
    lost: str = "the rest of the file",
) -> Drop:
    """Return the drop that stands for the part of a compressed file that cannot be had."""
    reason = DropReason.TRUNCATED_RECORD if damage.cut_off else DropReason.DAMAGED_RECORD
    return Drop(
        id=identifier("damaged", name, damage.position),
        url=None,
        reason=reason,
        detail=f"{damage}; {lost} is lost",
        place=Place(dump=name, page=page),
    )


def _json_lines(
    path: str, name: str, columns: Mapping[str, str], max_document_bytes: int
) -> Iterator[Document | Drop]:
    number = 0
    escaped = min(_ESCAPED * max_document_bytes, _ESCAPED_LINE)
    max_line_bytes = max(max_document_bytes, escaped) + _OTHER_FIELDS
    try:
        for number, line in streams.lines(path, max_line_bytes=max_line_bytes):
            if isinstance(line, int):
                detail = f"line {number} has {line:,} bytes, more than {max_line_bytes:,}"
                yield _drop(name, number, DropReason.TEXT_TOO_LARGE, detail)
                continue
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8"))
            except RecursionError:
                yield _drop(name, number, DropReason.MALFORMED, f"line {number}: nested too deeply")
                continue
            except ValueError as error:
                detail = f"line {number}: {str(error)[:200]}"
                yield _drop(name, number, DropReason.MALFORMED, detail)
                continue
            if not isinstance(row, dict):
                detail = f"line {number}: not an object but {type(row).__name__}"
                yield _drop(name, number, DropReason.MALFORMED, detail)
                continue
            values = {field: row.get(column) for field, column in columns.items()}
            yield _document(values, columns["text"], name, number, max_document_bytes)
    except streams.DamagedStreamError as damage:
        yield damage_drop(damage, name, number + 1)


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
            field: column for field, column in columns.items() if column in file.schema_arrow.names
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
                    cells = {field: batch.column(column) for field, column in present.items()}
                    for row in range(batch.num_rows):
                        done += 1
                        values = {field: _cell(cells[field][row]) for field in cells}
                        number = before + done
                        yield _document(values, columns["text"], name, number, max_document_bytes)
            except (pa.ArrowException, OSError) as error:
                detail = f"{rows - done:,} rows of row group {group} are lost: {str(error)[:200]}"
                yield _drop(name, before + done + 1, DropReason.DAMAGED_RECORD, detail)
            before += rows


def _check_text_column(path: str, column: str, schema: pa.Schema) -> None:
    if column not in schema.names:
        raise InputError(
            f"there is no column {column!r} for the text",
            where=path,
            why=f"The columns are {', '.join(schema.names)}",
            fix="Name the column: fields: {text: COLUMN}",
        )
    kind = schema.field(column).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    ):
        raise InputError(
            f"the column {column!r} is not text but {kind}",
            where=path,
            fix="Name another column: fields: {text: COLUMN}",
        )


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
        return _drop(name, 1, DropReason.TEXT_TOO_LARGE, detail)
    text = streams.decode(data)
    if text is None:
        return _drop(name, 1, DropReason.MALFORMED, "not text: NUL bytes or damaged UTF-16")
    return _document({"text": text}, "text", name, 1, max_document_bytes)


def _document(
    values: Mapping[str, object], column: str, name: str, row: int, max_document_bytes: int
) -> Document | Drop:
    text = values.get("text")
    if not isinstance(text, str) or not text.strip():
        what = "empty" if isinstance(text, str) else f"not text but {type(text).__name__}"
        detail = "missing" if text is None else what
        return _drop(name, row, DropReason.MISSING_TEXT, f"{column!r} of row {row} is {detail}")
    text = streams.repaired(text)
    size = len(text.encode("utf-8"))
    if size > max_document_bytes:
        detail = f"{size:,} bytes, more than {max_document_bytes:,}"
        return _drop(name, row, DropReason.TEXT_TOO_LARGE, detail)
    return Document(
        id=_own_id(values.get("id")) or identifier("documents", name, row, text),
        url=_string(values.get("url")),
        date=iso_date(values.get("date")),
        title=_string(values.get("title")),
        text=text,
        place=Place(dump=name, page=row),
    )


def _own_id(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 1 << 128 else None
    own = _string(value)
    return own if own is not None and len(own.encode("utf-8")) <= _MAX_ID_BYTES else None


def _string(value: object) -> str | None:
    return (streams.repaired(value).strip() or None) if isinstance(value, str) else None


def iso_date(value: object) -> str | None:
    """Return a date as ISO 8601 in UTC: `2020-12-31`, or `2020-12-31T23:59:59Z` with a time.

    Args:
        value: An ISO 8601 string, seconds since 1970 (a number, or a string of digits), or a date
            or datetime. A time without a zone is taken for UTC.

    Returns:
        The date, or None for anything else.
    """
    try:
        if isinstance(value, str):
            value = value.strip()
            if value.isascii() and value.isdigit() and len(value) > 8:
                value = int(value)
            elif len(value) == 10:
                return datetime.date.fromisoformat(value).isoformat()
            else:
                value = datetime.datetime.fromisoformat(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = datetime.datetime.fromtimestamp(value, tz=datetime.UTC)
        if isinstance(value, datetime.datetime):
            zoned = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
            utc = zoned.astimezone(datetime.UTC).replace(tzinfo=None, microsecond=0)
            return utc.isoformat() + "Z"
        if isinstance(value, datetime.date):
            return value.isoformat()
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _drop(name: str, row: int, reason: DropReason, detail: str) -> Drop:
    return Drop(
        id=identifier("documents", name, row, reason),
        url=None,
        reason=reason,
        detail=detail,
        place=Place(dump=name, page=row),
    )

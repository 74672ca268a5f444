"""Rows of ready-made documents: a value for each of our fields in, a document or a drop out.

Also lines of JSON, which files and members of archives hold alike, and dates in one form.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping

from corpus.document import Document, Drop, DropReason, Place, identifier
from corpus.sources import streams

FIELDS = ("text", "id", "url", "date", "title")
# JSON may write a byte of text in six ("\\u0041"), which lines up to 256 MiB are allowed.
_ESCAPED = 6
_ESCAPED_LINE = 1 << 28
_OTHER_FIELDS = 1 << 20
_MAX_ID_BYTES = 1024


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


def most_line_bytes(max_document_bytes: int) -> int:
    """Return the bound on a line of JSON whose text is within its bound."""
    escaped = min(_ESCAPED * max_document_bytes, _ESCAPED_LINE)
    return max(max_document_bytes, escaped) + _OTHER_FIELDS


def value_of(row: Mapping[str, object], field: str) -> object:
    """Return a field of a row, or of an object in it: `data.content`; None when it is not there.

    A field whose own name has the dot comes first.
    """
    if field in row or "." not in field:
        return row.get(field)
    value: object = row
    for name in field.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def from_json_lines(
    lines: Iterable[tuple[int, bytes | int]],
    name: str,
    columns: Mapping[str, str],
    max_document_bytes: int,
    *,
    before: int = 0,
) -> Iterator[Document | Drop]:
    """Yield the documents of lines of JSON, and a drop for each line that is none.

    Args:
        lines: Numbers and lines, or the lengths of those over `most_line_bytes`.
        name: Stable name of the file, for identifiers and provenance.
        columns: Our fields and the file's names of them.
        max_document_bytes: Bound on the UTF-8 bytes of a text.
        before: Rows of the file that have come before these lines.
    """
    number = before
    try:
        for place, line in lines:
            number = before + place
            if isinstance(line, int):
                detail = f"line {number} has {line:,} bytes, over the bound"
                yield drop(name, number, DropReason.TEXT_TOO_LARGE, detail)
                continue
            if place == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8"))
            except RecursionError:
                yield drop(name, number, DropReason.MALFORMED, f"line {number}: nested too deeply")
                continue
            except ValueError as error:
                detail = f"line {number}: {str(error)[:200]}"
                yield drop(name, number, DropReason.MALFORMED, detail)
                continue
            if not isinstance(row, dict):
                detail = f"line {number}: not an object but {type(row).__name__}"
                yield drop(name, number, DropReason.MALFORMED, detail)
                continue
            values = {field: value_of(row, column) for field, column in columns.items()}
            yield document_of(values, columns["text"], name, number, max_document_bytes)
    except streams.DamagedStreamError as damage:
        yield damage_drop(damage, name, number + 1)


def document_of(
    values: Mapping[str, object], column: str, name: str, row: int, max_document_bytes: int
) -> Document | Drop:
    """Return the document of a row, or its drop; `column` is the file's name of the text."""
    text = values.get("text")
    if not isinstance(text, str) or not text.strip():
        what = "empty" if isinstance(text, str) else f"not text but {type(text).__name__}"
        detail = "missing" if text is None else what
        return drop(name, row, DropReason.MISSING_TEXT, f"{column!r} of row {row} is {detail}")
    text = streams.repaired(text)
    size = len(text.encode("utf-8"))
    if size > max_document_bytes:
        detail = f"{size:,} bytes, more than {max_document_bytes:,}"
        return drop(name, row, DropReason.TEXT_TOO_LARGE, detail)
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


def drop(name: str, row: int, reason: DropReason, detail: str) -> Drop:
    """Return the drop of a row."""
    return Drop(
        id=identifier("documents", name, row, reason),
        url=None,
        reason=reason,
        detail=detail,
        place=Place(dump=name, page=row),
    )

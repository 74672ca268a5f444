"""What an archive is read into: records, and the stretches that hold none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class HeaderLookup(Protocol):
    """Headers by name, in any case."""

    def get(self, key: str, default: str | None = None, /) -> str | None:
        """Return a header's value."""
        ...


@dataclass(frozen=True, slots=True)
class Record:
    """One record of an archive.

    Attributes:
        offset: Byte offset in the file: of the gzip member that the record starts in, or of the
            record itself in an uncompressed archive.
        kind: WARC-Type in lower case (`response`, `request`, `warcinfo`, ...).
        headers: The WARC headers.
        body: The record block, cut at the limit asked for.
        length: Bytes that the block has in the archive; more than `len(body)` when that was cut.
        truncated: Why the block is shorter than its declared length, or None when it is whole.
    """

    offset: int
    kind: str
    headers: HeaderLookup
    body: bytes
    length: int
    truncated: str | None


@dataclass(frozen=True, slots=True)
class Damage:
    """A stretch of an archive that holds no readable record.

    Attributes:
        offset: Where it begins, in bytes of the file.
        cause: What was wrong, for a person.
        at_end: The archive ends inside a record, as after a download that broke off.
    """

    offset: int
    cause: str
    at_end: bool = False


def declared_length(headers: HeaderLookup) -> int | None:
    """Return the `Content-Length` of a record, or None when it has none that means anything."""
    value = (headers.get("Content-Length") or "").strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 18 else None

"""WARC archives compressed with zstd or LZ4: FastWARC alone, restarted at the next frame.

They are rare (Common Crawl and the Internet Archive use gzip), so there is no careful reader for
them: damage costs the frames up to the next one that can be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from corpus.sources.archive.fast import Stream, reraise_unless_refusal
from corpus.sources.archive.gzip_members import Archive
from corpus.sources.archive.record import Damage, Record, declared_length

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
LZ4_MAGIC = b"\x04\x22\x4d\x18"
SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")  # RFC 8878: holds a zstd dictionary
_MAX_DICTIONARY_BYTES = 16 << 20
_CHUNK = 1 << 20


def framed(archive: Archive, limit: int, head: bytes) -> Iterator[Record | Damage]:
    """Read zstd and LZ4 archives: FastWARC alone, restarted at the next frame behind damage."""
    from fastwarc.warc import ArchiveIterator

    magic = LZ4_MAGIC if head.startswith(LZ4_MAGIC) else ZSTD_MAGIC
    dictionary = _dictionary_frame(archive, head)
    offset = 0
    while offset < archive.size:
        stream: Any = Stream(archive, offset, dictionary if offset else b"")
        last = offset
        try:
            for raw in ArchiveIterator(stream, parse_http=False, fsspec_args=False):
                last = max(last, raw.stream_pos)
                yield _framed_record(raw, limit)
            return
        except BaseException as error:  # noqa: BLE001 -- sorted out in the call
            reraise_unless_refusal(error, stream)
            cause = str(error)
        found = _next_frame(archive, last + 1, magic)
        yield Damage(last, cause, at_end=found is None)
        if found is None:
            return
        offset = found


def _framed_record(raw: Any, limit: int) -> Record:
    declared = declared_length(raw.headers)
    body, length = _block(raw.reader, limit)
    short = declared is not None and length < declared
    cause = f"{length} bytes where {declared} are declared" if short else None
    kind = (raw.headers.get("WARC-Type") or "unknown").strip().lower()
    return Record(raw.stream_pos, kind, raw.headers, body, length, cause)


def _block(reader: Any, limit: int) -> tuple[bytes, int]:
    """Return the bytes of a block up to the limit, and its length."""
    body: bytes = reader.read(limit)
    return body, len(body) + reader.consume()


def _dictionary_frame(archive: Archive, head: bytes) -> bytes:
    """Return the frame with the dictionary that every other frame of a zstd archive may need."""
    if not SKIPPABLE.match(head):
        return b""
    size = 8 + int.from_bytes(head[4:8], "little")
    return archive.read_at(0, size) if size <= _MAX_DICTIONARY_BYTES else b""


def _next_frame(archive: Archive, offset: int, magic: bytes) -> int | None:
    while offset < archive.size:
        window = archive.read_at(offset, _CHUNK)
        at = window.find(magic)
        if at >= 0:
            return offset + at
        if len(window) < len(magic):
            return None
        offset += len(window) - len(magic) + 1
    return None

"""FastWARC over an archive, up to the first thing that is odd.

In: an `Archive` and an offset. Out: records, and where another reader has to go on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from corpus.sources.archive.dialects import WARC
from corpus.sources.archive.gzip_members import GZIP_MAGIC, Archive, begins_record
from corpus.sources.archive.record import Record, declared_length

_CHUNK = 1 << 20
_VERIFIED = 4  # records at the start of which every offset is checked, then every 64th
_VERIFIED_EVERY = 64


class Stream:
    """What FastWARC reads from: the archive from an offset on.

    It remembers read errors, and where the magic number of a gzip member went by.

    Args:
        archive: The file.
        offset: Where to begin.
        prefix: Served first: the dictionary of a zstd archive that is read from its middle.
    """

    def __init__(self, archive: Archive, offset: int, prefix: bytes = b"") -> None:
        self._archive = archive
        self._offset = offset
        self._prefix = prefix
        self._tail = b""
        self._magics: deque[int] = deque()
        self.failure: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        if self._prefix:
            prefix, self._prefix = self._prefix, b""
            return prefix
        try:
            data = self._archive.read_at(self._offset, size if size > 0 else _CHUNK)
        except Exception as error:
            self.failure = error
            raise
        base = self._offset - len(self._tail)
        window = self._tail + data
        at = window.find(GZIP_MAGIC)
        while at >= 0:
            self._magics.append(base + at)
            at = window.find(GZIP_MAGIC, at + 1)
        self._tail = window[-2:]
        self._offset += len(data)
        return data

    def tell(self) -> int:
        """Return the offset in the archive."""
        return self._offset - len(self._prefix)

    def one_member(self, offset: int) -> bool:
        """Say whether a member begins at `offset` and none was passed over since the last call."""
        skipped = False
        while self._magics and self._magics[0] < offset:
            skipped |= begins_record(self._archive, self._magics.popleft(), WARC.prefixes)
        return bool(self._magics) and self._magics.popleft() == offset and not skipped


class Fast:
    """FastWARC from an offset on, up to the first thing that is odd.

    Attributes:
        resume: Where the careful reader has to go on, once the records are used up.
        again: Records that it will meet there though they have been yielded.
    """

    def __init__(self, archive: Archive, offset: int, limit: int, *, gzipped: bool) -> None:
        self._archive = archive
        self._limit = limit
        self._gzipped = gzipped
        self.resume = offset
        self.again = 0

    def records(self) -> Iterator[Record]:
        """Yield the records that are beyond doubt: the last one of an archive never is."""
        from fastwarc.warc import ArchiveIterator

        stream: Any = Stream(self._archive, self.resume)
        held: Record | None = None
        at = self.resume  # of the first record that has not been yielded
        count = 0
        try:
            for raw in ArchiveIterator(stream, parse_http=False, fsspec_args=False):
                offset = raw.stream_pos
                if self._gzipped and not stream.one_member(offset):
                    break  # a block reached over the next record, or a member holds several
                if held:
                    yield held
                    self.again += 1
                held = None
                if not self._gzipped or count < _VERIFIED or count % _VERIFIED_EVERY == 0:
                    if not self._begins(offset):
                        at = self.resume
                        break
                    self.resume, self.again = offset, 0
                at = offset
                count += 1
                held = _fast_record(raw, offset, self._limit, gzipped=self._gzipped)
                if held is None:
                    break
        except BaseException as error:  # noqa: BLE001 -- sorted out in the call
            reraise_unless_refusal(error, stream)
        if at != self.resume and self._begins(at):
            self.resume, self.again = at, 0

    def _begins(self, offset: int) -> bool:
        """Say whether a record begins at an offset, and not in the member before it.

        For an archive compressed without regard to records FastWARC names offsets of members that
        begin in the middle of a record.
        """
        return not self._gzipped or begins_record(self._archive, offset, WARC.prefixes)


def reraise_unless_refusal(error: BaseException, stream: Stream) -> None:
    """Tell what FastWARC says about an archive from what happened to us while reading it."""
    if stream.failure is not None:
        raise stream.failure
    # A panic of its Rust code arrives as a BaseException of a module that cannot be imported.
    if not isinstance(error, (OSError, ValueError)) and type(error).__name__ != "PanicException":
        raise error


def _fast_record(raw: Any, offset: int, limit: int, *, gzipped: bool) -> Record | None:
    """Return a record with its block, or None when it has to be read carefully."""
    headers = raw.headers
    declared = declared_length(headers)
    if declared is None or declared > limit:
        return None  # only the careful reader sees where a block of any length really ends
    body: bytes = raw.reader.read(declared)
    if len(body) != declared or (not gzipped and b"\nWARC/" in body and WARC.inside.search(body)):
        return None
    kind = (headers.get("WARC-Type") or "unknown").strip().lower()
    return Record(offset, kind, headers, body, declared, None)

"""The careful reader of WARC and ARC archives: slow, and hard to put off.

`corpus.sources.archive.records` comes here from the place where FastWARC met something wrong, and
goes back at the next healthy boundary. Each gzip member is inflated for itself, so that a corrupt
member, bytes between members or a `Content-Length` that lies costs the record it is about and no
other.

In: an `Archive` and the offset to begin at. Out: `Record` and `Damage`, in the order of the file.
Memory is bounded by `limit`, the work by the archive's budget.
"""

from __future__ import annotations

from collections.abc import Iterator

from corpus.sources.archive.dialects import Dialect
from corpus.sources.archive.gzip_members import Archive, Inflated, Plain, next_member
from corpus.sources.archive.record import Damage, Record, declared_length

MAX_HEAD_BYTES = 1 << 20  # of a record's own headers; FastWARC refuses beyond 32 KiB
_CHUNK = 1 << 16
_OVERLAP = 9000  # the longest record start is shorter: none is lost between two chunks


class Walk:
    """Reads records one after the other from `offset`.

    Args:
        archive: The file.
        offset: Where to begin: a gzip member, or a record of an uncompressed archive.
        limit: Bytes kept of a record block.
        gzipped: Whether the archive is made of gzip members.
        dialect: WARC or ARC.
    """

    def __init__(
        self, archive: Archive, offset: int, *, limit: int, gzipped: bool, dialect: Dialect
    ) -> None:
        self._archive = archive
        self._dialect = dialect
        self._limit = limit
        self._source: Inflated | Plain = (
            self._inflated(offset) if gzipped else Plain(archive, offset)
        )
        self._buffer = bytearray()

    def boundary(self) -> int | None:
        """Return the offset of the record to come if another reader can begin there, else None."""
        if isinstance(self._source, Plain):
            self._skip_blank()
            self._fill(_OVERLAP)
            return self._here() if self._dialect.start.match(self._buffer) else None
        if self._skip_blank() or self._source.cause or not self._source.before_record():
            return None
        return self._source.end

    def items(self) -> Iterator[Record | Damage]:
        """Yield what is left of the archive, in order."""
        fresh = True  # nothing of this member has been accounted for yet
        while True:
            if self._skip_blank():
                yield from self._item()
                fresh = False
                continue
            source = self._source
            if isinstance(source, Plain):
                return
            if source.cause and fresh:
                yield Damage(source.start, source.cause, at_end=source.cut)
            if source.cut:
                return
            found = (
                source.end
                if source.follows()
                else next_member(self._archive, source.end, self._dialect.prefixes)
            )
            if not source.follows() and not source.cause and not source.only_padding(found):
                lost = (found if found is not None else self._archive.size) - source.end
                yield Damage(source.end, f"{lost} bytes here belong to no gzip member")
            if found is None:
                return
            self._source = self._inflated(found)
            fresh = True

    def _inflated(self, offset: int) -> Inflated:
        return Inflated(self._archive, offset, self._dialect.prefixes)

    def _here(self) -> int:
        if isinstance(self._source, Plain):
            return self._source.position - len(self._buffer)
        return self._source.start

    def _fill(self, size: int, *, span: bool = False) -> bool:
        """Have `size` bytes in the buffer; false when this member has not that many left.

        Args:
            size: Bytes wanted.
            span: Go on in the next member if that does not begin a record of its own: some
                writers compress without regard to records.
        """
        while len(self._buffer) < size:
            chunk = self._source.read(_CHUNK)
            if chunk:
                self._buffer += chunk
            elif not (span and self._spans()):
                return False
        return True

    def _skip_blank(self) -> bool:
        """Pass over the line ends between records; false when the member holds nothing more."""
        while True:
            blank = len(self._buffer) - len(self._buffer.lstrip(b"\r\n"))
            del self._buffer[:blank]
            if self._buffer:
                return True
            if not self._fill(1):
                return False

    def _skip_to_record(self, keep: bytearray | None = None, limit: int = 0) -> int:
        """Pass over bytes up to the next record start of this member; `keep` receives the first."""
        passed = 0
        while True:
            more = self._fill(_CHUNK)
            found = self._dialect.inside.search(self._buffer)
            size = found.start() if found else len(self._buffer) - (_OVERLAP if more else 0)
            if keep is not None and len(keep) < limit:
                keep += self._buffer[: min(size, limit - len(keep))]
            del self._buffer[:size]
            passed += size
            if found or not more:
                return passed

    def _item(self) -> Iterator[Record | Damage]:
        offset = self._here()
        if not self._starts():
            passed = self._skip_to_record()
            cause = self._source.cause or "no record starts here"
            cut = self._source.cause is not None and self._source.cut
            yield Damage(offset, f"{cause}; {passed} bytes passed over", at_end=cut)
            return
        end = self._head_end()
        if end is None and self._source.ended_early and not self._source.cause:
            end = len(self._buffer)  # headers alone, cut off or not: their length says which
        if end is None:
            size = len(self._buffer)
            del self._buffer[:1]
            passed = self._skip_to_record() + 1
            cause = self._source.cause or f"no end of its headers in {size} bytes"
            cut = self._source.cause is not None and self._source.cut
            yield Damage(offset, f"{cause}; {passed} bytes passed over", at_end=cut)
            return
        next_one = self._dialect.inside.search(self._buffer, 1, end)
        if next_one:
            del self._buffer[: next_one.start()]
            yield Damage(offset, "its headers run into the next record")
            return
        headers = self._dialect.parse(bytes(self._buffer[:end]))
        del self._buffer[:end]
        body, length, short = self._block(declared_length(headers))
        if short and not self._source.cut:
            yield Damage(offset, short)  # a checksum that fails says that no byte can be trusted
            return
        kind = (headers.get("WARC-Type") or "unknown").strip().lower()
        yield Record(offset, kind, headers, bytes(body), length, short)

    def _head_end(self) -> int | None:
        size = _CHUNK
        while True:
            more = self._fill(size)
            found = self._dialect.head_end.search(self._buffer, 0, MAX_HEAD_BYTES)
            if not found and not more:
                more = self._fill(size, span=True)
            found = self._dialect.head_end.search(self._buffer, 0, MAX_HEAD_BYTES)
            if found:
                return found.end()
            if not more or size >= MAX_HEAD_BYTES:
                return None
            size *= 2

    def _block(self, declared: int | None) -> tuple[bytearray, int, str | None]:
        """Return the block's bytes up to the limit, its length, and why it is not whole."""
        body = bytearray()
        length = 0
        plain = isinstance(self._source, Plain)
        start = self._here()
        if declared is not None and not (plain and start + declared > self._archive.size):
            while length < declared and self._fill(1, span=True):
                piece = self._buffer[: min(_CHUNK, declared - length)]
                body += piece[: max(0, self._limit - len(body))]
                length += len(piece)
                del self._buffer[: len(piece)]
            if length == declared and self._starts():
                return body, length, None if self._source.cut else self._source.cause
        # The length lies, or there is none: the record ends where the next begins.
        if plain:
            self._source = Plain(self._archive, start)
            self._buffer.clear()
            body.clear()
            length = 0
        elif length == len(body):
            inside = self._dialect.inside.search(body + self._peek())
            if inside and inside.start() < len(body):
                self._buffer[:0] = body[inside.start() :]
                del body[inside.start() :]
                return _trimmed(body), len(body), None
        length += self._skip_to_record(keep=body, limit=self._limit)
        cause = self._source.cause
        if not self._buffer and declared is not None and length < declared and plain:
            cause = f"{length} bytes where {declared} are declared"
        if cause is None and length == len(body):
            body = _trimmed(body)
            length = len(body)
        return body, length, cause

    def _peek(self) -> bytearray:
        self._fill(_OVERLAP)
        return self._buffer[:_OVERLAP]

    def _starts(self) -> bool:
        """Say whether a record starts here, blank lines aside, or nothing more does."""
        behind = self._peek().lstrip(b"\r\n")
        if not behind or self._dialect.start.match(behind):
            return True
        if len(self._buffer) >= _OVERLAP or not self._fill(_OVERLAP, span=True):
            return bool(self._dialect.start.match(self._peek().lstrip(b"\r\n")))
        return self._starts()

    def _spans(self) -> bool:
        source = self._source
        if isinstance(source, Plain) or not source.goes_on():
            return False
        self._source = self._inflated(source.end)
        return True


def _trimmed(body: bytearray) -> bytearray:
    """Take off the two line ends that follow every block."""
    return body[:-4] if body.endswith(b"\r\n\r\n") else body

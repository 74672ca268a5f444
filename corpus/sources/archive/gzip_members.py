"""Gzip members of an archive, one by one: find, inflate, say where each begins and ends.

A Common Crawl archive is a series of gzip members (RFC 1952, section 2.2), one for each record
(WARC 1.1, annex D), so that a record can be read by its offset and damage stays in its member.
"""

from __future__ import annotations

import zlib
from typing import BinaryIO

from corpus.errors import InputError

GZIP_MAGIC = b"\x1f\x8b\x08"
_CHUNK = 1 << 16
_PROBE = 4096  # compressed bytes that are enough to see how a member begins
_HEAD = 1 << 14  # longer than any first line
_BLOCK = 1 << 20
_CALL = 32  # bytes that a call counts for: looking at one place costs time as well


class GivenUp(Exception):  # noqa: N818 -- not an error of the program: the archive is not worth more
    """The archive makes its reader go over the same bytes again and again."""


class Archive:
    """A file that is read at offsets, with a bound on the bytes read in all.

    Args:
        file: Seekable, opened for reading bytes.
        path: For messages.
    """

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._file = file
        self.path = path
        try:
            self.size = file.seek(0, 2)
        except OSError as error:
            raise self._unreadable(error) from error
        # A healthy archive is read once and a damaged stretch a few times; damage made on purpose
        # could ask for N² bytes.
        self._left = 16 * self.size + (64 << 20)
        self._block = b""
        self._block_at = 0

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes at `offset`.

        Raises:
            InputError: The file cannot be read.
            GivenUp: The bound on the bytes read in all is reached.
        """
        self._left -= _CALL
        within = offset - self._block_at
        missing = within + size - len(self._block)
        if within < 0 or (missing > 0 and self._block_at + len(self._block) < self.size):
            data = self._read(offset, max(size, _BLOCK) if size >= _CHUNK else size)
            if size < _CHUNK:
                return data
            self._block, self._block_at, within = data, offset, 0
        return self._block[within : within + size]

    def _read(self, offset: int, size: int) -> bytes:
        if self._left <= 0:
            raise GivenUp
        try:
            self._file.seek(offset)
            data = self._file.read(size)
        except OSError as error:
            raise self._unreadable(error) from error
        self._left -= len(data)
        return data

    def _unreadable(self, error: OSError) -> InputError:
        return InputError("the archive cannot be read", where=self.path, why=str(error))


class Plain:
    """An uncompressed archive, in the shape of one endless member."""

    def __init__(self, archive: Archive, offset: int) -> None:
        self._archive = archive
        self.position = offset
        self.cause: str | None = None

    @property
    def cut(self) -> bool:
        """Whether the file ended here; without members, its end is all there is to see."""
        return self.position >= self._archive.size

    @property
    def ended_early(self) -> bool:
        """Whether a record that is not over yet can have no more bytes."""
        return self.cut

    def read(self, size: int) -> bytes:
        """Return the next bytes, empty at the end."""
        data = self._archive.read_at(self.position, size)
        self.position += len(data)
        return data


class Inflated:
    """One gzip member.

    Args:
        archive: The file.
        start: Where the member begins in it.
        prefixes: How the content of a member that holds a record begins.

    Attributes:
        start: Where it begins in the file.
        end: Where the next one should begin: just behind it, or behind `start` when it is damaged.
        cause: What is wrong with it, once that was met.
        cut: The file ends inside it.
    """

    def __init__(self, archive: Archive, start: int, prefixes: tuple[bytes, ...]) -> None:
        self._archive = archive
        self._prefixes = prefixes
        self._inflate = zlib.decompressobj(wbits=31)
        self._next = start
        self._pending = b""
        self._more = False  # inflated bytes wait inside zlib
        self.start = start
        self.end = start + 1
        self.cause: str | None = None
        self.cut = False
        self._goes_on: bool | None = None

    @property
    def ended_early(self) -> bool:
        """Whether a record that is not over yet lost its end to damage."""
        return self.cause is not None

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes of this member, empty at its end or where it is damaged."""
        while self.cause is None and not self._inflate.eof:
            if not self._pending and not self._more:
                self._pending = self._archive.read_at(self._next, _CHUNK)
                self._next += len(self._pending)
                if not self._pending:
                    # Damage can also make a member run over those behind it.
                    self.cut = next_member(self._archive, self.end, self._prefixes) is None
                    self.cause = (
                        "the archive ends within a gzip member"
                        if self.cut
                        else "damaged gzip member: it has no end"
                    )
                    break
            try:
                data = self._inflate.decompress(self._pending, size)
            except zlib.error as error:
                self.cause = f"damaged gzip member: {error}"
                break
            self._pending = self._inflate.unconsumed_tail
            self._more = len(data) == size
            if self._inflate.eof:
                self.end = self._next - len(self._inflate.unused_data)
            if data:
                return data
        return b""

    def follows(self) -> bool:
        """Say whether another member begins where this one ended."""
        return self.cause is None and begins_member(self._archive, self.end)

    def goes_on(self) -> bool:
        """Say whether a readable member follows that does not begin with a record."""
        if not self._inflate.eof:
            return False
        if self._goes_on is None:
            head = inflated_head(self._archive.read_at(self.end, _PROBE))
            self._goes_on = bool(head) and not head.startswith(self._prefixes)
        return self._goes_on

    def before_record(self) -> bool:
        """Say whether the member behind this one begins with a record."""
        return self.cause is None and begins_record(self._archive, self.end, self._prefixes)

    def only_padding(self, until: int | None) -> bool:
        """Say whether nothing but zeros or line ends lies between this member and `until`."""
        position = self.end
        stop = self._archive.size if until is None else until
        while position < stop:
            data = self._archive.read_at(position, min(_CHUNK, stop - position))
            if not data or data.strip(b"\0\r\n"):
                return not data
            position += len(data)
        return True


def begins_member(archive: Archive, offset: int) -> bool:
    """Say whether a gzip member begins at `offset`."""
    return archive.read_at(offset, len(GZIP_MAGIC)) == GZIP_MAGIC


def begins_record(archive: Archive, offset: int, prefixes: tuple[bytes, ...]) -> bool:
    """Say whether a gzip member that holds a record begins at `offset`."""
    return inflated_head(archive.read_at(offset, _PROBE)).startswith(prefixes)


def inflated_head(data: bytes) -> bytes:
    """Return the first bytes of a gzip member, without leading line ends; empty if it is none."""
    try:
        return zlib.decompressobj(wbits=31).decompress(data, _HEAD).lstrip(b"\r\n")
    except zlib.error:
        return b""


def next_member(archive: Archive, offset: int, prefixes: tuple[bytes, ...]) -> int | None:
    """Return where the first member at or behind `offset` begins that holds a record start.

    The three bytes of the magic number turn up by chance once in 16 MB of compressed data, so a
    candidate counts only if it inflates to a record.
    """
    while offset < archive.size:
        window = archive.read_at(offset, _CHUNK)
        if not window:
            return None
        at = window.find(GZIP_MAGIC)
        while at >= 0:
            if begins_record(archive, offset + at, prefixes):
                return offset + at
            at = window.find(GZIP_MAGIC, at + 1)
        offset += max(1, len(window) - len(GZIP_MAGIC) + 1)
    return None

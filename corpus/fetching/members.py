"""The members of a gzip file, followed and checked while its bytes go by.

A WARC of Common Crawl is one gzip member a record (WARC 1.1, annex D), so that a file may end
after any member and still be a whole archive. The scanner is fed the bytes of a file in order and
knows where the last whole member ended and whether all of them decoded with the right length and
CRC-32 (RFC 1952): that is how a flipped bit in transit is found. It keeps nothing: memory is
bounded by one block of output, whatever the file claims to decompress to. It also counts the
members that begin with a page's record, so that a download can stop after so many.
"""

from __future__ import annotations

import re
import zlib

MAGIC = b"\x1f\x8b"
_WINDOW = 31  # zlib: the largest window, behind a gzip header and before a gzip trailer
_BLOCK = 1 << 20  # bytes of output held at a time
# Deflate reaches 1032:1 at most; text reaches 20:1. Beyond this much output for one member the
# check would cost more than the download, and the reader has bounds of its own.
_LARGEST_MEMBER = 1 << 36
_HEAD = 1 << 12  # bytes of a member that are looked at for the type of its record
# Records with a page in them (WARC 1.1, section 6): one of the first header lines says so.
_PAGE = re.compile(
    rb"WARC/[^\n]*\n(?:[^\r\n][^\n]*\n)*?WARC-Type:[ \t]*(?:response|resource|conversion)\b",
    re.IGNORECASE,
)


class MemberScanner:
    """Follows the members of a gzip file.

    Attributes:
        position: Bytes fed so far.
        boundary: Bytes up to the end of the last whole member.
        members: Whole members so far.
        pages: Those of them that begin with a response, resource or conversion record.
        reached: Bytes up to the end of the last page that is wanted, or None before it came by.
            Nothing after it is looked at.
        damage: What is wrong with the member that starts at `boundary`, or None. Nothing after
            damage is looked at.
    """

    def __init__(self, limit_pages: int | None = None) -> None:
        """Start at the first byte of a file of which so many pages are wanted, or all of it."""
        self.position = 0
        self.boundary = 0
        self.members = 0
        self.pages = 0
        self.reached: int | None = None
        self._limit_pages = limit_pages
        self._head = b""
        self.damage: str | None = None
        self._decoder: zlib._Decompress | None = None
        self._produced = 0

    @property
    def whole(self) -> bool:
        """Whether the bytes so far are whole members (and zero padding) and nothing else."""
        if self.damage is not None or not self.members:
            return False
        return self._decoder is None

    def feed(self, data: bytes) -> None:
        """Follow the next bytes of the file."""
        self.position += len(data)
        while data and self.damage is None and self.reached is None:
            if self._decoder is None:
                data = self._begin(data)
                if not data:
                    return
            data = self._decode(data)

    def _begin(self, data: bytes) -> bytes:
        """Open the next member and return `data` from its first byte on."""
        if self.members:
            data = data.lstrip(b"\0")  # padding, which RFC 1952 readers pass over
        if data:
            self._decoder = zlib.decompressobj(wbits=_WINDOW)
            self._produced = 0
            self._head = b""
        return data

    def _decode(self, data: bytes) -> bytes:
        """Decode within the open member and return what follows it."""
        decoder = self._decoder
        assert decoder is not None
        try:
            while data and not decoder.eof:
                block = decoder.decompress(data, _BLOCK)
                if self._produced < _HEAD:
                    self._head += block[: _HEAD - self._produced]
                self._produced += len(block)
                data = decoder.unconsumed_tail
        except zlib.error as error:
            self.damage = str(error)
            return b""
        if self._produced > _LARGEST_MEMBER:
            self.damage = f"one member of more than {_LARGEST_MEMBER} bytes"
            return b""
        if not decoder.eof:
            return b""
        rest = decoder.unused_data
        self.boundary = self.position - len(rest)
        self.members += 1
        self._decoder = None
        if _PAGE.match(self._head):
            self.pages += 1
            if self.pages == self._limit_pages:
                self.reached = self.boundary
        return rest

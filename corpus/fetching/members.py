"""The members of a gzip file, followed and checked while its bytes go by.

A WARC of Common Crawl is one gzip member a record (WARC 1.1, annex D), so that a file may end
after any member and still be a whole archive. The scanner is fed the bytes of a file in order and
knows where the last whole member ended and whether all of them decoded with the right length and
CRC-32 (RFC 1952): that is how a flipped bit in transit is found. It keeps nothing: memory is
bounded by one block of output, whatever the file claims to decompress to.
"""

from __future__ import annotations

import zlib

MAGIC = b"\x1f\x8b"
_WINDOW = 31  # zlib: the largest window, behind a gzip header and before a gzip trailer
_BLOCK = 1 << 20  # bytes of output held at a time
# Deflate reaches 1032:1 at most; text reaches 20:1. Beyond this much output for one member the
# check would cost more than the download, and the reader has bounds of its own.
_LARGEST_MEMBER = 1 << 36


class MemberScanner:
    """Follows the members of a gzip file.

    Attributes:
        position: Bytes fed so far.
        boundary: Bytes up to the end of the last whole member.
        members: Whole members so far.
        damage: What is wrong with the member that starts at `boundary`, or None. Nothing after
            damage is looked at.
    """

    def __init__(self, boundary: int = 0, members: int = 0) -> None:
        """Start at a member's first byte: `boundary` bytes into the file, after `members`."""
        self.position = boundary
        self.boundary = boundary
        self.members = members
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
        while data and self.damage is None:
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
        return data

    def _decode(self, data: bytes) -> bytes:
        """Decode within the open member and return what follows it."""
        decoder = self._decoder
        assert decoder is not None
        try:
            while data and not decoder.eof:
                self._produced += len(decoder.decompress(data, _BLOCK))
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
        return rest

"""Decompressors of one gzip member, bzip2 or xz stream, or Zstandard frame, with one face.

Each returns a bounded number of bytes at a time, so that a decompression bomb costs time and not
memory.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from abc import ABC, abstractmethod
from typing import Protocol

import zstandard

BLOCK = 1 << 18  # bytes that are returned at a time, and read
# A Zstandard block of four bytes can hold 128 KiB of equal bytes (RFC 8878, 3.1.1.2), and the
# decompressor has no bound on its output: 4 KiB of input are at most 128 MiB of output.
_ZSTD_BLOCK = 1 << 12
# Reddit dumps are written with `zstd --long=31`.
_ZSTD_WINDOW = 1 << 31

ERRORS = (zlib.error, OSError, EOFError, lzma.LZMAError, zstandard.ZstdError)


class _Library(Protocol):
    """What the libraries' decompressors have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...


class Decompressor(ABC):
    """Decompresses one member.

    Attributes:
        step: How many bytes it may be given at a time.
    """

    step = BLOCK

    def __init__(self, library: _Library) -> None:
        self._library = library

    @property
    def eof(self) -> bool:
        """Whether the member has ended."""
        return self._library.eof

    @property
    def unused_data(self) -> bytes:
        """What was given behind the member's end."""
        return self._library.unused_data

    @abstractmethod
    def decompress(self, data: bytes) -> bytes:
        """Return some of what more bytes are decompressed; none to go on with those given."""

    @abstractmethod
    def pending(self) -> bool:
        """Say whether there may be more of the bytes given."""


class _Bounded(Decompressor):
    """bz2 and lzma decompressors, at most `BLOCK` bytes at a time."""

    def __init__(self, member: bz2.BZ2Decompressor | lzma.LZMADecompressor) -> None:
        super().__init__(member)
        self._member = member

    def decompress(self, data: bytes) -> bytes:
        return self._member.decompress(data, BLOCK)

    def pending(self) -> bool:
        return not self._member.eof and not self._member.needs_input


class _Gzip(Decompressor):
    """A zlib decompressor of one gzip member, at most `BLOCK` bytes at a time."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)
        super().__init__(self._member)
        self._full = False

    def decompress(self, data: bytes) -> bytes:
        out = self._member.decompress(self._member.unconsumed_tail + data, BLOCK)
        # zlib may hold output that did not fit, with all of its input consumed.
        self._full = len(out) == BLOCK
        return out

    def pending(self) -> bool:
        return not self._member.eof and (self._full or bool(self._member.unconsumed_tail))


class _Zstd(Decompressor):
    """A Zstandard decompressor of one frame; the bound is that of its input."""

    step = _ZSTD_BLOCK

    def __init__(self) -> None:
        self._member = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
        super().__init__(self._member)

    def decompress(self, data: bytes) -> bytes:
        return self._member.decompress(data) if data else b""

    def pending(self) -> bool:
        return False


def new_decompressor(kind: str) -> Decompressor:
    """Return a decompressor of the next member: gzip, bzip2, xz or zstd."""
    if kind == "gzip":
        return _Gzip()
    if kind == "bzip2":
        return _Bounded(bz2.BZ2Decompressor())
    if kind == "xz":
        return _Bounded(lzma.LZMADecompressor(format=lzma.FORMAT_XZ))
    return _Zstd()

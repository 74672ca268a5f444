"""Decompression of input files: gzip, bzip2, xz and Zstandard, in blocks of bounded size.

Each with any number of members, streams or frames after one another (multistream Wikipedia dumps,
`pzstd`, concatenated gzip), recognised by their magic bytes. A path or an open file goes in; bytes
come out in blocks, so that a decompression bomb costs time and not memory. What stands before a
damaged part is always delivered; then `DamagedStreamError` says where the damage is. (The readers
of the standard library and of zstandard either raise before they have delivered what they had, or
end in silence when a Zstandard frame is cut off.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from corpus import storage
from corpus.errors import InputError
from corpus.sources.decompressors import BLOCK, ERRORS, Decompressor, new_decompressor

_SUFFIXES = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd", ".zstd": "zstd"}


class DamagedStreamError(Exception):
    """The rest of a compressed file cannot be had.

    Attributes:
        position: Bytes of the file (as stored) up to the place of the damage.
        cut_off: The file ends too early; otherwise its bytes are not what they should be.
    """

    def __init__(self, what: str, *, position: int, cut_off: bool) -> None:
        super().__init__(what)
        self.position = position
        self.cut_off = cut_off


class Readable(Protocol):
    """What bytes are read from: an open file, or a member of an archive."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes; none at the end."""
        ...


def compression(head: bytes) -> str | None:
    """Name the compression that the first bytes of a file show: gzip, bzip2, xz, zstd, or None."""
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(b"BZh"):
        return "bzip2"
    if head.startswith(b"\xfd7zXZ\x00"):
        return "xz"
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return "zstd"
    if len(head) >= 4 and head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50:
        return "zstd"  # a skippable frame, as pzstd writes first
    return None


def plain_name(path: str) -> str:
    """Return a path in lower case and without the suffix of a compression."""
    lower = path.lower()
    for suffix in _SUFFIXES:
        if lower.endswith(suffix):
            return lower.removesuffix(suffix)
    return lower


def blocks(path: str) -> Iterator[bytes]:
    """Yield the decompressed bytes of a file, in blocks.

    Raises:
        InputError: The file cannot be opened, nothing of it can be decompressed, or its name
            promises a compression that its bytes do not show.
        DamagedStreamError: The rest is cut off or damaged; everything before it has been yielded.
    """
    with storage.open_input(path) as file:
        delivered = False
        try:
            for block in blocks_of(file, name=path):
                delivered = True
                yield block
        except DamagedStreamError as damage:
            if delivered:
                raise
            raise InputError(
                "the file cannot be decompressed",
                where=path,
                why=str(damage),
                fix="Fetch the file again",
            ) from damage


def blocks_of(file: Readable, *, name: str) -> Iterator[bytes]:
    """Yield the decompressed bytes of an open file from where it stands, in blocks.

    Args:
        file: What is read; a member of an archive, for example.
        name: Its name, which may promise a compression.

    Raises:
        InputError: The name promises a compression that the bytes do not show.
        DamagedStreamError: See `blocks`; here also when nothing could be decompressed.
    """
    head = file.read(BLOCK)
    kind = compression(head)
    if kind is not None:
        yield from _decompressed(file, head, kind)
        return
    _check_name(name)
    while head:
        yield head
        head = file.read(BLOCK)


def _check_name(path: str) -> None:
    for suffix, kind in _SUFFIXES.items():
        if path.lower().endswith(suffix):
            raise InputError(
                f"the file is not {kind}, although its name ends in {suffix}",
                where=path,
                why="It may be an error page, an empty file, or decompressed already",
                fix="Fetch the file again, or rename it",
            )


def _decompressed(file: Readable, head: bytes, kind: str) -> Iterator[bytes]:
    member: Decompressor | None = new_decompressor(kind)
    read = len(head)
    data = head
    while True:
        if not data:
            data = file.read(BLOCK)
            read += len(data)
            if not data:
                if member is not None:
                    raise DamagedStreamError(
                        f"the {kind} data is cut off at byte {read:,}", position=read, cut_off=True
                    )
                return
        if member is None:
            # Zero bytes after the last member are padding (tar tapes, block devices).
            data = data.lstrip(b"\x00")
            if not data:
                continue
            member = new_decompressor(kind)
        piece, data = data[: member.step], data[member.step :]
        try:
            out = member.decompress(piece)
            if out:
                yield out
            while member.pending():
                out = member.decompress(b"")
                if out:
                    yield out
        except ERRORS as error:
            position = read - len(data)
            raise DamagedStreamError(
                f"the {kind} data is damaged before byte {position:,} ({error})",
                position=position,
                cut_off=False,
            ) from error
        if member.eof:
            data = member.unused_data + data
            member = None

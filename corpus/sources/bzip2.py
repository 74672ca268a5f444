"""The streams of a bzip2 file: where they begin, and the bytes from one of them on.

A file of many streams (a multistream Wikipedia dump, or what pbzip2 and lbzip2 write) can be read
from the beginning of any of them. In: a path and places in it. Out: places of streams and
decompressed blocks of bounded size, each with the place of its stream.
"""

from __future__ import annotations

import bz2
import re
from collections.abc import Iterator
from typing import BinaryIO

from corpus import storage
from corpus.sources.compression import DamagedStreamError

_BLOCK = 1 << 18
# "BZh", the block size in 100 kB, and the magic of the first block (the digits of pi). A stream
# begins at a whole byte; the blocks within it do not.
_START = re.compile(rb"BZh[1-9]1AY&SY")
_START_BYTES = 10
# A block is at most 900 kB of text; what does not decode to one from so many bytes is no stream.
_LARGEST_BLOCK = 1 << 21


def first_stream(path: str, start: int, end: int) -> int | None:
    """Return where the first stream begins in the bytes [start, end) of a file, or None.

    The ten bytes that begin a stream are looked for, and one block is decoded with its checksum, so
    that ten bytes that happen to be the same count for nothing. Streams without a block are
    passed over. A stream whose first block is damaged is none.
    """
    with storage.open_input(path) as file:
        at, held = start, b""
        while at < end:
            file.seek(at + len(held))
            held += file.read(_BLOCK)
            if len(held) < _START_BYTES:
                return None
            for found in _START.finditer(held):
                place = at + found.start()
                if place < end and _begins_stream(file, place):
                    return place
            at += len(held) - _START_BYTES + 1
            held = held[-_START_BYTES + 1 :]
    return None


def _begins_stream(file: BinaryIO, place: int) -> bool:
    decoder = bz2.BZ2Decompressor()
    read = 0
    file.seek(place)
    try:
        while read < _LARGEST_BLOCK:
            data = file.read(_BLOCK)
            if not data:
                return False
            read += len(data)
            if decoder.decompress(data, 1):
                return True
    except (OSError, EOFError):
        pass
    return False


def blocks_from(path: str, start: int) -> Iterator[tuple[int, bytes]]:
    """Yield what the streams from `start` to the end of the file hold, each with its place.

    Args:
        path: Path or URL of the file.
        start: Where a stream begins.

    Yields:
        The place of a stream, and a block of what it holds.

    Raises:
        DamagedStreamError: The rest is cut off or damaged; everything before it has been yielded.
    """
    with storage.open_input(path) as file:
        file.seek(start)
        read, place, data = start, start, b""
        decoder: bz2.BZ2Decompressor | None = None
        while True:
            if not data:
                data = file.read(_BLOCK)
                read += len(data)
                if not data:
                    if decoder is not None:
                        what = f"the bzip2 data is cut off at byte {read:,}"
                        raise DamagedStreamError(what, position=read, cut_off=True)
                    return
            if decoder is None:
                data = data.lstrip(b"\x00")  # padding between streams and at the end
                if not data:
                    continue
                place = read - len(data)
                decoder = bz2.BZ2Decompressor()
            try:
                out = decoder.decompress(data, _BLOCK)
                while out:
                    yield place, out
                    out = b"" if decoder.eof else decoder.decompress(b"", _BLOCK)
            except (OSError, EOFError) as error:
                what = f"the bzip2 data is damaged before byte {read:,} ({error})"
                raise DamagedStreamError(what, position=read, cut_off=False) from error
            data = b""
            if decoder.eof:
                data, decoder = decoder.unused_data, None

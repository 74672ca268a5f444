"""Stretches of a dump of many bzip2 streams, each read by itself: so many workers share one file.

`*-pages-articles-multistream.xml.bz2` has a stream for every hundred pages, and pbzip2 makes one of
every 900 kB wherever that cuts a page. A stretch is a range of bytes of the file; the streams that
begin in it are its own, and so are the pages that begin in those, to their ends. Stretches have one
size, whatever the number of workers, and the file beside the dump that lists its streams is not
needed. In: a path and a stretch. Out: XML that is a dump up to the last page of the stretch.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from corpus import storage
from corpus.errors import InputError
from corpus.sources import bzip2, compression, streams

SIZE = 64 << 20  # bytes of a stretch: a minute or two of work
# The header of a dump is 2 kB to 10 kB, by itself in the first stream.
_LARGEST_HEADER = 1 << 20
# Where a second stream has to begin: streams have 0.9 MB to some megabytes of XML.
_SECOND_STREAM = 8 << 20
# In text "<" is written "&lt;": these bytes begin a page wherever they are.
_PAGE = re.compile(rb"<page[\s>]")
_PAGE_BYTES = 6


@dataclass(frozen=True)
class Stretch:
    """The bytes [start, end) of a file."""

    start: int
    end: int


def stretches(path: str) -> list[Stretch]:
    """Return the stretches of a dump; none for a file that is read as a whole.

    That is one of a single stretch, of one stream, of another compression than bzip2, or of no
    header in ASCII before its first page (UTF-16).
    """
    size = storage.size(path)
    if size <= SIZE:
        return []
    with storage.open_input(path) as file:
        if compression.compression(file.read(4)) != "bzip2":
            return []
    if bzip2.first_stream(path, 1, _SECOND_STREAM) is None or header(path) is None:
        return []
    return [Stretch(start, min(start + SIZE, size)) for start in range(0, size, SIZE)]


def header(path: str) -> bytes | None:
    """Return what stands before the first page of a dump, or None when that cannot be found."""
    held = b""
    # What is wrong with a file is found where it is read as a whole.
    with contextlib.suppress(InputError, streams.DamagedStreamError):
        for block in streams.blocks(path):
            held += block
            found = _PAGE.search(held)
            if found:
                return held[: found.start()]
            if len(held) > _LARGEST_HEADER:
                break
    return None


class Xml:
    """The XML of the pages that begin in a stretch.

    Attributes:
        place: Where the stream begins that is being read.
        is_own: Whether that stream is one of the stretch; what follows ends its last page.
        at_end: Whether the file has been read to its end.
    """

    def __init__(self, path: str, first: int, end: int, *, is_inside: bool) -> None:
        """Begin at a stream.

        Args:
            path: The dump.
            first: Where the first stream begins.
            end: Where the stretch ends.
            is_inside: Whether what stands before the first page belongs to one before it.
        """
        self.place, self.is_own, self.at_end = first, True, False
        self._path, self._first, self._end, self._is_inside = path, first, end, is_inside

    def __iter__(self) -> Iterator[bytes]:
        """Yield blocks: whole pages, and at the end of the file what stands behind them.

        Raises:
            DamagedStreamError: See `bzip2.blocks_from`.
        """
        blocks = self._blocks()
        held = b""
        if self._is_inside:
            for block in blocks:
                before, held = len(held), held + block
                found = _PAGE.search(held)
                if found is None:
                    if not self.is_own:
                        return
                    held = held[-_PAGE_BYTES + 1 :]
                elif self.is_own:
                    yield held[found.start() :]
                    break
                elif found.start() >= before:
                    return
                else:  # its mark begins in the last own stream and ends in the next
                    yield held[found.start() : before]
                    blocks = _with_first(block, blocks)
                    break
            else:
                return
        held = b""
        for block in blocks:
            if self.is_own:
                yield block
                continue
            held += block
            found = _PAGE.search(held)
            if found:
                yield held[: found.start()]
                return
            yield held[: -_PAGE_BYTES + 1]
            held = held[-_PAGE_BYTES + 1 :]
        yield held
        self.at_end = True

    def _blocks(self) -> Iterator[bytes]:
        """Yield blocks; the first behind the stretch has the length of a mark, or is the last."""
        held = b""
        for place, block in bzip2.blocks_from(self._path, self._first):
            self.place = place
            if place < self._end:
                yield block
                continue
            held += block
            if len(held) >= _PAGE_BYTES:
                self.is_own = False
                yield held
                held = b""
        if held:
            self.is_own = False
            yield held


def _with_first(block: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    yield block
    yield from blocks

"""Pieces of an input file that are files of the same kind: what a probe reads of a large one.

In: a file and the sizes of the pieces that are wanted of its beginning. Out: the pieces, written to
a folder, each with the bytes of the file that it stands for. Archives are cut between the members
of gzip, lines and dumps between documents and packed again as they were, Parquet between row
groups, which are drawn from all over the file. A file of another kind is taken whole.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow.parquet as pq
import zstandard

from corpus import storage
from corpus.errors import RecipeError
from corpus.fetching.members import MemberScanner
from corpus.sources import compression
from corpus.sources.document_archive import LINES

_BLOCK = 1 << 13
_PAGE = re.compile(rb"<page[\s>]")
_PAGE_END = b"</page>"
_LARGEST_HEADER = 1 << 20
# A file of a kind that cannot be cut is taken whole if it is this many times what is wanted.
_WHOLE = 4.0
_PACK: dict[str | None, Callable[[bytes], bytes]] = {
    None: bytes,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a file.

    Attributes:
        path: Where it lies.
        bytes: Of the file that it was cut from: those that it stands for.
    """

    path: str
    bytes: float


def cut(path: str, sizes: Sequence[int], folder: Path, *, seed: int) -> list[Piece]:
    """Write pieces of about these sizes, and return those that there are.

    Args:
        path: A local file, or one of a store.
        sizes: Bytes of each piece, as stored.
        folder: Where to; it becomes a folder of this file alone.
        seed: Of the draw of row groups.

    Raises:
        InputError: The file cannot be read.
        RecipeError: It is large, and of a kind that cannot be cut.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plain = compression.plain_name(path)
    with storage.open_input(path) as file:
        kind = compression.compression(file.read(8))
    whole = storage.size(path)
    if whole <= sum(sizes):
        return [Piece(path, float(whole))]
    if plain.endswith(".parquet"):
        return _row_groups(path, sizes, folder, seed)
    if plain.endswith((".warc", ".arc", ".wet")) and kind == "gzip":
        return _members(path, sizes, folder)
    if plain.endswith(LINES):
        return _documents(path, kind, sizes, folder, _lines)
    if plain.endswith(".xml") or ".xml-p" in plain:
        return _documents(path, kind, sizes, folder, _pages)
    if whole <= _WHOLE * sum(sizes):
        return [Piece(path, float(whole))]
    raise RecipeError(
        "a probe cannot take a piece of this file, and it is too large to be taken whole",
        where=path,
        why=f"It has {whole:,} bytes, and {sum(sizes):,} of it are wanted",
        fix="Raise plan.sample_bytes, or split the file",
    )


class _Small:
    """A file that is read a little at a time, so that little more is read than is wanted."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file = file
        self._most = most

    def read(self, size: int, /) -> bytes:
        """See `compression.Readable`."""
        return self._file.read(min(size, self._most))


def _named(folder: Path, number: int, path: str) -> Path:
    """Return the path of a piece, whose name ends like that of its file: readers go by that."""
    return folder / f"piece-{number:05d}-{storage.name(path)}"


def _members(path: str, sizes: Sequence[int], folder: Path) -> list[Piece]:
    scanner = MemberScanner()
    pieces: list[Piece] = []
    held, start, ends = bytearray(), 0, list(sizes)
    with storage.open_input(path) as file:
        while ends and (block := file.read(_BLOCK)):
            scanner.feed(block)
            held += block
            if scanner.boundary - start >= ends[0] or scanner.damage:
                size = scanner.boundary - start
                target = _named(folder, len(pieces), path)
                if size:
                    target.write_bytes(held[:size])
                    pieces.append(Piece(str(target), float(size)))
                del held[:size]
                start = scanner.boundary
                ends = ends[1:] if not scanner.damage else []
    return pieces


def _row_groups(path: str, sizes: Sequence[int], folder: Path, seed: int) -> list[Piece]:
    pieces: list[Piece] = []
    with storage.open_arrow(path) as handle:
        file = pq.ParquetFile(handle)
        order = np.random.Generator(np.random.Philox(seed)).permutation(file.num_row_groups)
        groups = [_stored(file, int(group)) for group in order]
        every, left = storage.size(path) / max(1, sum(groups)), list(order)
        for number, size in enumerate(sizes):
            taken: list[int] = []
            while left and sum(groups[: len(taken)]) < size:
                taken.append(int(left.pop(0)))
            if not taken:
                break
            stood = sum(groups[: len(taken)]) * every
            del groups[: len(taken)]
            target = _named(folder, number, path)
            with pq.ParquetWriter(target, file.schema_arrow, compression="zstd") as writer:
                for group in taken:
                    writer.write_table(file.read_row_group(group))
            pieces.append(Piece(str(target), stood))
    return pieces


def _stored(file: pq.ParquetFile, group: int) -> int:
    """Return the bytes of a row group in the file."""
    row_group = file.metadata.row_group(group)
    return sum(row_group.column(at).total_compressed_size for at in range(row_group.num_columns))


def _documents(
    path: str,
    kind: str | None,
    sizes: Sequence[int],
    folder: Path,
    split: Callable[[Iterator[bytes]], tuple[bytes, Iterator[bytes], bytes]],
) -> list[Piece]:
    """Cut a stream of documents, so that the pieces stand for the bytes that were read for them."""
    with storage.open_input(path) as file:
        read = 0

        def blocks() -> Iterator[bytes]:
            """Yield what the first bytes of the file unpack to, all of it."""
            nonlocal read
            for block in compression.blocks_of(_Small(file, sum(sizes) // 8 + 1), name=path):
                # What follows has been read by now, and belongs to it, until more is read.
                if read >= sum(sizes) and file.tell() > read:
                    return
                read = file.tell()
                yield block

        head, documents, tail = split(blocks())
        every = list(documents)
    total = sum(map(len, every))
    pieces: list[Piece] = []
    start = 0
    for number, size in enumerate(sizes):
        end, held = start, 0
        last = number == len(sizes) - 1
        while end < len(every) and (last or held < total * size / sum(sizes)):
            held += len(every[end])
            end += 1
        if end > start:
            target = _named(folder, number, path)
            target.write_bytes(_PACK[kind](head + b"".join(every[start:end]) + tail))
            pieces.append(Piece(str(target), read * held / total))
        start = end
    return pieces


def _lines(blocks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes], bytes]:
    def lines() -> Iterator[bytes]:
        held = b""
        for block in blocks:
            *whole, held = (held + block).split(b"\n")
            yield from (line + b"\n" for line in whole)

    return b"", lines(), b""


def _pages(blocks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes], bytes]:
    held = b""
    found = None
    for block in blocks:
        held += block
        found = _PAGE.search(held)
        if found or len(held) > _LARGEST_HEADER:
            break
    start = found.start() if found else len(held)

    def pages(held: bytes) -> Iterator[bytes]:
        while True:
            *whole, held = held.split(_PAGE_END)
            yield from (page + _PAGE_END for page in whole)
            block = next(blocks, None)
            if block is None:
                return
            held += block

    return held[:start], pages(held[start:]), b"\n</mediawiki>\n"

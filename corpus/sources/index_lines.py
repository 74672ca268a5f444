"""The CDXJ index of a crawl: lines sorted by SURT key, in gzip blocks with an index of their own.

`cc-index/collections/<snapshot>/indexes/cdx-*.gz` hold a line a capture (key, time, JSON), in gzip
members of 3,000 lines; `cluster.idx` beside them has a line for each block: the first key of it,
the file, offset and length. A few keys need a few blocks. In: those bytes. Out: places of pages.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from corpus.errors import InputError
from corpus.sources.crawl_index import Selection
from corpus.sources.urls import host_of

_CLUSTER = re.compile(r"(\S+) \d+\t(cdx-\d{1,6}\.gz)\t(\d{1,15})\t(\d{1,9})\t\d+\s*")
_LARGEST_BLOCK = 1 << 26  # bytes of 3,000 lines, decompressed; URLs have 2 kB at most


@dataclass(frozen=True, slots=True)
class Block:
    """A gzip member of the index that may hold wanted lines."""

    file: str
    offset: int
    length: int


def blocks(cluster: Iterable[bytes], selection: Selection, *, where: str) -> Iterator[Block]:
    """Yield the blocks that can hold wanted pages, in order.

    Args:
        cluster: The lines of `cluster.idx`.
        selection: Which pages, by address.
        where: The file, for messages.

    Raises:
        InputError: A line is none, they are not sorted, or there is none.
    """
    before: tuple[str, Block] | None = None
    for key, block in _cluster(cluster, where):
        # The captures of one address may begin in a block and end in the next.
        if before is not None and selection.overlaps(before[0], key):
            yield before[1]
        before = key, block
    if before is not None and selection.overlaps(before[0], "\U0010ffff"):
        yield before[1]


def check(cluster: Iterable[bytes], *, where: str) -> None:
    """Look through all lines of `cluster.idx`.

    Raises:
        InputError: A line is none, they are not sorted, or there is none.
    """
    for _ in _cluster(cluster, where):
        pass


def _cluster(cluster: Iterable[bytes], where: str) -> Iterator[tuple[str, Block]]:
    """Yield the first key of each block, and the block."""
    before = ""
    number = 0
    for number, line in enumerate(cluster, start=1):
        found = _CLUSTER.fullmatch(line.decode("utf-8", "replace"))
        if found is None or found[1] < before or not line.endswith(b"\n"):
            raise InputError(
                f"line {number} is not the next line of a sorted index of blocks: {line[:120]!r}",
                where=where,
                fix="Run the same command again; if it stays so, use `index: columnar`.",
            )
        before = found[1]
        yield before, Block(found[2], int(found[3]), int(found[4]))
    if not number:
        raise InputError(
            "the index names no block", where=where, fix="Check the snapshot's id and base_url."
        )


def rows(block: bytes, selection: Selection, *, where: str) -> Iterator[tuple[str, str, int, int]]:
    """Yield URL, archive, offset and length of the wanted pages of a block.

    Raises:
        InputError: It is not a block of such an index.
    """
    decoder = zlib.decompressobj(wbits=31)
    try:
        text = decoder.decompress(block, _LARGEST_BLOCK)
    except zlib.error as error:
        raise _no_block(where, str(error)) from error
    if not decoder.eof:
        raise _no_block(where, "it has no end")
    yield from wanted(text, selection, where=where)


def wanted(text: bytes, selection: Selection, *, where: str) -> Iterator[tuple[str, str, int, int]]:
    """Yield URL, archive, offset and length of the wanted pages of sorted lines.

    Raises:
        InputError: A line is none of such an index.
    """
    lines = [line.decode("utf-8", "replace").partition(" ") for line in text.splitlines()]
    keys = selection.within(lines[0][0], lines[-1][0]) if lines else None
    for key, _, rest in lines:
        if keys is None or not (key in keys.surts or selection.in_ranges(key, key)):
            continue
        capture = _capture(rest.partition(" ")[2], where)
        url, archive = str(capture.get("url")), str(capture.get("filename"))
        single = key in keys.surts and selection.has_page(url, keys)
        if not (single or selection.has_host(host_of(url))):
            continue
        if (
            selection.has_language(capture.get("languages"))
            and selection.has_mime(capture.get("mime-detected"))
            and selection.has_archive(archive)
        ):
            offset, length = (str(capture.get(name)) for name in ("offset", "length"))
            if not (_is_number(offset) and _is_number(length)):
                raise _no_block(where, f"a record of {length!r} bytes at {offset!r}")
            yield url, archive, int(offset), int(length)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 15


def _capture(text: str, where: str) -> dict[str, Any]:
    try:
        capture = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _no_block(where, str(error)) from error
    if not isinstance(capture, dict):
        raise _no_block(where, f"a line holds {text[:80]!r}")
    return capture


def _no_block(where: str, why: str) -> InputError:
    return InputError("this is not a block of a CDXJ index", where=where, why=why)

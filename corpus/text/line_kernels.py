"""The compiled loops over lines: find, normalise and hash them, and count them.

One pass over the UTF-8 bytes of an Arrow column and no Python object per line. `corpus.text.lines`
says what a line is; `corpus.text.line_normalization` has the tables.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpus.text.hash_kernels import xxh64
from corpus.text.kernel_cache import njit
from corpus.text.line_normalization import (
    ACTION_SHIFT,
    ASCII_SPACE,
    CODE_MASK,
    DROP,
    EXPAND,
    SPACE,
)
from corpus.text.utf8_kernels import code_point, written

Bytes = npt.NDArray[np.uint8]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
UInt32s = npt.NDArray[np.uint32]
UInt64s = npt.NDArray[np.uint64]

_NEWLINE = 0x0A
_SPACE = 0x20
BLANK = -1  # instead of a number of words: a line of white space alone


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _wide(
    data: Bytes, at: int, end: int, entries: UInt32s, expansions: UInt32s, scratch: Bytes, fill: int
) -> tuple[int, np.int64, int]:
    """Normalise the character at `at`; return where the next begins, the action, and `fill`.

    There is room for a space before what is written, at ``scratch[fill]``.
    """
    code, size = code_point(data, at, end)
    entry = entries[code]
    action = np.int64(entry >> np.uint32(ACTION_SHIFT))
    value = np.int64(entry & np.uint32(CODE_MASK))
    if action == EXPAND:
        for place in range(1, 1 + np.int64(expansions[value, 0])):
            fill = written(scratch, fill, np.int64(expansions[value, place]))
    elif action != SPACE and action != DROP:
        fill = written(scratch, fill, value)
    return at + size, action, fill


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _normalize_line(
    data: Bytes,
    at: int,
    end: int,
    ascii_table: Bytes,
    entries: UInt32s,
    expansions: UInt32s,
    scratch: Bytes,
    fill: int,
) -> tuple[int, int, int, bool]:
    """Normalise up to the next newline into ``scratch[fill:]``, with a space before each word.

    Returns:
        Where the line ends, the new `fill`, its words, and whether it is white space alone.
    """
    words = 0
    within = 0
    seen = 0
    while at < end:
        byte = data[at]
        if byte < 0x80:
            if byte == _NEWLINE:
                break
            # Without a branch: where words end cannot be foreseen.
            value = ascii_table[byte]
            at += 1
            kept = int(value < 0x80)
            begins = kept & (1 - within)
            scratch[fill] = _SPACE
            fill += begins
            scratch[fill] = value
            fill += kept
            words += begins
            space = int(value == ASCII_SPACE)
            within = (within & (1 - space)) | kept
            seen |= 1 - space
            continue
        first = fill
        if not within:
            scratch[fill] = _SPACE
            first += 1
        at, action, stop = _wide(data, at, end, entries, expansions, scratch, first)
        if action == SPACE:
            within = 0
            continue
        seen = 1
        if action != DROP:
            words += 1 - within
            within = 1
            fill = stop
    return at, fill, words, seen == 0


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _hash(scratch: Bytes, fill: int) -> np.uint64:
    return xxh64(scratch, 1, fill) if fill else np.uint64(0)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def find_lines(
    data: Bytes,
    offsets: Int64s,
    paragraphs: bool,
    ascii_table: Bytes,
    entries: UInt32s,
    expansions: UInt32s,
    growth: int,
) -> tuple[Int64s, Int64s, Int64s, UInt64s, Int32s]:
    """Return the lines or the paragraphs of each document.

    Returns:
        int64[documents + 1], where each document's lines begin; of each line its first byte in the
        document and the one behind its last, its hash, and its words or `BLANK`.
    """
    documents = len(offsets) - 1
    longest = np.int64(0)
    most = documents
    for row in range(documents):
        longest = max(longest, offsets[row + 1] - offsets[row])
        for at in range(offsets[row], offsets[row + 1]):
            most += data[at] == _NEWLINE
    # Each line may begin with a space that no byte stands for.
    scratch = np.empty((growth + 1) * longest + 16, dtype=np.uint8)
    bounds = np.zeros(documents + 1, dtype=np.int64)
    starts = np.empty(most, dtype=np.int64)
    ends = np.empty(most, dtype=np.int64)
    hashes = np.empty(most, dtype=np.uint64)
    counts = np.empty(most, dtype=np.int32)
    used = 0
    for row in range(documents):
        begin, end = offsets[row], offsets[row + 1]
        at = begin
        fill = 0
        joins = False  # the line goes on the paragraph before it
        while at < end:
            start = at
            at, fill, words, blank = _normalize_line(
                data, at, end, ascii_table, entries, expansions, scratch, fill if joins else 0
            )
            if joins and blank:  # which writes nothing: a paragraph is hashed once, at its end
                hashes[used - 1] = _hash(scratch, fill)
            elif joins:
                ends[used - 1] = at - begin
                counts[used - 1] += words
            elif not (paragraphs and blank):
                starts[used] = start - begin
                ends[used] = at - begin
                hashes[used] = _hash(scratch, fill)
                counts[used] = BLANK if blank else words
                used += 1
            joins = paragraphs and not blank
            at += 1
        if joins:
            hashes[used - 1] = _hash(scratch, fill)
        bounds[row + 1] = used
    return (
        bounds,
        starts[:used].copy(),
        ends[:used].copy(),
        hashes[:used].copy(),
        counts[:used].copy(),
    )


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def count_lines(
    hashes: UInt64s, rows: Int32s, ranks: Int64s
) -> tuple[UInt64s, Int32s, Int32s, Int32s]:
    """Return each distinct hash once, in the order in which they come first.

    Args:
        hashes: Of lines.
        rows: Ascending, each line's document.
        ranks: By row, the document's place in the order of visits.

    Returns:
        The hashes; of each the row of the best document that has it, how many have it, and how
        often it occurs.
    """
    bits = 4
    while (1 << bits) < 2 * len(hashes):
        bits += 1
    mask = np.int64((1 << bits) - 1)
    slots = np.full(1 << bits, -1, dtype=np.int32)
    distinct = np.empty(len(hashes), dtype=np.uint64)
    best = np.empty(len(hashes), dtype=np.int32)
    latest = np.empty(len(hashes), dtype=np.int32)
    documents = np.empty(len(hashes), dtype=np.int32)
    times = np.empty(len(hashes), dtype=np.int32)
    used = 0
    for line in range(len(hashes)):
        key, row = hashes[line], rows[line]
        slot = np.int64(key >> np.uint64(1)) & mask
        while slots[slot] >= 0 and distinct[slots[slot]] != key:
            slot = (slot + 1) & mask
        place = slots[slot]
        if place < 0:
            slots[slot] = used
            distinct[used] = key
            best[used] = row
            latest[used] = row
            documents[used] = 1
            times[used] = 1
            used += 1
            continue
        times[place] += 1
        if latest[place] != row:
            latest[place] = row
            documents[place] += 1
            if ranks[row] < ranks[best[place]]:
                best[place] = row
    return distinct[:used].copy(), best[:used].copy(), documents[:used].copy(), times[:used].copy()

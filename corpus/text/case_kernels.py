"""Lower case and class of characters, for compiled loops: `str.lower` on UTF-8, context included.

Fixed by Unicode (section 3.13) and by the tables of `corpus.text.unicode_tables`, which come from
the running Python; compiled into the kernels that call it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from corpus.text.unicode_tables import (
    ACTION_MASK,
    ACTION_SHIFT,
    CAPITAL_SIGMA,
    CASED,
    CODE_POINT_MASK,
    CONTEXT_SHIFT,
    EXPANDS,
    FINAL_SIGMA,
    IGNORABLE,
    KEEP,
)
from corpus.text.utf8_kernels import code_point, written

Bytes = npt.NDArray[np.uint8]
UInt32s = npt.NDArray[np.uint32]


KEEP_AND_BREAK = 3


@njit(nogil=True)  # type: ignore[untyped-decorator]
def is_final_sigma(
    data: Bytes, begin: int, before: int, after: int, end: int, entries: UInt32s
) -> bool:
    """Say whether the sigma in ``data[before:after]`` ends a word (Unicode 3.13, Final_Sigma).

    It does when a cased character stands before it and none behind it, ignorable ones passed over.
    A sigma is not ignorable itself, so each byte is passed over at most twice in a document.
    """
    context = np.int64(0)
    at = before
    while at > begin:
        at -= 1
        while at > begin and (data[at] & 0xC0) == 0x80:
            at -= 1
        code, _ = code_point(data, at, end)
        context = np.int64(entries[code]) >> CONTEXT_SHIFT
        if context != IGNORABLE:
            break
    if context != CASED:
        return False
    at = after
    while at < end:
        code, size = code_point(data, at, end)
        context = np.int64(entries[code]) >> CONTEXT_SHIFT
        if context != IGNORABLE:
            return bool(context != CASED)
        at += size
    return True


@njit(nogil=True)  # type: ignore[untyped-decorator]
def lowered(
    data: Bytes, begin: int, end: int, entries: UInt32s, expansions: UInt32s, scratch: Bytes
) -> int:
    """Write the lower case of ``data[begin:end]`` to the head of `scratch`; return its bytes.

    Args:
        data: UTF-8.
        begin: First byte.
        end: Past the last byte.
        entries: Of the kind of words "whitespace", which leaves no character out.
        expansions: Likewise.
        scratch: `lower_room` bytes or more.
    """
    fill = 0
    at = begin
    while at < end:
        if data[at] < 0x80:
            scratch[fill] = np.uint8(entries[data[at]])  # the lower case of ASCII is ASCII
            fill += 1
            at += 1
            continue
        code, size = code_point(data, at, end)
        entry = np.int64(entries[code])
        lower = entry & CODE_POINT_MASK
        if entry & EXPANDS:
            for column in range(2, 2 + np.int64(expansions[lower, 0])):
                fill = written(scratch, fill, np.int64(expansions[lower, column]))
        else:
            if code == CAPITAL_SIGMA and is_final_sigma(data, begin, at, at + size, end, entries):
                lower = np.int64(FINAL_SIGMA)
            fill = written(scratch, fill, lower)
        at += size
    return fill


@njit(nogil=True)  # type: ignore[untyped-decorator]
def lower_room(size: int) -> int:
    """Return how many bytes `size` bytes may become in lower case.

    A character takes at most half as many bytes again (U+023A: 2 bytes become 3, as in U+0130).
    """
    return size + size // 2 + 8


@njit(nogil=True)  # type: ignore[untyped-decorator]
def wide_character(
    data: Bytes,
    begin: int,
    here: int,
    end: int,
    entries: UInt32s,
    expansions: UInt32s,
    scratch: Bytes,
    fill: int,
) -> tuple[int, int, np.int64 | int]:
    """Normalise the character at `here`, which is not ASCII.

    Returns:
        Where the next one is, the new `fill`, and the action (`KEEP_AND_BREAK` if a word ends with
        this character).
    """
    code, size = code_point(data, here, end)
    after = here + size
    entry = np.int64(entries[code])
    action = (entry >> ACTION_SHIFT) & ACTION_MASK
    if action != KEEP:
        return after, fill, action
    lower = entry & CODE_POINT_MASK
    if entry & EXPANDS:
        for column in range(2, 2 + np.int64(expansions[lower, 0])):
            fill = written(scratch, fill, np.int64(expansions[lower, column]))
        return after, fill, KEEP_AND_BREAK if expansions[lower, 1] else KEEP
    if code == CAPITAL_SIGMA and is_final_sigma(data, begin, here, after, end, entries):
        lower = np.int64(FINAL_SIGMA)
    return after, written(scratch, fill, lower), KEEP

"""The compiled search of a text in lower case for the phrases of C4's rules, all at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from corpus.text.unicode_tables import WORD_CHARACTER
from corpus.text.utf8_kernels import code_point

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

_NEWLINE = 0x0A


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _stands_alone(scratch: Bytes, at: int, past: int, end: int, flags: Bytes) -> bool:
    """Say whether no word goes on before `at` or from `past` on."""
    if at > 0:
        before = at - 1
        while before > 0 and (scratch[before] & 0xC0) == 0x80:
            before -= 1
        code, _ = code_point(scratch, before, end)
        if flags[code] & WORD_CHARACTER:
            return False
    if past < end:
        code, _ = code_point(scratch, past, end)
        if flags[code] & WORD_CHARACTER:
            return False
    return True


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _phrase(
    scratch: Bytes,
    at: int,
    end: int,
    flags: Bytes,
    heads: Int32s,
    rows: Int32s,
    phrases: Bytes,
    bounds: Int64s,
    alone: Flags,
) -> int:
    """Return the lowest number of a phrase that stands at `at`, or -1."""
    pair = (np.int64(scratch[at]) << 8) | np.int64(scratch[at + 1])
    for index in range(heads[pair], heads[pair + 1]):
        row = rows[index]
        size = bounds[row + 1] - bounds[row]
        if at + size > end:
            continue
        same = 0
        while same < size and scratch[at + same] == phrases[bounds[row] + same]:
            same += 1
        if same == size and (not alone[row] or _stands_alone(scratch, at, at + size, end, flags)):
            return int(row)
    return -1


@njit(nogil=True)  # type: ignore[untyped-decorator]
def page_phrase(
    scratch: Bytes,
    end: int,
    flags: Bytes,
    begins: Flags,
    heads: Int32s,
    rows: Int32s,
    phrases: Bytes,
    bounds: Int64s,
    alone: Flags,
    of_page: int,
    places: Int64s,
) -> tuple[int, int]:
    """Search a text in lower case, with a zero behind its end, for all phrases.

    Returns:
        The lowest number of a phrase of a page that is in it, or `of_page`; and how many phrases of
        a line are in it, or -1 if they are more than `places` has room for: there it says where.
    """
    first = of_page
    used = 0
    pair = np.int64(0)
    for at in range(end + 1):
        pair = ((pair & 0xFF) << 8) | np.int64(scratch[at])
        if at == 0 or not begins[pair]:
            continue
        # Where one of the page stands, one of a line does not matter any more.
        row = _phrase(scratch, at - 1, end, flags, heads, rows, phrases, bounds, alone)
        if 0 <= row < of_page:
            first = min(first, row)
        elif row >= of_page:
            if used == len(places):
                return first, -1
            places[used] = at - 1
            used += 1
    return first, used


@njit(nogil=True)  # type: ignore[untyped-decorator]
def lines_of(scratch: Bytes, places: Int64s, used: int) -> None:
    """Put in the place of each byte, which ascend, the number of its line."""
    line = at = 0
    for index in range(used):
        while at < places[index]:
            line += scratch[at] == _NEWLINE
            at += 1
        places[index] = line

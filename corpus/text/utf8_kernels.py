"""UTF-8 (RFC 3629) as compiled functions: read a code point, write a code point.

Arrow promises valid UTF-8, so malformed bytes are not looked for; where they are met nonetheless,
they are read as a space or as some code point, and nothing is read out of bounds.
"""

from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt
from numba import njit

Bytes = npt.NDArray[np.uint8]

_CODE_POINTS = sys.maxunicode + 1
# One byte again, and the end of a word: what is written is never longer for it.
_MALFORMED = 0x20


@njit(nogil=True)  # type: ignore[untyped-decorator]
def code_point(data: Bytes, at: int, end: int) -> tuple[np.int64 | int, int]:
    """Return the code point at `at` and the number of its bytes; nothing from `end` on is read."""
    lead = np.int64(data[at])
    if lead < 0x80:
        return lead, 1
    if lead < 0xC0 or lead >= 0xF8:
        return _MALFORMED, 1
    size = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if at + size > end:
        return _MALFORMED, 1
    code = lead & (0x7F >> size)
    for index in range(at + 1, at + size):
        code = (code << 6) | (np.int64(data[index]) & 0x3F)
    return (code if code < _CODE_POINTS else _MALFORMED), size


@njit(nogil=True)  # type: ignore[untyped-decorator]
def written(scratch: Bytes, fill: int, code: int) -> int:
    """Write a code point as UTF-8 at `fill`; return the new `fill`."""
    if code < 0x80:
        scratch[fill] = code
        return fill + 1
    if code < 0x800:
        scratch[fill] = 0xC0 | (code >> 6)
        scratch[fill + 1] = 0x80 | (code & 0x3F)
        return fill + 2
    if code < 0x10000:
        scratch[fill] = 0xE0 | (code >> 12)
        scratch[fill + 1] = 0x80 | ((code >> 6) & 0x3F)
        scratch[fill + 2] = 0x80 | (code & 0x3F)
        return fill + 3
    scratch[fill] = 0xF0 | (code >> 18)
    scratch[fill + 1] = 0x80 | ((code >> 12) & 0x3F)
    scratch[fill + 2] = 0x80 | ((code >> 6) & 0x3F)
    scratch[fill + 3] = 0x80 | (code & 0x3F)
    return fill + 4

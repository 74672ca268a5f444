"""The lower case of a text in UTF-8, as `str.lower` has it, written to a scratch buffer.

64 bytes at a time where they are ASCII, and from a table where they are not. White space that is
not ASCII becomes a space.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.text.byte_vectors import lower64, store8, trailing_zeros
from corpus.text.kernel_cache import njit

# What the table holds where no bytes are the answer. No code point from U+0080 on has a lower case
# that is one of these bytes.
WHITESPACE = 0
DOTTED_CAPITAL_I = 1  # U+0130 is the only code point that str.lower turns into two
CAPITAL_SIGMA = 2  # U+03A3 depends on its neighbours (final sigma)
_LAST_MARK = 2
_I_AND_DOT = 0x87CC69  # i and U+0307

MARGIN = 64  # bytes behind the room of the scratch that may be written

_INLINE = njit(cache=True, nogil=True, forceinline=True)


@functools.cache
def lower_table() -> NDArray[np.uint32]:
    """Return the UTF-8 bytes of each code point's lower case, or one of the marks above.

    The first byte is the lowest of the number. Code points under U+0080 are not looked up.
    """
    codes = np.arange(0x110000, dtype=np.uint32)
    plain = np.concatenate([np.arange(0xD800), np.arange(0xE000, 0x110000)])
    plain = plain[(plain != 0x130) & (plain != 0x3A3)].astype(np.uint32)
    lowered = plain.tobytes().decode("utf-32-le").lower().encode("utf-32-le")
    codes[plain] = np.frombuffer(lowered, np.uint32)
    last, third, second = (0x80 | ((codes >> shift) & 0x3F) for shift in (0, 6, 12))
    table = np.select(
        [codes < 0x80, codes < 0x800, codes < 0x10000],
        [
            codes,
            (0xC0 | (codes >> 6)) | (last << 8),
            (0xE0 | (codes >> 12)) | (third << 8) | (last << 16),
        ],
        (0xF0 | (codes >> 18)) | (second << 8) | (third << 16) | (last << 24),
    ).astype(np.uint32)
    table[0x130] = DOTTED_CAPITAL_I
    table[0x3A3] = CAPITAL_SIGMA
    table[[code for code in range(0x3001) if chr(code).isspace()]] = WHITESPACE
    return table


@_INLINE  # type: ignore[untyped-decorator]
def _decode(data: Any, at: Any, end: Any) -> Any:
    """Return the code point at `at` and its length; of what is not UTF-8, -1 and one byte."""
    lead = np.int64(data[at])
    if lead < 0xC2 or lead > 0xF4:
        return np.int64(-1), 1
    length = 2 if lead < 0xE0 else (3 if lead < 0xF0 else 4)
    if at + length > end:
        return np.int64(-1), 1
    code = lead & (0x7F >> length)
    for i in range(1, length):
        follower = np.int64(data[at + i])
        if follower & 0xC0 != 0x80:
            return np.int64(-1), 1
        code = (code << 6) | (follower & 0x3F)
    if code > 0x10FFFF or (length == 3 and code < 0x800) or (length == 4 and code < 0x10000):
        return np.int64(-1), 1
    return code, length


@_INLINE  # type: ignore[untyped-decorator]
def lower(data: Any, at: Any, end: Any, table: Any, scratch: Any, fill: Any, room: Any) -> Any:
    """Write what begins at `at` to the scratch in lower case, up to `end` or until it is full.

    Args:
        data: uint8; the bytes of all texts.
        at: Where to begin in them.
        end: Where the text ends.
        table: Of `lower_table`.
        scratch: uint8; what is written to.
        fill: Where to begin in it.
        room: How far it may be filled before it is full. `MARGIN` bytes behind that are there too.

    Returns:
        Where it goes on in `data` and in the scratch, and whether a capital sigma stopped it.
    """
    while at < end and fill < room:
        if at + 64 <= data.size:
            size = min(trailing_zeros(lower64(data, at, scratch, fill)), end - at)
        else:  # the last bytes of the last text
            size = np.int64(0)
            while size < end - at and data[at + size] < 0x80:
                byte = data[at + size]
                scratch[fill + size] = byte | 0x20 if 0x41 <= byte <= 0x5A else byte
                size += 1
        at += size
        fill += size
        while at < end and data[at] >= 0x80 and fill < room:
            code, length = _decode(data, at, end)
            packed = table[code] if code >= 0 else np.uint32(data[at])
            if packed <= _LAST_MARK:
                if packed == CAPITAL_SIGMA:
                    return at, fill, True
                packed = np.uint32(0x20 if packed == WHITESPACE else _I_AND_DOT)
            store8(scratch, fill, np.uint64(packed))
            fill += 1 + (packed > 0xFF) + (packed > 0xFFFF) + (packed > 0xFFFFFF)
            at += length
    return at, fill, False

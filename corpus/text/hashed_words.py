"""The compiled part of `corpus.text.quality`: hashed word counts times weights, over Arrow buffers.

A text is decoded, put into lower case, split on white space and hashed in one pass without a copy.
A MurmurHash3 in the making is three numbers: the hash h of the whole blocks of four bytes, the
bytes k of the block begun, and the length n. A pair of words goes on from the state of its first
word, so a word may be as long as the text and nothing is set aside for it.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

# What the lower-case table holds instead of a code point where one code point is not the answer.
_WHITESPACE = -1
_DOTTED_CAPITAL_I = -2  # U+0130 is the only code point that str.lower turns into two
_CAPITAL_SIGMA = -3  # U+03A3 depends on its neighbours (final sigma)


@functools.cache
def lower_table() -> NDArray[np.int32]:
    """Return each code point's lower case, or one of the negative marks above."""
    table = np.arange(0x110000, dtype=np.int32)
    plain = np.concatenate([np.arange(0xD800), np.arange(0xE000, 0x110000)])
    plain = plain[(plain != 0x130) & (plain != 0x3A3)].astype(np.uint32)
    lowered = plain.tobytes().decode("utf-32-le").lower().encode("utf-32-le")
    table[plain] = np.frombuffer(lowered, np.uint32)
    table[0x130] = _DOTTED_CAPITAL_I
    table[0x3A3] = _CAPITAL_SIGMA
    table[[code for code in range(0x3001) if chr(code).isspace()]] = _WHITESPACE
    return table


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _mixed(k: Any) -> Any:
    k = np.uint32(k * np.uint32(0xCC9E2D51))
    k = np.uint32((k << np.uint32(15)) | (k >> np.uint32(17)))
    return np.uint32(k * np.uint32(0x1B873593))


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _absorb(h: Any, k: Any, n: Any, byte: Any) -> Any:
    k = np.uint32(k | (np.uint32(byte) << np.uint32(8 * (n & 3))))
    n += 1
    if n & 3 == 0:
        h = np.uint32(h ^ _mixed(k))
        h = np.uint32((h << np.uint32(13)) | (h >> np.uint32(19)))
        h = np.uint32(h * np.uint32(5) + np.uint32(0xE6546B64))
        k = np.uint32(0)
    return h, k, n


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _absorb_code(h: Any, k: Any, n: Any, code: Any) -> Any:
    if code < 0x80:
        return _absorb(h, k, n, code)
    if code < 0x800:
        h, k, n = _absorb(h, k, n, 0xC0 | (code >> 6))
    else:
        if code < 0x10000:
            h, k, n = _absorb(h, k, n, 0xE0 | (code >> 12))
        else:
            h, k, n = _absorb(h, k, n, 0xF0 | (code >> 18))
            h, k, n = _absorb(h, k, n, 0x80 | ((code >> 12) & 0x3F))
        h, k, n = _absorb(h, k, n, 0x80 | ((code >> 6) & 0x3F))
    return _absorb(h, k, n, 0x80 | (code & 0x3F))


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _bucket(h: Any, k: Any, n: Any, buckets: Any) -> Any:
    h = np.uint32(h ^ _mixed(k))  # an empty last block mixes to 0
    h = np.uint32(h ^ np.uint32(n))
    h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    h = np.uint32((h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    h = np.uint32(h ^ (h >> np.uint32(16)))
    return abs(np.int64(np.int32(h))) % buckets  # scikit-learn: the signed hash, then abs, then mod


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _decode(data: Any, at: Any, end: Any) -> Any:
    """Return the code point at `at` and its length; of what is not UTF-8, one byte and -1."""
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


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def probabilities(
    data: Any, offsets: Any, lower: Any, weights: Any, intercept: Any, pairs: Any, l2: Any
) -> Any:
    """Return the probability of each text, and which texts were left out for their capital sigma.

    Args:
        data: uint8, read-only; the bytes of all texts.
        offsets: int64, (n + 1,); where each text begins in them, and where the last one ends.
        lower: The table of `lower_table`.
        weights: float64, one a bucket.
        intercept: The log-odds of a text without words.
        pairs: Whether pairs of adjacent words count as well.
        l2: Whether the counts of a text are scaled to length 1.

    Returns:
        float64 (n,) and bool (n,); a probability means nothing where the second is true.
    """
    rows = offsets.size - 1
    buckets = np.int64(weights.size)
    result = np.zeros(rows, np.float64)
    has_sigma = np.zeros(rows, np.bool_)
    counts = np.zeros(buckets, np.int32)
    touched = np.empty(buckets, np.int32)
    zero = np.uint32(0)
    for row in range(rows):
        at, end = offsets[row], offsets[row + 1]
        used = 0
        total = 0.0
        squares = 0.0
        h, k, n = zero, zero, np.int64(0)  # the word
        ph, pk, pn = zero, zero, np.int64(0)  # the pair: the word before, a space, the word
        paired = False
        while True:
            code = np.int64(_WHITESPACE)
            raw = np.int64(-1)
            length = 1
            if at < end:
                raw = np.int64(data[at])
                if raw < 0x80:
                    code = np.int64(lower[raw])
                else:
                    point, length = _decode(data, at, end)
                    code = np.int64(lower[point]) if point >= 0 else np.int64(0x110000)
            if code == _WHITESPACE:
                if n > 0:
                    for which in range(2 if pairs and paired else 1):
                        if which == 0:
                            bucket = _bucket(h, k, n, buckets)
                        else:
                            bucket = _bucket(ph, pk, pn, buckets)
                        count = counts[bucket]
                        if count == 0:
                            touched[used] = bucket
                            used += 1
                        squares += 2.0 * count + 1.0  # (count + 1)² - count²
                        counts[bucket] = count + 1
                        total += weights[bucket]
                    if pairs:
                        ph, pk, pn = _absorb(h, k, n, 0x20)
                        paired = True
                    h, k, n = zero, zero, np.int64(0)
                if at >= end:
                    break
            elif code == _CAPITAL_SIGMA:
                has_sigma[row] = True
                break
            elif code < 0x80 and code >= 0:
                h, k, n = _absorb(h, k, n, code)
                if pairs and paired:
                    ph, pk, pn = _absorb(ph, pk, pn, code)
            elif code == _DOTTED_CAPITAL_I:
                for part in (np.int64(0x69), np.int64(0x307)):
                    h, k, n = _absorb_code(h, k, n, part)
                    if pairs and paired:
                        ph, pk, pn = _absorb_code(ph, pk, pn, part)
            elif code == 0x110000:  # not UTF-8: the byte as it is
                h, k, n = _absorb(h, k, n, raw)
                if pairs and paired:
                    ph, pk, pn = _absorb(ph, pk, pn, raw)
            else:
                h, k, n = _absorb_code(h, k, n, code)
                if pairs and paired:
                    ph, pk, pn = _absorb_code(ph, pk, pn, code)
            at += length
        for i in range(used):
            counts[touched[i]] = 0
        if l2 and squares > 0.0:
            total /= math.sqrt(squares)
        total += intercept
        small = math.exp(-abs(total))  # cannot overflow
        result[row] = (1.0 if total >= 0 else small) / (1.0 + small)
    return result, has_sigma

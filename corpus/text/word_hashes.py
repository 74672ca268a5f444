"""MurmurHash3 of the words of a buffer, and of the pairs of adjacent ones, many at once.

Words of up to 16 bytes, nearly all, are hashed in loops without a branch, which are compiled to
vector instructions; longer ones one by one.

A hash in the making is three numbers: the hash h of the whole blocks of four bytes, the bytes k of
the block begun, and the length n. A pair goes on from the state of its first word.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpus.text.byte_vectors import bits_set, load8, trailing_zeros, white64
from corpus.text.kernel_cache import njit

_SHORT = 16  # bytes of a word that is hashed together with others
_EVERY = np.uint64(0xFFFFFFFFFFFFFFFF)
_SPACE = np.uint32(0x20)
_AT_ONCE = 24  # ends of words in 64 bytes that are written without a branch: few texts have more

# Bytes behind a text in its buffer that are read, and rows behind the ends that are written.
MARGIN = 64
EDGE_MARGIN = _AT_ONCE + 8

_INLINE = njit(cache=True, nogil=True, forceinline=True)


@_INLINE  # type: ignore[untyped-decorator]
def find_words(scratch: Any, fill: Any, edges: Any) -> Any:
    """Write to `edges` where words of scratch[:fill] begin and end, in turns; return how many.

    The last one, where there is an odd number, is the beginning of a word that goes on.
    """
    used = np.int64(0)
    before = np.uint64(1)  # whether the byte before is white space
    for block in range(0, fill, 64):
        white = white64(scratch, block)
        bits = white ^ ((white << np.uint64(1)) | before)
        before = white >> np.uint64(63)
        if fill - block < 64:
            bits &= _EVERY >> np.uint64(64 - (fill - block))
        count = bits_set(bits)
        written = used
        for i in range(_AT_ONCE):  # more than there are, so that no branch depends on the text
            edges[written + i] = block + trailing_zeros(bits)
            bits &= bits - np.uint64(1)
        written += _AT_ONCE
        while bits:
            edges[written] = block + trailing_zeros(bits)
            bits &= bits - np.uint64(1)
            written += 1
        used += count
    return used


@_INLINE  # type: ignore[untyped-decorator]
def _mixed(k: Any) -> Any:
    k = np.uint32(k * np.uint32(0xCC9E2D51))
    k = np.uint32((k << np.uint32(15)) | (k >> np.uint32(17)))
    return np.uint32(k * np.uint32(0x1B873593))


@_INLINE  # type: ignore[untyped-decorator]
def _round(h: Any, k: Any) -> Any:
    h = np.uint32(h ^ _mixed(k))
    h = np.uint32((h << np.uint32(13)) | (h >> np.uint32(19)))
    return np.uint32(h * np.uint32(5) + np.uint32(0xE6546B64))


@_INLINE  # type: ignore[untyped-decorator]
def _final(h: Any, k: Any, n: Any) -> Any:
    """Return the absolute value of the signed hash, which scikit-learn takes the bucket from."""
    h = np.uint32(h ^ _mixed(k))  # an empty last block mixes to 0
    h = np.uint32(h ^ n)
    h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    h = np.uint32((h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    h = np.uint32(h ^ (h >> np.uint32(16)))
    sign = np.uint32(np.int32(h) >> np.int32(31))
    return np.uint32(np.uint32(h ^ sign) - sign)


@_INLINE  # type: ignore[untyped-decorator]
def _bytes_of(k: Any, n: Any) -> Any:
    """Return the lowest n % 4 bytes of a block."""
    bits = np.uint32(8) * np.uint32(n & np.uint32(3))
    return np.uint32(k & np.uint32((np.uint32(1) << bits) - np.uint32(1)))


@_INLINE  # type: ignore[untyped-decorator]
def _absorb(h: Any, k: Any, n: Any, value: Any, size: Any) -> Any:
    """Add the `size` lowest bytes of `value`, at most eight; the others are zero."""
    filled = np.uint64(n & np.uint32(3))
    low = np.uint64(k) | (value << (np.uint64(8) * filled))
    high = (value >> np.uint64(1)) >> (np.uint64(63) - np.uint64(8) * filled)  # no room in `low`
    once = _round(h, np.uint32(low))
    n = np.uint32(n + np.uint32(size))
    if filled + size >= 8:
        return _round(once, np.uint32(low >> np.uint64(32))), np.uint32(high), n
    if filled + size >= 4:
        return once, np.uint32(low >> np.uint64(32)), n
    return h, np.uint32(low), n


@_INLINE  # type: ignore[untyped-decorator]
def _absorb_word(h: Any, k: Any, n: Any, scratch: Any, start: Any, end: Any) -> Any:
    """Add the bytes of scratch[start:end]."""
    while end - start > 8:
        h, k, n = _absorb(h, k, n, load8(scratch, start), np.uint64(8))
        start += 8
    left = np.uint64(end - start)
    value = load8(scratch, start) & (_EVERY >> (np.uint64(64) - np.uint64(8) * left))
    return _absorb(h, k, n, value, left)


@_INLINE  # type: ignore[untyped-decorator]
def hash_words(scratch: Any, edges: Any, words: Any, rows: Any, hashes: Any) -> Any:
    """Hash the words between the edges.

    Args:
        scratch: uint8; what the edges are places in, with `MARGIN` more bytes.
        edges: Of `find_words`.
        words: How many there are.
        rows: uint32 (7, words + 1 or more). Word i goes to column i + 1: its first four blocks of
            four bytes, with anything behind its end, and n, h and k. Column 0 is left alone: there
            stands the word before.
        hashes: uint32; that of word i goes to i + 1.
    """
    longest = np.uint32(0)
    for word in range(words):
        start = np.int64(edges[2 * word])
        first, second = load8(scratch, start), load8(scratch, start + 8)
        column = word + 1
        rows[0, column] = np.uint32(first)
        rows[1, column] = np.uint32(first >> np.uint64(32))
        rows[2, column] = np.uint32(second)
        rows[3, column] = np.uint32(second >> np.uint64(32))
        size = np.uint32(edges[2 * word + 1] - start)
        rows[4, column] = size
        longest = max(longest, size)
    for column in range(1, words + 1):
        n = rows[4, column]
        h, k = np.uint32(0), rows[0, column]
        done = np.uint32(0)
        for block in range(4):
            done = _round(done, rows[block, column])
            whole = n >= np.uint32(4 * block + 4)
            h = done if whole else h
            k = (rows[block + 1, column] if block < 3 else np.uint32(0)) if whole else k
        k = _bytes_of(k, n)
        rows[5, column], rows[6, column] = h, k
        hashes[column] = _final(h, k, n)
    if longest > _SHORT:
        for word in range(words):
            column = word + 1
            if rows[4, column] > _SHORT:
                start, end = np.int64(edges[2 * word]), np.int64(edges[2 * word + 1])
                nothing = np.uint32(0)
                h, k, n = _absorb_word(nothing, nothing, nothing, scratch, start, end)
                rows[5, column], rows[6, column] = h, k
                hashes[column] = _final(h, k, n)


@_INLINE  # type: ignore[untyped-decorator]
def hash_pairs(scratch: Any, edges: Any, words: Any, rows: Any, hashes: Any) -> Any:
    """Hash each word with the word before and a space between; see `hash_words`, whose rows it has.

    The pair of word i and the one before goes to i + 1.
    """
    longest = np.uint32(0)
    for column in range(1, words + 1):
        before, own = rows[4, column - 1], rows[4, column]
        longest = max(longest, own)
        h, k = rows[5, column - 1], rows[6, column - 1]
        bits = np.uint32(8) * np.uint32(before & np.uint32(3))  # of the block begun
        size = np.uint32(np.uint32(before & np.uint32(3)) + np.uint32(1) + own)
        # The space and the word, moved up by what the block begun holds.
        below = np.uint32(_SPACE | np.uint32(rows[0, column] << np.uint32(8)))
        block = np.uint32(k | np.uint32(below << bits))
        done, k = h, block
        for number in range(5):
            done = _round(done, block)
            above = np.uint32(rows[number, column] >> np.uint32(24)) if number < 4 else np.uint32(0)
            if number < 3:
                above = np.uint32(above | np.uint32(rows[number + 1, column] << np.uint32(8)))
            over = np.uint32((below >> np.uint32(1)) >> np.uint32(np.uint32(31) - bits))
            block = np.uint32(over | np.uint32(above << bits))
            below = above
            whole = size >= np.uint32(4 * number + 4)
            h = done if whole else h
            k = block if whole else k
        n = np.uint32(before + np.uint32(1) + own)
        hashes[column] = _final(h, _bytes_of(k, size), n)
    if longest > _SHORT:
        for word in range(words):
            column = word + 1
            if rows[4, column] > _SHORT:
                h, k, n = rows[5, word], rows[6, word], rows[4, word]
                h, k, n = _absorb(h, k, n, np.uint64(_SPACE), np.uint64(1))
                start, end = np.int64(edges[2 * word]), np.int64(edges[2 * word + 1])
                h, k, n = _absorb_word(h, k, n, scratch, start, end)
                hashes[column] = _final(h, k, n)

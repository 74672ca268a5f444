"""The compiled part of `corpus.text.quality`: hashed word counts times weights, over Arrow buffers.

A text is put into lower case in a scratch buffer that stays in the processor's first cache, eight
bytes at a time where they are ASCII. White space in it is found 64 bytes at a time, as bits, and
each word is hashed from there by loads of eight bytes, so that few branches depend on the text: a
branch that is guessed wrong costs as much as hashing a word. The buffer grows only for a word that
is longer than it.

A MurmurHash3 in the making is three numbers: the hash h of the whole blocks of four bytes, the
bytes k of the block begun, and the length n. A pair of words goes on from the state of its first
word.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

# What the lower-case table holds where no bytes are the answer. No code point from U+0080 on has a
# lower case that is one of these bytes.
WHITESPACE = 0
DOTTED_CAPITAL_I = 1  # U+0130 is the only code point that str.lower turns into two
CAPITAL_SIGMA = 2  # U+03A3 depends on its neighbours (final sigma)
_LAST_MARK = 2

SCRATCH = 1 << 13  # bytes of a text that are looked at together
_MARGIN = 80  # bytes behind the scratch that may be read and written: 64, and a character

# Eight bytes at once: the same byte eight times, and what is added to a byte under 0x80 so that its
# highest bit says whether it is at least as large as a character.
_HIGH = np.uint64(0x8080808080808080)
_LOW = np.uint64(0x7F7F7F7F7F7F7F7F)
_EVERY = np.uint64(0xFFFFFFFFFFFFFFFF)
_FROM_TAB = np.uint64((0x80 - 0x09) * 0x0101010101010101)
_OVER_RETURN = np.uint64((0x80 - 0x0E) * 0x0101010101010101)
_FROM_SEPARATOR = np.uint64((0x80 - 0x1C) * 0x0101010101010101)
_OVER_SPACE = np.uint64((0x80 - 0x21) * 0x0101010101010101)
_FROM_A = np.uint64((0x80 - 0x41) * 0x0101010101010101)
_OVER_Z = np.uint64((0x80 - 0x5B) * 0x0101010101010101)


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


@intrinsic  # type: ignore[untyped-decorator]
def _load(typing: Any, data: Any, at: Any) -> Any:
    """Return data[at : at + 8] as a number, the first byte lowest; nothing is checked."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_place(context, builder, signature, arguments), align=1)

    return types.uint64(data, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def _store(typing: Any, data: Any, at: Any, value: Any) -> Any:
    """Write the eight bytes of a number to data[at : at + 8]; nothing is checked."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _place(context, builder, signature, arguments), align=1)
        return context.get_dummy_value()

    return types.void(data, types.int64, types.uint64), generate


def _place(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    place = builder.gep(array.data, [arguments[1]])
    return builder.bitcast(place, context.get_value_type(types.uint64).as_pointer())


@intrinsic  # type: ignore[untyped-decorator]
def _trailing_zeros(typing: Any, number: Any) -> Any:
    """Return how many of the lowest bits are zero; 64 for zero."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], context.get_constant(types.boolean, False))

    return types.int64(types.uint64), generate


_INLINE = numba.njit(cache=True, nogil=True, forceinline=True)


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
def _absorb(h: Any, k: Any, n: Any, value: Any, size: Any) -> Any:
    """Add the `size` lowest bytes of `value`, at most eight; the others are zero."""
    filled = n & 3
    low = np.uint64(k) | (value << np.uint64(8 * filled))
    high = (value >> np.uint64(1)) >> np.uint64(63 - 8 * filled)  # what `low` has no room for
    once = _round(h, np.uint32(low))
    twice = _round(once, np.uint32(low >> np.uint64(32)))
    n += size
    if filled + size >= 8:
        return twice, np.uint32(high), n
    if filled + size >= 4:
        return once, np.uint32(low >> np.uint64(32)), n
    return h, np.uint32(low), n


@_INLINE  # type: ignore[untyped-decorator]
def _absorb_word(h: Any, k: Any, n: Any, scratch: Any, start: Any, end: Any) -> Any:
    """Add the bytes of scratch[start:end]."""
    while end - start > 8:
        h, k, n = _absorb(h, k, n, _load(scratch, start), np.int64(8))
        start += 8
    left = end - start
    value = _load(scratch, start) & (_EVERY >> np.uint64(64 - 8 * left))
    return _absorb(h, k, n, value, left)


@_INLINE  # type: ignore[untyped-decorator]
def _hash_begun(scratch: Any, start: Any, end: Any) -> Any:
    """Return the state after the bytes of scratch[start:end]: `_absorb_word` to nothing, faster.

    Words of up to eight bytes, most of them, go without a branch.
    """
    h, n = np.uint32(0), end - start
    while end - start > 8:
        value = _load(scratch, start)
        h = _round(_round(h, np.uint32(value)), np.uint32(value >> np.uint64(32)))
        start += 8
    left = end - start
    value = _load(scratch, start) & (_EVERY >> np.uint64(64 - 8 * left))
    low, high = np.uint32(value), np.uint32(value >> np.uint64(32))
    once = _round(h, low)
    twice = _round(once, high)
    if left == 8:
        return twice, np.uint32(0), n
    if left >= 4:
        return once, high, n
    return h, low, n


@_INLINE  # type: ignore[untyped-decorator]
def _bucket(h: Any, k: Any, n: Any, buckets: Any) -> Any:
    h = np.uint32(h ^ _mixed(k))  # an empty last block mixes to 0
    h = np.uint32(h ^ np.uint32(n))
    h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    h = np.uint32((h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    h = np.uint32(h ^ (h >> np.uint32(16)))
    # scikit-learn: the signed hash, then abs, then mod
    absolute = np.uint32(abs(np.int64(np.int32(h))))
    if buckets & np.uint32(buckets - np.uint32(1)) == 0:
        return absolute & np.uint32(buckets - np.uint32(1))
    return absolute % buckets


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
def _lower_ascii(eight: Any) -> Any:
    """Return eight bytes in lower case; those that are not ASCII lose their highest bit."""
    low = eight & _LOW  # sums of these carry nothing into the next byte
    capitals = (low + _FROM_A) & ~(low + _OVER_Z) & _HIGH
    return low + (capitals >> np.uint64(2))


@_INLINE  # type: ignore[untyped-decorator]
def _lower(data: Any, at: Any, end: Any, lower: Any, scratch: Any, fill: Any, room: Any) -> Any:
    """Write what begins at `at` to the scratch in lower case, up to `end` or until it is full.

    Returns:
        Where it goes on in `data` and in the scratch, and whether a capital sigma stopped it.
    """
    while at < end and fill < room:
        while end - at >= 32 and fill < room:
            first, second = _load(data, at), _load(data, at + 8)
            third, fourth = _load(data, at + 16), _load(data, at + 24)
            if (first | second | third | fourth) & _HIGH:
                break
            _store(scratch, fill, _lower_ascii(first))
            _store(scratch, fill + 8, _lower_ascii(second))
            _store(scratch, fill + 16, _lower_ascii(third))
            _store(scratch, fill + 24, _lower_ascii(fourth))
            at += 32
            fill += 32
        raw = np.uint64(0)
        if at + 8 <= data.size:
            raw = _load(data, at)
        else:
            for i in range(end - at):
                raw |= np.uint64(data[at + i]) << np.uint64(8 * i)
        _store(scratch, fill, _lower_ascii(raw))
        size = min(_trailing_zeros(raw & _HIGH) >> 3, end - at)
        at += size
        fill += size
        while at < end and data[at] >= 0x80 and fill < room:
            code, length = _decode(data, at, end)
            packed = lower[code] if code >= 0 else np.uint32(data[at])
            if packed <= _LAST_MARK:
                if packed == CAPITAL_SIGMA:
                    return at, fill, True
                packed = np.uint32(0x20 if packed == WHITESPACE else 0x87CC69)  # i and U+0307
            _store(scratch, fill, np.uint64(packed))
            fill += 1 + (packed > 0xFF) + (packed > 0xFFFF) + (packed > 0xFFFFFF)
            at += length
    return at, fill, False


@_INLINE  # type: ignore[untyped-decorator]
def _white(scratch: Any, start: Any) -> Any:
    """Return for each of 64 bytes a bit that says whether it is white space, the first lowest."""
    bits = np.uint64(0)
    for i in range(8):
        raw = _load(scratch, start + 8 * i)
        low = raw & _LOW
        white = ((low + _FROM_TAB) & ~(low + _OVER_RETURN)) | (
            (low + _FROM_SEPARATOR) & ~(low + _OVER_SPACE)
        )
        white &= _HIGH & ~raw
        # The highest bits of eight bytes, gathered by a product into one byte.
        gathered = ((white >> np.uint64(7)) * np.uint64(0x0102040810204080)) >> np.uint64(56)
        bits |= gathered << np.uint64(8 * i)
    return bits


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def probabilities(
    data: Any,
    offsets: Any,
    lower: Any,
    weights: Any,
    intercept: Any,
    pairs: Any,
    l2: Any,
    largest: Any,
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
        largest: Counts are cleared before they could get larger, at most 2^32 - 1.

    Returns:
        float64 (n,) and bool (n,); a probability means nothing where the second is true.
    """
    rows = offsets.size - 1
    buckets = np.uint32(weights.size)
    result = np.zeros(rows, np.float64)
    has_sigma = np.zeros(rows, np.bool_)
    scratch = np.zeros(SCRATCH + _MARGIN, np.uint8)
    found = np.zeros(scratch.size, np.uint32)  # buckets: a word has a byte, and white space one
    # A count stands above the base of its text, so that nothing is cleared between two texts.
    counts = np.zeros(weights.size if l2 else 1, np.uint32)
    base = np.int64(0)
    zero = np.uint32(0)
    for row in range(rows):
        at, end = offsets[row], offsets[row + 1]
        most = 2 * (end - at) + 1  # more words and pairs than the text can have
        if base + most > largest:
            counts[:] = zero
            base = np.int64(0)
        total = 0.0
        squares = np.int64(0)
        words = np.int64(0)
        fill = np.int64(0)
        ph, pk, pn = zero, zero, np.int64(0)  # the word before, and a space
        while True:
            at, fill, stopped = _lower(data, at, end, lower, scratch, fill, scratch.size - _MARGIN)
            if stopped:
                has_sigma[row] = True
                break
            if at >= end:
                scratch[fill] = 0x20  # the last word ends here
                fill += 1
            start = used = np.int64(0)
            for block in range(0, fill, 64):
                bits = _white(scratch, block)
                if fill - block < 64:
                    bits &= _EVERY >> np.uint64(64 - (fill - block))
                while bits:
                    stop = block + _trailing_zeros(bits)
                    bits &= bits - np.uint64(1)
                    if stop == start:
                        start += 1
                        continue
                    h, k, n = _hash_begun(scratch, start, stop)
                    found[used] = _bucket(h, k, n, buckets)
                    used += 1
                    if pairs:
                        if words > 0:
                            ph, pk, pn = _absorb_word(ph, pk, pn, scratch, start, stop)
                            found[used] = _bucket(ph, pk, pn, buckets)
                            used += 1
                        ph, pk, pn = _absorb(h, k, n, np.uint64(0x20), np.int64(1))
                    words += 1
                    start = stop + 1
            # In a loop of its own, so that the processor waits for many of these loads at once.
            for i in range(used):
                bucket = found[i]
                total += weights[bucket]
                if l2:
                    count = max(np.int64(counts[bucket]) - base, np.int64(0))
                    squares += 2 * count + 1  # (count + 1)² - count²
                    counts[bucket] = np.uint32(base + count + 1)
            if at >= end:
                break
            if start == 0:  # a word that is longer than the scratch
                longer = np.zeros(2 * scratch.size, np.uint8)
                for i in range(fill):  # a slice brings the formatting of its error, 1 s
                    longer[i] = scratch[i]
                scratch = longer
                found = np.zeros(scratch.size, np.uint32)
            for i in range(start, fill):
                scratch[i - start] = scratch[i]
            fill -= start
        base += most
        if l2 and squares > 0:
            total /= math.sqrt(squares)
        total += intercept
        small = math.exp(-abs(total))  # cannot overflow
        result[row] = (1.0 if total >= 0 else small) / (1.0 + small)
    return result, has_sigma

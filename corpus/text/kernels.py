"""The compiled loops over the words of an Arrow column of text.

One pass over the UTF-8 bytes and no Python object per word. `_next_words` normalises the next words
of a document into a scratch buffer, from the tables of `corpus.text.unicode_tables`; two kernels
call it: the hashes of every word n-gram, and the MinHash signatures.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpus.text.case_kernels import KEEP_AND_BREAK, wide_character
from corpus.text.hash_kernels import (
    absorbed32,
    mixed32,
    mixed64,
    murmur3,
    scrambled32,
    xxh64,
)
from corpus.text.kernel_cache import njit
from corpus.text.unicode_tables import ACTION_MASK, ACTION_SHIFT, BREAK, KEEP

Bytes = npt.NDArray[np.uint8]
Int64s = npt.NDArray[np.int64]
UInt32s = npt.NDArray[np.uint32]
UInt64s = npt.NDArray[np.uint64]

_SPACE = 0x20
_WORDS = 1024  # normalised at a time
_HELD_BYTES = 1 << 16  # of words that are not needed any more, of a long document
_BLOCK_BYTES = 1 << 16  # of 1024 words whose hashes are computed together; longer ones one by one
# Base of the polynomial over word hashes: odd, so that no word is shifted out of 64 bits
# (2^64 divided by the golden ratio).
_BASE = np.uint64(0x9E3779B97F4A7C15)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _next_words(
    data: Bytes,
    begin: int,
    at: int,
    end: int,
    entries: UInt32s,
    expansions: UInt32s,
    scratch: Bytes,
    fill: int,
    spans: Int64s,
) -> tuple[int, int]:
    """Normalise further words of the document ``data[begin:end]`` into ``scratch[fill:]``.

    A space follows each word. Word i goes to ``scratch[spans[i, 0]:spans[i, 1]]``, and it was
    written as ``data[spans[i, 2]:spans[i, 3]]``, with the punctuation that the kind of words leaves
    out but that belongs to the same whitespace-delimited run.

    Many words a call, since each call counts the references of its arrays with atomic operations.

    Returns:
        Where to go on reading, and the number of words: that of the rows of `spans`, or fewer at
        the end of the document.
    """
    count = 0
    first = fill
    source = -1
    while at < end:
        here = at
        if data[at] < 0x80:
            at += 1
            entry = entries[data[here]]
            action = np.int64((entry >> np.uint32(ACTION_SHIFT)) & np.uint32(ACTION_MASK))
            if action == KEEP:
                scratch[fill] = np.uint8(entry)  # the lower case of ASCII is ASCII
                fill += 1
        else:
            at, fill, action = wide_character(
                data, begin, here, end, entries, expansions, scratch, fill
            )
        if source < 0 and action != BREAK:
            source = here
        if action in (BREAK, KEEP_AND_BREAK):
            if fill > first:
                spans[count, 0] = first
                spans[count, 1] = fill
                spans[count, 2] = source
                spans[count, 3] = here if action == BREAK else at
                scratch[fill] = _SPACE
                fill += 1
                first = fill
                count += 1
                if count == len(spans):
                    return at, count
            source = -1
    if fill > first:
        spans[count, 0] = first
        spans[count, 1] = fill
        spans[count, 2] = source
        spans[count, 3] = end
        scratch[fill] = _SPACE
        count += 1
    return end, count


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _scratch(offsets: Int64s) -> Bytes:
    """Return a buffer for the words of the longest document, with a space behind each.

    A character takes at most half as many bytes again in lower case (U+023A: 2 bytes become 3, and
    U+0130 becomes 3), and every separator stands for at least one byte, except the last.
    """
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    return np.empty(longest + longest // 2 + 8, dtype=np.uint8)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _power(base: np.uint64, exponent: int) -> np.uint64:
    result = np.uint64(1)
    for _ in range(exponent):
        result = result * base
    return result


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def ngram_hashes(
    data: Bytes, offsets: Int64s, entries: UInt32s, expansions: UInt32s, size: int
) -> tuple[Int64s, UInt64s]:
    """Return the hash of every n-gram of `size` words, document by document, in their order.

    They lie at the start of a buffer that would hold one for every second byte, the most there can
    be, and of which the system gives no more than is written.
    """
    documents = len(offsets) - 1
    scratch = _scratch(offsets)
    spans = np.empty((_WORDS, 4), dtype=np.int64)
    recent = np.empty(size, dtype=np.uint64)
    oldest = _power(_BASE, size)
    bounds = np.zeros(documents + 1, dtype=np.int64)
    # A word takes a byte and one that ends it, or is a character of two bytes and more.
    hashes = np.empty((offsets[documents] - offsets[0]) // 2 + documents, dtype=np.uint64)
    fill = np.int64(0)  # as the other kernel gives it, or it is compiled twice
    used = 0
    for row in range(documents):
        begin, at, end = offsets[row], offsets[row], offsets[row + 1]
        recent[:] = 0
        rolling = np.uint64(0)
        seen = 0
        while at < end:
            at, count = _next_words(data, begin, at, end, entries, expansions, scratch, fill, spans)
            for word in range(count):
                digest = xxh64(scratch, spans[word, 0], spans[word, 1])
                slot = seen % size
                rolling = rolling * _BASE + digest - recent[slot] * oldest
                recent[slot] = digest
                seen += 1
                if seen >= size:
                    hashes[used] = mixed64(rolling)
                    used += 1
        bounds[row + 1] = used
    return bounds, hashes[:used]


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _hash_ngrams(
    data: Bytes,
    starts: Int64s,
    ends: Int64s,
    count: int,
    blocks: UInt32s,
    scrambled: UInt32s,
    digests: UInt32s,
) -> None:
    """Write the mixed MurmurHash3 of the ranges ``data[starts[i]:ends[i]]``, which overlap.

    Its step on four bytes is done once for each byte that they can begin at, and its end once for
    all ranges, in loops that are compiled to vector instructions. `data` goes on for 3 bytes and
    more behind the last range.
    """
    if count == 0:
        return
    base = starts[0]
    length = ends[count - 1] - base
    if length > _BLOCK_BYTES:
        for index in range(count):
            digests[index] = mixed32(murmur3(data, starts[index], ends[index]))
        return
    own = data[base : base + length + 3]
    for at in range(length):
        blocks[at] = np.uint32(
            np.uint32(own[at])
            | (np.uint32(own[at + 1]) << np.uint32(8))
            | (np.uint32(own[at + 2]) << np.uint32(16))
            | (np.uint32(own[at + 3]) << np.uint32(24))
        )
    for at in range(length):
        scrambled[at] = scrambled32(blocks[at])
    blocks[length] = np.uint32(0)
    for index in range(count):
        size = np.uint64(ends[index] - starts[index])
        place = np.uint64(starts[index] - base)
        digest = np.uint32(0)
        for _ in range(size >> np.uint64(2)):
            digest = absorbed32(digest, scrambled[place])
            place = np.uint64(place + np.uint64(4))
        rest = np.uint32(8) * np.uint32(size & np.uint64(3))
        mask = np.uint32((np.uint64(1) << np.uint64(rest)) - np.uint64(1))
        tail = np.uint32(blocks[place] & mask)
        digests[index] = np.uint32(digest ^ scrambled32(tail)) ^ np.uint32(size)
    for index in range(count):
        digests[index] = mixed32(mixed32(digests[index]))


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _let_go(scratch: Bytes, fill: int, recent: Int64s, seen: int, size: int) -> int:
    """Move the words that further n-grams begin with to the start, and return where they end.

    Args:
        scratch: Changed. Words, to `fill`.
        fill: Where they end.
        recent: Changed. Where the last words begin, word i at i modulo `size`.
        seen: Words up to now.
        size: Words in an n-gram.
    """
    first = fill if size == 1 else recent[max(0, seen + 1 - size) % size]
    for at in range(first, fill):
        scratch[at - first] = scratch[at]
    for word in range(size):
        recent[word] -= first
    return fill - first


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def minhash_signatures(
    data: Bytes,
    offsets: Int64s,
    entries: UInt32s,
    expansions: UInt32s,
    size: int,
    factors: UInt32s,
    terms: UInt32s,
) -> tuple[UInt32s, Int64s]:
    """Return uint32[documents, permutations], the minima of ``factor * hash + term``, and counts.

    The counts are the n-grams of each document, repetitions included.
    """
    documents = len(offsets) - 1
    permutations = len(factors)
    signatures = np.full((documents, permutations), np.uint32(0xFFFFFFFF), dtype=np.uint32)
    counts = np.zeros(documents, dtype=np.int64)
    scratch = _scratch(offsets)
    spans = np.empty((_WORDS, 4), dtype=np.int64)
    recent = np.empty(size, dtype=np.int64)
    starts = np.empty(_WORDS, dtype=np.int64)
    ends = np.empty(_WORDS, dtype=np.int64)
    digests = np.empty(_WORDS, dtype=np.uint32)
    blocks = np.empty(_BLOCK_BYTES + 1, dtype=np.uint32)
    scrambled = np.empty(_BLOCK_BYTES + 1, dtype=np.uint32)
    for row in range(documents):
        minima = signatures[row]
        begin, at, end = offsets[row], offsets[row], offsets[row + 1]
        # Were it a plain 0, all that it is handed to would be compiled twice, for 0 and for int.
        fill = np.int64(0)
        seen = 0
        while at < end:
            at, count = _next_words(data, begin, at, end, entries, expansions, scratch, fill, spans)
            ready = np.int64(0)
            for word in range(count):
                recent[seen % size] = spans[word, 0]
                seen += 1
                if seen >= size:
                    starts[ready] = recent[seen % size]
                    ends[ready] = spans[word, 1]
                    ready += 1
            _hash_ngrams(scratch, starts, ends, ready, blocks, scrambled, digests)
            # One permutation over all hashes, and not the other way round: the minimum stays in a
            # register, and the loop is compiled to vector instructions.
            for index in range(permutations):
                factor, term, least = factors[index], terms[index], minima[index]
                for place in range(ready):
                    value = np.uint32(np.uint32(factor * digests[place]) + term)
                    least = min(least, value)
                minima[index] = least
            counts[row] += ready
            if count > 0:
                fill = spans[count - 1, 1] + 1
            if fill > _HELD_BYTES:
                fill = _let_go(scratch, fill, recent, seen, size)
    return signatures, counts

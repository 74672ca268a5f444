"""The compiled part of `corpus.text.quality`: hashed word counts times weights, over Arrow buffers.

A text is put into lower case in a scratch buffer that stays in the processor's first cache
(`corpus.text.lower_case`). The words in it are found 64 bytes at a time and hashed many at once
(`corpus.text.word_hashes`), so that few branches depend on the text: a branch that is guessed wrong
costs as much as hashing some ten words. The buffer grows only for a word that is longer than it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from corpus.text import lower_case, word_hashes
from corpus.text.kernel_cache import njit
from corpus.text.lower_case import lower
from corpus.text.word_hashes import find_words, hash_pairs, hash_words

SCRATCH = 1 << 12  # bytes of a text that are looked at together
_MARGIN = lower_case.MARGIN + word_hashes.MARGIN
_EDGE_MARGIN = word_hashes.EDGE_MARGIN
_BYTES_A_REPEAT = 64  # of a text: the most frequent word hardly takes more than a tenth of it
_LARGEST_MORE = (1 << 32) - 1
_N, _H, _K = 4, 5, 6  # rows of `hash_words`: the state behind a word

_INLINE = njit(cache=True, nogil=True, forceinline=True)


@_INLINE  # type: ignore[untyped-decorator]
def _room(size: Any) -> Any:
    """Return a scratch of that size, and room for its words: edges, states and their hashes."""
    scratch = np.zeros(size + _MARGIN, np.uint8)
    words = scratch.size // 2 + 2  # a word has a byte, and white space one
    edges = np.zeros(2 * words + _EDGE_MARGIN, np.int32)
    return scratch, edges, np.zeros((7, words), np.uint32), np.zeros((2, words), np.uint32)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def probabilities(
    data: Any,
    offsets: Any,
    lower_table: Any,
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
        lower_table: The table of `corpus.text.lower_case`.
        weights: float64, one a bucket.
        intercept: The log-odds of a text without words.
        pairs: Whether pairs of adjacent words count as well.
        l2: Whether the counts of a text are scaled to length 1.
        largest: What is counted in two bytes, at most 2^16 - 1; more is counted elsewhere.

    Returns:
        float64 (n,) and bool (n,); a probability means nothing where the second is true.
    """
    rows = offsets.size - 1
    buckets = np.uint32(weights.size)
    mask = np.uint32(buckets - np.uint32(1))
    is_power = buckets & mask == 0
    result = np.zeros(rows, np.float64)
    has_sigma = np.zeros(rows, np.bool_)
    scratch, edges, states, hashes = _room(SCRATCH)
    # A count stands above the floor of its text, so that hardly anything is cleared between texts.
    # Two bytes a bucket stay in the processor's second cache; what is more is counted apart.
    counts = np.zeros(weights.size if l2 else 1, np.uint16)
    more = np.zeros(1, np.uint32)
    floor, more_floor = np.int64(0), np.int64(0)
    for row in range(rows):
        at, end = offsets[row], offsets[row + 1]
        most = 2 * (end - at) + 1  # more words and pairs than the text can have
        if floor + (end - at) // _BYTES_A_REPEAT >= largest:
            counts[:] = np.uint16(0)
            floor = np.int64(0)
        if more_floor + most > _LARGEST_MORE:
            more[:] = np.uint32(0)
            more_floor = np.int64(0)
        highest, highest_more = floor, more_floor
        total = 0.0
        squares = np.int64(0)
        first_pair = np.int64(2)  # in the scratch: the first word of a text has none before it
        fill = np.int64(0)
        while True:
            at, fill, stopped = lower(
                data, at, end, lower_table, scratch, fill, scratch.size - _MARGIN
            )
            if stopped:
                has_sigma[row] = True
                break
            found = find_words(scratch, fill, edges)
            start = fill
            if found & 1 and at >= end:
                edges[found] = fill  # the last word ends here
                found += 1
            elif found & 1:
                start = np.int64(edges[found - 1])
            words = found >> 1
            hash_words(scratch, edges, words, states, hashes[0])
            if pairs:
                hash_pairs(scratch, edges, words, states, hashes[1])
            for kind in range(1 + pairs):
                if is_power:
                    for word in range(1, words + 1):
                        hashes[kind, word] &= mask
                else:
                    for word in range(1, words + 1):
                        hashes[kind, word] %= buckets
            # In loops of their own, so that the processor waits for many of these loads at once.
            for word in range(1, words + 1):
                total += weights[hashes[0, word]]
                if pairs and word >= first_pair:
                    total += weights[hashes[1, word]]
            for kind in range((1 + pairs) if l2 else 0):
                first = first_pair if kind else np.int64(1)
                for word in range(first, words + 1):
                    bucket = hashes[kind, word]
                    count = max(np.int64(counts[bucket]), floor)
                    squares += 2 * (count - floor) + 1  # (count + 1)² - count²
                    if count < largest:
                        counts[bucket] = np.uint16(count + 1)
                        highest = max(highest, count + 1)
                    else:
                        if more.size < weights.size:
                            more = np.zeros(weights.size, np.uint32)
                        above = max(np.int64(more[bucket]), more_floor)
                        squares += 2 * (above - more_floor)
                        more[bucket] = np.uint32(above + 1)
                        highest_more = max(highest_more, above + 1)
            if at >= end:
                break
            if words > 0:  # the last word is the one before in what comes next
                first_pair = np.int64(1)
                for part in range(_N, _K + 1):
                    states[part, 0] = states[part, words]
            if start == 0:  # a word that is longer than the scratch
                old = scratch
                scratch, edges, longer, hashes = _room(2 * scratch.size)
                for part in range(_N, _K + 1):  # a slice brings the formatting of its error, 1 s
                    longer[part, 0] = states[part, 0]
                states = longer
                for i in range(fill):
                    scratch[i] = old[i]
            for i in range(start, fill):
                scratch[i - start] = scratch[i]
            fill -= start
        floor, more_floor = highest, highest_more
        if l2 and squares > 0:
            total /= math.sqrt(squares)
        total += intercept
        small = math.exp(-abs(total))  # cannot overflow
        result[row] = (1.0 if total >= 0 else small) / (1.0 + small)
    return result, has_sigma

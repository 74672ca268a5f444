"""The compiled search of decontamination for known n-grams.

The words' hashes of `corpus.text.gram_words` are rolled into hashes of n-grams. A known n-gram is
looked for in a bit set first, which hardly any other n-gram passes, and then among its neighbours
in the sorted hashes, so that most of a corpus costs one read of memory a word.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpus.text.gram_words import BASE, WORDS, next_digests, power
from corpus.text.hash_kernels import mixed64
from corpus.text.kernel_cache import njit

Bytes = npt.NDArray[np.uint8]
Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
UInt32s = npt.NDArray[np.uint32]
UInt64s = npt.NDArray[np.uint64]

_ONE, _SIX, _LOW = np.uint64(1), np.uint64(6), np.uint64(63)


@njit(nogil=True, forceinline=True)  # type: ignore[untyped-decorator]
def _matches(
    digests: UInt64s,
    count: int,
    seen: int,
    size: int,
    rolling: np.uint64,
    oldest: np.uint64,
    known: UInt64s,
    bits: UInt64s,
    to_bit: np.uint64,
    buckets: Int64s,
    to_bucket: np.uint64,
    grams: UInt64s,
    matches: Int64s,
) -> tuple[np.uint64, int]:
    """Look for the grams that end with the next words among the known ones.

    Args:
        digests: Hashes of the `size` words before and of the next.
        count: How many come next.
        seen: Words of the document before them.
        size: Words of a gram.
        rolling: Polynomial of the last `size` words.
        oldest: The base to the power of `size`.
        known: With the next four the known grams, see `find_grams`.
        bits: See `known`.
        to_bit: See `known`.
        buckets: See `known`.
        to_bucket: See `known`.
        grams: Changed; as long as `digests`.
        matches: Changed, int64[count + 1, 2]: the place in `digests` of the last word of a gram
            that is known, and where it is in `known`.

    Returns:
        The polynomial of the last words, and how many matches there are.
    """
    # Without a branch, so that the reads of many grams are under way together.
    candidates = 0
    for slot in range(size, size + count):
        rolling = rolling * BASE + digests[slot] - digests[slot - size] * oldest
        gram = mixed64(rolling)
        grams[slot] = gram
        bit = gram >> to_bit
        matches[candidates, 0] = slot
        candidates += int((bits[bit >> _SIX] >> (bit & _LOW)) & _ONE)
    found = 0
    for number in range(candidates):
        slot = matches[number, 0]
        if seen + slot - size + 1 < size:
            continue  # too few words; only a collision of hashes comes here
        bucket = np.int64(grams[slot] >> to_bucket)
        for index in range(buckets[bucket], buckets[bucket + 1]):
            if known[index] == grams[slot]:
                matches[found, 0], matches[found, 1] = slot, index  # one at most, as it is distinct
                found += 1
    return rolling, found


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def find_grams(
    data: Bytes,
    offsets: Int64s,
    ascii_table: Bytes,
    entries: UInt32s,
    expansions: UInt32s,
    size: int,
    known: UInt64s,
    bits: UInt64s,
    bit_shift: int,
    buckets: Int64s,
    bucket_shift: int,
) -> Int64s:
    """Return int64[hits, 4]: row, first and past-last byte within the document, index in `known`.

    `known` holds sorted distinct hashes. Bit ``hash >> bit_shift`` of `bits` is set for each of
    them, and `buckets` says for each value of ``hash >> bucket_shift`` where in `known` these
    begin, and at its end the length of `known`.
    """
    scratch = np.empty(64, dtype=np.uint8)
    digests = np.zeros(size + WORDS, dtype=np.uint64)
    spans = np.empty((size + WORDS, 2), dtype=np.int64)
    grams = np.empty(size + WORDS, dtype=np.uint64)
    matches = np.empty((WORDS + 1, 2), dtype=np.int64)
    oldest = power(size)
    hits = np.empty((2 * WORDS, 4), dtype=np.int64)
    to_bit, to_bucket = np.uint64(bit_shift), np.uint64(bucket_shift)
    used = 0
    for row in range(len(offsets) - 1):
        begin, at, end = offsets[row], offsets[row], offsets[row + 1]
        digests[:size] = 0
        rolling = np.uint64(0)
        seen = 0
        while at < end:
            at, count = next_digests(
                data,
                begin,
                at,
                end,
                ascii_table,
                entries,
                expansions,
                scratch,
                digests,
                spans,
                size,
            )
            if used + count > len(hits):
                grown = np.empty((2 * len(hits), 4), dtype=np.int64)
                for index in range(used):
                    for column in range(4):
                        grown[index, column] = hits[index, column]
                hits = grown
            rolling, found = _matches(
                digests, count, seen, size, rolling, oldest, known, bits, to_bit, buckets,
                to_bucket, grams, matches,
            )  # fmt: skip
            for number in range(found):
                slot = matches[number, 0]
                hits[used, 0] = row
                hits[used, 1] = spans[slot - size + 1, 0] - begin
                hits[used, 2] = spans[slot, 1] - begin
                hits[used, 3] = matches[number, 1]
                used += 1
            seen += count
            for slot in range(size):
                digests[slot] = digests[slot + count]
                spans[slot] = spans[slot + count]
    return hits[:used].copy()


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def count_grams(
    data: Bytes,
    offsets: Int64s,
    ascii_table: Bytes,
    entries: UInt32s,
    expansions: UInt32s,
    size: int,
    known: UInt64s,
    bits: UInt64s,
    bit_shift: int,
    buckets: Int64s,
    bucket_shift: int,
    counts: Int32s,
    marks: Int32s,
    mark: int,
) -> None:
    """Add to `counts`, for each hash of `known`, the documents that it occurs in.

    `marks` keeps the last document that each was counted in: row i is ``mark + i``, above all that
    was there before.
    """
    scratch = np.empty(64, dtype=np.uint8)
    digests = np.zeros(size + WORDS, dtype=np.uint64)
    spans = np.empty((size + WORDS, 2), dtype=np.int64)
    grams = np.empty(size + WORDS, dtype=np.uint64)
    matches = np.empty((WORDS + 1, 2), dtype=np.int64)
    oldest = power(size)
    to_bit, to_bucket = np.uint64(bit_shift), np.uint64(bucket_shift)
    for row in range(len(offsets) - 1):
        begin, at, end = offsets[row], offsets[row], offsets[row + 1]
        digests[:size] = 0
        rolling = np.uint64(0)
        seen = 0
        while at < end:
            at, count = next_digests(
                data,
                begin,
                at,
                end,
                ascii_table,
                entries,
                expansions,
                scratch,
                digests,
                spans,
                size,
            )
            rolling, found = _matches(
                digests, count, seen, size, rolling, oldest, known, bits, to_bit, buckets,
                to_bucket, grams, matches,
            )  # fmt: skip
            for number in range(found):
                index = matches[number, 1]
                if marks[index] != mark + row:
                    marks[index] = mark + row
                    counts[index] += 1
            seen += count
            for slot in range(size):
                digests[slot] = digests[slot + count]

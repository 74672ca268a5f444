"""The compiled loops of decontamination: hashes of word n-grams, and the search for known ones.

`_digests` turns the next words of a document into 64-bit hashes while it normalises them, without
writing them down; the three kernels roll these into hashes of n-grams. A known n-gram is looked for
in a bit set first, which hardly any other n-gram passes, and then among its neighbours in the
sorted hashes, so that most of a corpus costs one read of memory a word.

The hash of an n-gram is ``mixed64((w1·B^(n-1) + w2·B^(n-2) + … + wn) mod 2^64)`` with w the
`mixed64` of a word's FNV-1a and B = 0x9E3779B97F4A7C15. Two different n-grams have the same hash
with a probability of about 2^-64.

The kernels share a file because Numba's cache on disk notices a change of the file that a kernel
stands in, and not one of a file that it calls into.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from corpus.text.case_kernels import KEEP_AND_BREAK, wide_character
from corpus.text.hash_kernels import mixed64
from corpus.text.unicode_tables import BREAK, SKIPPED, WIDE

Bytes = npt.NDArray[np.uint8]
Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
UInt32s = npt.NDArray[np.uint32]
UInt64s = npt.NDArray[np.uint64]

# Recorded by whatever keeps hashes across runs.
HASH_VERSION = "fnv1a-polynomial-1"

_WORDS = 1024  # hashed at a time
_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_BASE = np.uint64(0x9E3779B97F4A7C15)
_ONE, _SIX, _LOW = np.uint64(1), np.uint64(6), np.uint64(63)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _digests(
    data: Bytes,
    begin: int,
    at: int,
    end: int,
    ascii_table: Bytes,
    entries: UInt32s,
    expansions: UInt32s,
    scratch: Bytes,
    digests: UInt64s,
    spans: Int64s,
    first: int,
) -> tuple[int, int]:
    """Hash further words of ``data[begin:end]`` into ``digests[first:]``.

    The word was written as ``data[spans[i, 0]:spans[i, 1]]``, with the punctuation that the kind of
    words leaves out but that belongs to the same whitespace-delimited run.

    Returns:
        Where to go on reading, and the number of words: those that there is room for, or fewer at
        the end of the document.
    """
    slot = first
    digest = _FNV_OFFSET
    is_empty = True
    source = -1
    while at < end:
        here = at
        mark = ascii_table[data[at]]
        at += 1
        if mark < WIDE:
            digest = (digest ^ np.uint64(mark)) * _FNV_PRIME
            is_empty = False
            if source < 0:
                source = here
            continue
        stop = here
        if mark == WIDE:
            at, fill, action = wide_character(
                data, begin, here, end, entries, expansions, scratch, 0
            )
            for index in range(fill):
                digest = (digest ^ np.uint64(scratch[index])) * _FNV_PRIME
                is_empty = False
            if action == KEEP_AND_BREAK:
                stop = at
                if source < 0:
                    source = here
            elif action != BREAK:
                if source < 0:
                    source = here
                continue
        elif mark == SKIPPED:
            if source < 0:
                source = here
            continue
        if not is_empty:
            digests[slot] = mixed64(digest)
            spans[slot, 0] = source
            spans[slot, 1] = stop
            slot += 1
            digest = _FNV_OFFSET
            is_empty = True
            if slot == len(digests):
                return at, slot - first
        source = -1
    if not is_empty:
        digests[slot] = mixed64(digest)
        spans[slot, 0] = source
        spans[slot, 1] = end
        slot += 1
    return end, slot - first


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _power(exponent: int) -> np.uint64:
    result = np.uint64(1)
    for _ in range(exponent):
        result = result * _BASE
    return result


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def gram_hashes(
    data: Bytes,
    offsets: Int64s,
    ascii_table: Bytes,
    entries: UInt32s,
    expansions: UInt32s,
    size: int,
) -> tuple[Int64s, UInt64s]:
    """Return the hash of every n-gram of `size` words, document by document, in their order."""
    documents = len(offsets) - 1
    scratch = np.empty(64, dtype=np.uint8)
    digests = np.zeros(size + _WORDS, dtype=np.uint64)
    spans = np.empty((size + _WORDS, 2), dtype=np.int64)
    oldest = _power(size)
    bounds = np.zeros(documents + 1, dtype=np.int64)
    hashes = np.empty(2 * _WORDS, dtype=np.uint64)
    used = 0
    for row in range(documents):
        begin, at, end = offsets[row], offsets[row], offsets[row + 1]
        digests[:size] = 0
        rolling = np.uint64(0)
        seen = 0
        while at < end:
            at, count = _digests(
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
            if used + count > len(hashes):
                grown = np.empty(2 * len(hashes), dtype=np.uint64)
                for index in range(used):  # a slice brings the formatting of its error, 1 s
                    grown[index] = hashes[index]
                hashes = grown
            for slot in range(size, size + count):
                rolling = rolling * _BASE + digests[slot] - digests[slot - size] * oldest
                seen += 1
                if seen >= size:
                    hashes[used] = mixed64(rolling)
                    used += 1
            for slot in range(size):
                digests[slot] = digests[slot + count]
        bounds[row + 1] = used
    return bounds, hashes[:used].copy()


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
    digests = np.zeros(size + _WORDS, dtype=np.uint64)
    spans = np.empty((size + _WORDS, 2), dtype=np.int64)
    grams = np.empty(size + _WORDS, dtype=np.uint64)
    chosen = np.empty(_WORDS + 1, dtype=np.int64)
    oldest = _power(size)
    hits = np.empty((2 * _WORDS, 4), dtype=np.int64)
    to_bit, to_bucket = np.uint64(bit_shift), np.uint64(bucket_shift)
    used = 0
    for row in range(len(offsets) - 1):
        begin, at, end = offsets[row], offsets[row], offsets[row + 1]
        digests[:size] = 0
        rolling = np.uint64(0)
        seen = 0
        while at < end:
            at, count = _digests(
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
            # Without a branch, so that the reads of many grams are under way together.
            candidates = 0
            for slot in range(size, size + count):
                rolling = rolling * _BASE + digests[slot] - digests[slot - size] * oldest
                gram = mixed64(rolling)
                grams[slot] = gram
                bit = gram >> to_bit
                chosen[candidates] = slot
                candidates += int((bits[bit >> _SIX] >> (bit & _LOW)) & _ONE)
            for number in range(candidates):
                slot = chosen[number]
                if seen + slot - size + 1 < size:
                    continue  # too few words; only a collision of hashes comes here
                gram = grams[slot]
                bucket = np.int64(gram >> to_bucket)
                for index in range(buckets[bucket], buckets[bucket + 1]):
                    if known[index] == gram:
                        hits[used, 0] = row
                        hits[used, 1] = spans[slot - size + 1, 0] - begin
                        hits[used, 2] = spans[slot, 1] - begin
                        hits[used, 3] = index
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
    digests = np.zeros(size + _WORDS, dtype=np.uint64)
    spans = np.empty((size + _WORDS, 2), dtype=np.int64)
    grams = np.empty(size + _WORDS, dtype=np.uint64)
    chosen = np.empty(_WORDS + 1, dtype=np.int64)
    oldest = _power(size)
    to_bit, to_bucket = np.uint64(bit_shift), np.uint64(bucket_shift)
    for row in range(len(offsets) - 1):
        begin, at, end = offsets[row], offsets[row], offsets[row + 1]
        digests[:size] = 0
        rolling = np.uint64(0)
        seen = 0
        while at < end:
            at, count = _digests(
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
            candidates = 0
            for slot in range(size, size + count):
                rolling = rolling * _BASE + digests[slot] - digests[slot - size] * oldest
                gram = mixed64(rolling)
                grams[slot] = gram
                bit = gram >> to_bit
                chosen[candidates] = slot
                candidates += int((bits[bit >> _SIX] >> (bit & _LOW)) & _ONE)
            for number in range(candidates):
                slot = chosen[number]
                if seen + slot - size + 1 < size:
                    continue
                gram = grams[slot]
                bucket = np.int64(gram >> to_bucket)
                for index in range(buckets[bucket], buckets[bucket + 1]):
                    if known[index] == gram and marks[index] != mark + row:
                        marks[index] = mark + row
                        counts[index] += 1
            seen += count
            for slot in range(size):
                digests[slot] = digests[slot + count]

"""Words and word n-grams as 64-bit hashes, made while the words are normalised.

The hash of an n-gram is ``mixed64((w1·B^(n-1) + w2·B^(n-2) + … + wn) mod 2^64)`` with w the
`mixed64` of a word's FNV-1a and B = 0x9E3779B97F4A7C15. Two different n-grams have the same hash
with a probability of about 2^-64.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpus.text.case_kernels import KEEP_AND_BREAK, wide_character
from corpus.text.hash_kernels import mixed64
from corpus.text.kernel_cache import njit
from corpus.text.unicode_tables import BREAK, SKIPPED, WIDE

Bytes = npt.NDArray[np.uint8]
Int64s = npt.NDArray[np.int64]
UInt32s = npt.NDArray[np.uint32]
UInt64s = npt.NDArray[np.uint64]

# Recorded by whatever keeps hashes across runs.
HASH_VERSION = "fnv1a-polynomial-1"

BASE = np.uint64(0x9E3779B97F4A7C15)
WORDS = 1024  # hashed at a time

_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def next_digests(
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
def power(exponent: int) -> np.uint64:
    """Return that power of the base."""
    result = np.uint64(1)
    for _ in range(exponent):
        result = result * BASE
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
    digests = np.zeros(size + WORDS, dtype=np.uint64)
    spans = np.empty((size + WORDS, 2), dtype=np.int64)
    oldest = power(size)
    bounds = np.zeros(documents + 1, dtype=np.int64)
    hashes = np.empty(2 * WORDS, dtype=np.uint64)
    used = 0
    for row in range(documents):
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
            if used + count > len(hashes):
                grown = np.empty(2 * len(hashes), dtype=np.uint64)
                for index in range(used):  # a slice brings the formatting of its error, 1 s
                    grown[index] = hashes[index]
                hashes = grown
            for slot in range(size, size + count):
                rolling = rolling * BASE + digests[slot] - digests[slot - size] * oldest
                seen += 1
                if seen >= size:
                    hashes[used] = mixed64(rolling)
                    used += 1
            for slot in range(size):
                digests[slot] = digests[slot + count]
        bounds[row + 1] = used
    return bounds, hashes[:used].copy()

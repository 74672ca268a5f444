"""The dictionary of a fastText model as compiled functions: words and n-grams to rows.

fastText's hash decides which row an n-gram has; the hash tables here are our own, over the words
where they stand in the mapped file.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpus.text.kernel_cache import njit

FNV_OFFSET, FNV_PRIME = np.uint32(2166136261), np.uint32(16777619)
_GOLDEN = np.uint32(0x9E3779B1)  # spreads the keys of pruned n-grams over their slots


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def word_hash(data: Any, start: Any, end: Any) -> Any:
    """Return FNV-1a of some bytes, each taken as a signed char, as fastText's models need it."""
    h = FNV_OFFSET
    for at in range(start, end):
        h = np.uint32((h ^ np.uint32(np.int8(data[at]))) * FNV_PRIME)
    return h


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def scan_entries(data: Any, at: Any, number: Any) -> Any:
    """Return where the dictionary's entries begin, their counts and types.

    Args:
        data: uint8; the file.
        at: Where the first entry begins: a word, a zero, int64 count, int8 type.
        number: Entries, at most a tenth of the bytes that are left.

    Returns:
        int64 (number + 1,) starts and past the last entry, int64 (number,), uint8 (number,); a
        last start of -1 says that the file ends before the entries do.
    """
    starts = np.empty(number + 1, np.int64)
    counts = np.zeros(number, np.int64)
    types = np.zeros(number, np.uint8)
    for entry in range(number):
        starts[entry] = at
        while at < data.size and data[at] != 0:
            at += 1
        if at + 10 > data.size:
            starts[number] = -1
            return starts, counts, types
        count = np.uint64(0)
        for byte in range(8):
            count |= np.uint64(data[at + 1 + byte]) << np.uint64(8 * byte)
        counts[entry] = np.int64(count)
        types[entry] = data[at + 9]
        at += 10
    starts[number] = at
    return starts, counts, types


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def index_words(data: Any, starts: Any, slots: Any, hashes: Any) -> None:
    """Fill an open hash table of a power of two: slots hold entries (or -1), hashes their hash."""
    mask = slots.size - 1
    for entry in range(starts.size - 1):
        h = word_hash(data, starts[entry], starts[entry + 1] - 10)
        slot = np.int64(h) & mask
        while slots[slot] >= 0:
            slot = (slot + 1) & mask
        slots[slot] = entry
        hashes[slot] = h


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def index_pruned(keys: Any, slots: Any) -> None:
    """Fill an open hash table of a power of two with the places of the n-grams that are left."""
    mask = slots.size - 1
    for place in range(keys.size):
        slot = np.int64(np.uint32(np.uint32(keys[place]) * _GOLDEN)) & mask
        while slots[slot] >= 0:
            slot = (slot + 1) & mask
        slots[slot] = place


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def equal(data: Any, start: Any, other: Any, first: Any, length: Any) -> Any:
    """Say whether so many bytes of two arrays are the same."""
    at = 0
    while at < length and data[start + at] == other[first + at]:
        at += 1
    return at == length


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def find_word(data: Any, start: Any, end: Any, h: Any, names: Any, starts: Any, table: Any) -> Any:
    """Return the entry of a word, or -1; `table` is slots and hashes."""
    slots, hashes = table
    mask = slots.size - 1
    slot = np.int64(h) & mask
    while slots[slot] >= 0:
        entry = slots[slot]
        length = starts[entry + 1] - 10 - starts[entry]
        if hashes[slot] == h and length == end - start:  # noqa: SIM102 - rare: the call is not free
            if equal(data, start, names, starts[entry], length):
                return np.int64(entry)
        slot = (slot + 1) & mask
    return np.int64(-1)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def row_of(bucket: Any, words: Any, pruned: Any) -> Any:
    """Return the row of an n-gram's bucket, or -1 where pruning has left none.

    `pruned` is whether the model is pruned, the keys that are left, their rows, and their slots.
    """
    is_pruned, keys, values, slots = pruned
    if not is_pruned:
        return words + bucket
    mask = slots.size - 1
    slot = np.int64(np.uint32(np.uint32(bucket) * _GOLDEN)) & mask
    while slots[slot] >= 0:
        if keys[slots[slot]] == bucket:
            return words + np.int64(values[slots[slot]])
        slot = (slot + 1) & mask
    return np.int64(-1)

"""Prefix filtering, compiled: what two sets that are similar enough must have in common.

With the shingles of all sets in one order, rare ones first, two sets with a Jaccard index of t and
more have one in common among the first n - ceil(t n) + 1 of each (Bayardo, Ma and Srikant 2007:
"Scaling Up All Pairs Similarity Search"), and the place of the first one bounds how much they can
have in common (Xiao et al. 2008: "Efficient Similarity Joins for Near Duplicate Detection"). So
records of these shingles, sorted, connect all sets that can be similar, and hardly any others.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpus.text.kernel_cache import njit

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
UInt32s = npt.NDArray[np.uint32]
UInt64s = npt.NDArray[np.uint64]

COUNTER_BITS = 22  # of the counters of a large component's shingles, 16 MB
NEAR = 1e-6  # of a bound that is a whole number, computed in floating point
_MIX = np.uint64(0x9E3779B97F4A7C15)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def least(size: int, other: int, threshold: float) -> float:
    """Return a bound: sets of these sizes are similar enough only if they share so many."""
    return threshold * (size + other) / (1.0 + threshold) - NEAR


@njit(nogil=True)  # type: ignore[untyped-decorator]
def bits_for(least: int) -> int:
    """Return how many bits a table of so many slots takes."""
    bits = 1
    while (1 << bits) < least:
        bits += 1
    return bits


@njit(nogil=True)  # type: ignore[untyped-decorator]
def longest(size: int, at: int, threshold: float) -> np.int64:
    """Return how long a set may be that has its first hash in common with this one at `at`.

    What both have in common is at most `size - at`, and has to be t / (1 + t) of both sizes.
    """
    return np.int64((size - at) * (1.0 + threshold) / threshold - size + NEAR)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def count_shingles(hashes: UInt64s, counters: UInt32s) -> None:
    """Add to the counter of each shingle, which is that of its first bits and may be shared."""
    shift = np.uint64(64 - COUNTER_BITS)
    for at in range(len(hashes)):
        counters[np.int64(hashes[at] >> shift)] += np.uint32(1)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def prefix_records(
    offsets: Int64s, hashes: UInt64s, components: Int64s, counters: UInt32s, threshold: float
) -> tuple[UInt64s, Int64s, Int64s]:
    """Return the records of the first shingles of each set.

    Args:
        offsets: Where each set's hashes begin, shape (n + 1,).
        hashes: Sorted distinct hashes of each set.
        components: Of each set; the same shingle in another component has another key.
        counters: How often shingles occur, as `count_shingles` counts them: the order is any, so
            long as it is the same for all sets.
        threshold: Least Jaccard index, above 0.

    Returns:
        A key for each record; the number of its set; its reach, the size that another set may have
        that is similar enough and has this shingle as the first in common with it.
    """
    shift = np.uint64(64 - COUNTER_BITS)
    room = 0
    largest = np.int64(0)
    for x in range(len(offsets) - 1):
        size = offsets[x + 1] - offsets[x]
        largest = max(largest, size)
        room += min(size, np.int64(size * (1.0 - threshold) + NEAR) + 1)
    keys = np.empty(room, dtype=np.uint64)
    sets = np.empty(room, dtype=np.int64)
    reaches = np.empty(room, dtype=np.int64)
    order = np.empty(largest, dtype=np.int64)
    used = 0
    for x in range(len(offsets) - 1):
        begin = offsets[x]
        size = offsets[x + 1] - begin
        for at in range(size):
            counter = counters[np.int64(hashes[begin + at] >> shift)]
            order[at] = (np.int64(counter) << 31) | at  # among equals by hash
        ordered = order[:size]
        ordered.sort()
        for i in range(min(size, np.int64(size * (1.0 - threshold) + NEAR) + 1)):
            token = hashes[begin + (ordered[i] & 0x7FFFFFFF)]
            keys[used] = (token ^ (np.uint64(components[x]) * _MIX)) * _MIX
            sets[used] = x
            reaches[used] = longest(size, i, threshold)
            used += 1
    return keys, sets, reaches


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def maybe_shared(keys: UInt64s) -> npt.NDArray[np.bool_]:
    """Say which keys may occur more than once; most keys of documents do not.

    Those that do are among them, with some that share a place in a table with another key.
    """
    bits = bits_for(8 * len(keys))
    shift = np.uint64(64 - bits)
    seen = np.zeros(1 << bits, dtype=np.uint8)
    for at in range(len(keys)):
        place = np.int64((keys[at] * _MIX) >> shift)
        seen[place] = min(seen[place] + 1, 2)
    shared = np.empty(len(keys), dtype=np.bool_)
    for at in range(len(keys)):
        shared[at] = seen[np.int64((keys[at] * _MIX) >> shift)] > 1
    return shared


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def link_runs(
    keys: UInt64s, sizes: Int32s, reaches: Int32s, threshold: float
) -> tuple[Int32s, Int32s]:
    """Return edges that connect, in each run of equal keys, the sets that can be similar enough.

    Two sets can be if neither is larger than the other one's reach, nor than its size divided by
    the threshold. Each record is looked at once or twice, however long a run is: where two ranges
    of sizes overlap, one edge joins them.

    Args:
        keys: Ascending, fewer than 2^31; sizes ascend within a run.
        sizes: Of the record's set.
        reaches: As `prefix_records` returns them.
        threshold: Least Jaccard index.

    Returns:
        Two arrays of numbers of records, an edge each, fewer than there are records.
    """
    left = np.empty(len(keys), dtype=np.int32)
    right = np.empty(len(keys), dtype=np.int32)
    used = 0
    start = 0
    while start < len(keys):
        end = start + 1
        while end < len(keys) and keys[end] == keys[start]:
            end += 1
        covered = start  # all up to here that a later set can be similar to are connected with it
        for x in range(start, end):
            # The smaller one of a pair reaches at least its own size.
            if reaches[x] < sizes[x]:
                continue
            most = min(np.float64(reaches[x]), sizes[x] / threshold + NEAR)
            y = max(covered, x) + 1
            while y < end and sizes[y] <= most:
                if reaches[y] >= sizes[x]:
                    left[used] = x
                    right[used] = y
                    used += 1
                y += 1
            covered = max(covered, y - 1)
        start = end
    return left[:used], right[:used]

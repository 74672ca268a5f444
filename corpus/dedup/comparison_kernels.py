"""The compiled comparison of documents with those kept before, directly or by an index.

The index is one of prefixes (Bayardo, Ma and Srikant 2007: "Scaling Up All Pairs Similarity
Search"; Xiao et al. 2008: "Efficient Similarity Joins for Near Duplicate Detection"): of two sets
with a Jaccard index of t and more, ordered alike, the first elements have one in common. Rare
shingles come first in that order, so what a million pages of one template have in common is hardly
ever looked up. The filters only spare work: no pair is lost by them, and what they let through is
compared in full.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from corpus.dedup.prefix import NEAR, bits_for, least, longest

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]

# What a document of a component may do, as bits.
KEEPS = 1  # others are dropped for it
DROPS = 2  # it is dropped for others


_COUNTER_BITS = 20  # at most: 4 MB of counters, which only order shingles and may be shared
_RATIO = 1.03  # between the lengths that two classes of the index begin with
_CLASS = np.uint64(0x9E3779B97F4A7C15)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _similarity(hashes: UInt64s, i: int, end: int, j: int, last: int, threshold: float) -> float:
    """Return the Jaccard index of two sorted slices, or 0 where it is below the threshold."""
    total = (end - i) + (last - j)
    needed = least(end - i, last - j, threshold)
    shared = 0
    while i < end and j < last:
        if shared + min(end - i, last - j) < needed:
            return 0.0
        for _ in range(min(32, end - i, last - j)):
            left, right = hashes[i], hashes[j]
            shared += left == right
            i += left <= right
            j += right <= left
    union = total - shared
    if union == 0 or shared / union < threshold:
        return 0.0
    return shared / union


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _slot(token: np.uint64, kind: int, shift: np.uint64) -> np.int64:
    """Return the chain of a shingle in one class of lengths."""
    value = (token ^ (np.uint64(kind) * _CLASS)) * _CLASS
    return np.int64((value ^ (value >> np.uint64(32))) * _CLASS >> shift)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _class(size: int) -> int:
    return int(np.log(float(size)) / np.log(_RATIO))


@njit(nogil=True)  # type: ignore[untyped-decorator]
def compare_direct(
    first: int,
    last: int,
    given: int,
    begins: Int64s,
    ends: Int64s,
    hashes: UInt64s,
    roles: Bytes,
    threshold: float,
    keepers: Int64s,
    jaccard: Floats,
) -> int:
    """Compare every document with all that have been kept before it."""
    compared = 0
    for x in range(first + given, last):
        if not roles[x] & DROPS:
            continue
        size = ends[x] - begins[x]
        for y in range(first, x):
            other = ends[y] - begins[y]
            if keepers[y] >= 0 or not roles[y] & KEEPS:
                continue
            if min(size, other) < threshold * max(size, other) - NEAR:
                continue
            compared += 1
            start, stop = begins[y], ends[y]
            jaccard[x] = _similarity(hashes, begins[x], ends[x], start, stop, threshold)
            if jaccard[x] > 0:
                keepers[x] = y
                break
    return compared


@njit(nogil=True)  # type: ignore[untyped-decorator]
def compare_indexed(
    first: int,
    last: int,
    given: int,
    grows: bool,
    begins: Int64s,
    ends: Int64s,
    hashes: UInt64s,
    roles: Bytes,
    threshold: float,
    looked: Int64s,
    tried: Int64s,
    most_looked: int,
    most_tried: int,
    keepers: Int64s,
    jaccard: Floats,
) -> tuple[int, int]:
    """Compare every document with those kept before it that the index proposes."""
    count = last - first
    total = np.int64(0)
    for x in range(first, last):
        total += ends[x] - begins[x]
    bits = min(_COUNTER_BITS, bits_for(total))
    counters = np.zeros(1 << bits, dtype=np.uint32)
    rarity = np.uint64(64 - bits)
    largest = np.int64(0)
    room = np.int64(1)
    for x in range(first, last):
        size = ends[x] - begins[x]
        largest = max(largest, size)
        room += np.int64(size * (1.0 - threshold) + NEAR) + 1
        for at in range(begins[x], ends[x]):
            counters[np.int64(hashes[at] >> rarity)] += np.uint32(1)
    bits = bits_for(room)
    shift = np.uint64(64 - bits)
    heads = np.full(1 << bits, -1, dtype=np.int32)
    # An entry: the document, the place of the shingle in its order, the next entry of the chain.
    entries = np.empty((1024, 3), dtype=np.int32)
    tokens = np.empty(1024, dtype=np.uint64)
    used = 0
    order = np.empty(largest, dtype=np.int64)
    seen = np.zeros(count, dtype=np.int8)  # of a kept document: 1 to be compared, -1 not
    touched = np.empty(count, dtype=np.int64)
    compared = 0
    unfinished = 0
    for x in range(first, last):
        begin, end = begins[x], ends[x]
        size = end - begin
        if size == 0:
            continue
        for at in range(size):
            counter = counters[np.int64(hashes[begin + at] >> rarity)]
            order[at] = (np.int64(counter) << 31) | at
        ordered = order[:size]
        ordered.sort()
        prefix = min(size, np.int64(size * (1.0 - threshold) + NEAR) + 1)
        ended = looked[x] > most_looked or tried[x] > most_tried  # in an earlier round
        if x >= first + given and roles[x] & DROPS and not ended:
            found = 0
            lowest = _class(size)
            for i in range(prefix):
                token = hashes[begin + (ordered[i] & 0x7FFFFFFF)]
                reach = longest(size, i, threshold)
                if reach < 1:
                    break
                highest = _class(np.int64(reach / threshold + NEAR))
                for kind in range(lowest, highest + 1):
                    entry = heads[_slot(token, kind, shift)]
                    while entry >= 0 and looked[x] <= most_looked:
                        looked[x] += 1
                        y, j = np.int64(entries[entry, 0]), np.int64(entries[entry, 1])
                        same = tokens[entry] == token
                        entry = entries[entry, 2]
                        if seen[y] != 0 or not same:
                            continue
                        other = ends[first + y] - begins[first + y]
                        if min(size, other) < threshold * max(size, other) - NEAR:
                            continue
                        touched[found] = y
                        found += 1
                        # This is the first shingle that both have, so no more can be shared than:
                        most = min(size - i, other - j)
                        seen[y] = 1 if most >= least(size, other, threshold) else -1
            near = touched[:found]
            near.sort()  # the best first
            for index in range(found):
                y = np.int64(near[index])
                if seen[y] > 0 and keepers[x] < 0 and tried[x] <= most_tried:
                    tried[x] += 1
                    compared += 1
                    start, stop = begins[first + y], ends[first + y]
                    jaccard[x] = _similarity(hashes, begin, end, start, stop, threshold)
                    if jaccard[x] > 0:
                        keepers[x] = first + y
                seen[y] = 0
            if keepers[x] < 0 and (looked[x] > most_looked or tried[x] > most_tried):
                unfinished += 1
        if keepers[x] >= 0 or not roles[x] & KEEPS or (x >= first + given and not grows):
            continue
        while used + prefix > len(entries):
            grown = np.empty((2 * len(entries), 3), dtype=np.int32)
            more = np.empty(len(grown), dtype=np.uint64)
            for at in range(used):  # a slice brings the formatting of its error, 1 s to compile
                more[at] = tokens[at]
                for column in range(3):
                    grown[at, column] = entries[at, column]
            entries, tokens = grown, more
        for i in range(prefix):
            reach = longest(size, i, threshold)
            if reach < 1:
                break
            token = hashes[begin + (ordered[i] & 0x7FFFFFFF)]
            slot = _slot(token, _class(reach), shift)
            tokens[used] = token
            entries[used, 0] = x - first
            entries[used, 1] = i
            entries[used, 2] = heads[slot]
            heads[slot] = used
            used += 1
    return compared, unfinished

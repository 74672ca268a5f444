"""The compiled loops of `corpus.text.url_lists`: hashes of entries, and the entry of an address."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpus.text.hash_kernels import mixed64, xxh64
from corpus.text.kernel_cache import njit
from corpus.text.url_forms import (
    WIDE_HOST,
    host_span,
    is_address,
    is_registry,
    normalized,
    www_size,
)

Bytes = npt.NDArray[np.uint8]
Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]

_SLASH, _DOT = 0x2F, 0x2E
_LONGEST_NAME = 253  # characters of a name of the DNS; a bound on hostile hosts
# Which hash stands for what: a host with all below it, a host alone, a prefix of paths of a host.
_TREE, _ALONE, _PREFIX = np.uint64(0), np.uint64(0x5851F42D4C957F2D), np.uint64(0x14057B7EF767814F)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _hash(scratch: Bytes, start: int, end: int, kind: np.uint64) -> np.uint64:
    return np.uint64(mixed64(xxh64(scratch, start, end) ^ kind))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def hosts_of(data: Bytes, offsets: Int64s) -> Int64s:
    """Return int64[n, 2]: first and past-last byte in `data` of each address's host."""
    spans = np.empty((len(offsets) - 1, 2), dtype=np.int64)
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        while start < end and data[start] <= 0x20:
            start += 1
        spans[row, 0], spans[row, 1], _ = host_span(data, start, end)
    return spans


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def entry_hashes(
    data: Bytes, offsets: Int64s, registries: UInt64s
) -> tuple[UInt64s, Int64s, Int64s]:
    """Return the hashes of the entries of a list, the row of each, and the rows with a wide host.

    Args:
        data: UTF-8.
        offsets: Where each entry begins, n + 1.
        registries: Labels of at most 8 bytes as big-endian numbers, see `is_registry`.
    """
    rows = len(offsets) - 1
    longest = 0
    for row in range(rows):
        longest = max(longest, offsets[row + 1] - offsets[row])
    scratch = np.empty(3 * longest + 8, dtype=np.uint8)
    hashes = np.empty(2 * rows, dtype=np.uint64)
    owners = np.empty(2 * rows, dtype=np.int64)
    wide = np.empty(rows, dtype=np.int64)
    used = wides = 0
    for row in range(rows):
        host, end = normalized(data, offsets[row], offsets[row + 1], scratch)
        if host == WIDE_HOST:
            wide[wides] = row
            wides += 1
            continue
        if host == 0:
            continue
        www = www_size(scratch, host)
        owners[used] = owners[used + 1] = row
        if end > host:
            hashes[used] = _hash(scratch, www, end, _PREFIX)
        elif is_address(scratch, host) or is_registry(scratch, host, registries):
            hashes[used] = _hash(scratch, 0, host, _ALONE)
        else:
            hashes[used] = _hash(scratch, 0, host, _TREE)
            if www:
                used += 1
                hashes[used] = _hash(scratch, www, host, _ALONE)
        used += 1
    return hashes[:used].copy(), owners[:used].copy(), wide[:wides].copy()


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _find(value: np.uint64, known: UInt64s, buckets: Int64s, shift: int) -> int:
    """Return where a hash is in `known`, or -1."""
    bucket = np.int64(value >> np.uint64(shift))
    for index in range(buckets[bucket], buckets[bucket + 1]):
        if known[index] == value:
            return index
    return -1


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _hit(
    scratch: Bytes, host: int, end: int, deepest: int, known: UInt64s, buckets: Int64s, shift: int
) -> tuple[int, int, int]:
    """Return where in `known` the entry is that an address falls under, and its span, or -1."""
    index = _find(_hash(scratch, 0, host, _ALONE), known, buckets, shift)
    if index >= 0:
        return index, 0, host
    if not is_address(scratch, host):
        for at in range(max(0, host - _LONGEST_NAME), host):
            if at == 0 or scratch[at - 1] == _DOT:
                index = _find(_hash(scratch, at, host, _TREE), known, buckets, shift)
                if index >= 0:
                    return index, at, host
    www = www_size(scratch, host)
    depth = 0
    for at in range(host + 1, end + 1):
        if at == end or scratch[at] == _SLASH:
            index = _find(_hash(scratch, www, at, _PREFIX), known, buckets, shift)
            if index >= 0:
                return index, www, at
            depth += 1
            if depth == deepest:
                break
    return -1, 0, 0


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def find_urls(
    data: Bytes,
    offsets: Int64s,
    valid: npt.NDArray[np.bool_],
    known: UInt64s,
    buckets: Int64s,
    shift: int,
    deepest: int,
) -> tuple[Int64s, Bytes, Int64s, Int64s]:
    """Find the entry that each address falls under.

    Args:
        data: UTF-8.
        offsets: Where each address begins, n + 1.
        valid: bool[n]; whether there is one.
        known: Sorted distinct hashes of entries.
        buckets: For each value of a hash's top bits, where in `known` these begin, and its length.
        shift: How far a hash is shifted for its top bits.
        deepest: Components of a path that are looked at.

    Returns:
        int64[n], the index in `known` or -1; the bytes of the entries hit, one after the other;
        int64[n + 1], where each begins in them; and the rows with a wide host, which were left out.
    """
    rows = len(offsets) - 1
    longest = 0
    for row in range(rows):
        longest = max(longest, offsets[row + 1] - offsets[row])
    scratch = np.empty(3 * longest + 8, dtype=np.uint8)
    found = np.full(rows, -1, dtype=np.int64)
    bounds = np.zeros(rows + 1, dtype=np.int64)
    wide = np.empty(rows, dtype=np.int64)
    entries = np.empty(1024, dtype=np.uint8)
    used = wides = 0
    for row in range(rows):
        if valid[row]:
            host, end = normalized(data, offsets[row], offsets[row + 1], scratch)
            if host == WIDE_HOST:
                wide[wides] = row
                wides += 1
            elif host > 0:
                index, start, past = _hit(scratch, host, end, deepest, known, buckets, shift)
                found[row] = index
                size = past - start
                while used + size > len(entries):
                    grown = np.empty(2 * len(entries), dtype=np.uint8)
                    for at in range(used):
                        grown[at] = entries[at]
                    entries = grown
                for at in range(start, past):
                    entries[used] = scratch[at]
                    used += 1
        bounds[row + 1] = used
    return found, entries[:used].copy(), bounds, wide[:wides].copy()

"""The compiled loops of `corpus.text.url_lists`: addresses in one form, and their hashes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from corpus.text.hash_kernels import mixed64, xxh64

Bytes = npt.NDArray[np.uint8]
Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]

_COLON, _SLASH, _BACKSLASH, _AT, _QUERY, _FRAGMENT = 0x3A, 0x2F, 0x5C, 0x40, 0x3F, 0x23
_DOT, _PERCENT, _STAR, _OPENING, _CLOSING = 0x2E, 0x25, 0x2A, 0x5B, 0x5D
_LONGEST_NAME = 253  # characters of a name of the DNS; a bound on hostile hosts
_WIDE = -1  # there is a character in the host that is not ASCII
# Which hash stands for what: a host with all below it, a host alone, a prefix of paths of a host.
_TREE, _ALONE, _PREFIX = np.uint64(0), np.uint64(0x5851F42D4C957F2D), np.uint64(0x14057B7EF767814F)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _hash(scratch: Bytes, start: int, end: int, kind: np.uint64) -> np.uint64:
    return np.uint64(mixed64(xxh64(scratch, start, end) ^ kind))


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _digit(byte: int) -> int:
    """Return the value of a hexadecimal digit, or -1."""
    if 0x30 <= byte <= 0x39:
        return byte - 0x30
    byte |= 0x20
    return byte - 0x57 if 0x61 <= byte <= 0x66 else -1


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _is_unreserved(byte: int) -> bool:
    """Say whether a percent-encoded byte stands for itself (RFC 3986, 2.3)."""
    letter = 0x61 <= (byte | 0x20) <= 0x7A
    return letter or 0x30 <= byte <= 0x39 or byte == 0x2D or byte == _DOT or byte in (0x5F, 0x7E)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _copied(data: Bytes, at: int, end: int, scratch: Bytes, fill: int) -> int:
    """Write bytes in lower case, percent-encoded in one way (RFC 3986, 6.2.2); return the fill."""
    while at < end:
        byte = np.int64(data[at])
        at += 1
        if byte == _PERCENT and at + 1 < end:
            high, low = _digit(np.int64(data[at])), _digit(np.int64(data[at + 1]))
            if high >= 0 and low >= 0 and _is_unreserved(16 * high + low):
                byte = np.int64(16 * high + low)
                at += 2
        if byte >= 0x80:
            scratch[fill] = _PERCENT
            for shift in (4, 0):
                digit = (byte >> shift) & 15
                fill += 1
                scratch[fill] = digit + (0x30 if digit < 10 else 0x57)
        else:
            scratch[fill] = byte | 0x20 if 0x41 <= byte <= 0x5A else byte
        fill += 1
    return fill


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _host_span(data: Bytes, start: int, end: int) -> tuple[int, int, int]:
    """Return where the host of an address begins and ends, and where its path begins."""
    at = start
    while at < end and (0x61 <= (data[at] | 0x20) <= 0x7A or 0x2B <= data[at] <= 0x39):
        if data[at] == _SLASH:
            break
        at += 1
    if at + 2 < end and data[at] == _COLON and data[at + 1] == _SLASH and data[at + 2] == _SLASH:
        start = at + 3
    elif start + 1 < end and data[start] == _SLASH and data[start + 1] == _SLASH:
        start += 2
    past = start
    first = start
    while past < end:
        byte = data[past]
        if byte in (_SLASH, _BACKSLASH, _QUERY, _FRAGMENT):
            break
        if byte == _AT:
            first = past + 1
        past += 1
    last = first
    if first < past and data[first] == _OPENING:
        while last < past and data[last] != _CLOSING:
            last += 1
        return first, min(last + 1, past), past
    while last < past and data[last] != _COLON:
        last += 1
    return first, last, past


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _normalized(data: Bytes, start: int, end: int, scratch: Bytes) -> tuple[int, int]:
    """Write the host and the path of an address to the head of `scratch`.

    Returns:
        The bytes of the host and of both, or `_WIDE` and anything.
    """
    while start < end and data[start] <= 0x20:
        start += 1
    while start < end and data[end - 1] <= 0x20:
        end -= 1
    first, last, path = _host_span(data, start, end)
    for at in range(first, last):
        if data[at] >= 0x80:
            return _WIDE, 0
    if first + 1 < last and data[first] == _STAR and data[first + 1] == _DOT:
        first += 2
    host = _copied(data, first, last, scratch, 0)
    skipped = 0
    while skipped < host and scratch[skipped] == _DOT:
        skipped += 1
    if skipped:
        host -= skipped
        for at in range(host):
            scratch[at] = scratch[at + skipped]
    while host > 0 and scratch[host - 1] == _DOT:
        host -= 1
    past = path
    while past < end and data[past] != _QUERY and data[past] != _FRAGMENT:
        past += 1
    fill = _copied(data, path, past, scratch, host)
    while fill > host and scratch[fill - 1] == _SLASH:
        fill -= 1
    return host, fill


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _www(scratch: Bytes, host: int) -> int:
    """Return 4 if a host with a dot in it stands behind `www.`, or else 0."""
    if host < 5 or scratch[3] != _DOT:
        return 0
    for at in range(3):
        if scratch[at] != 0x77:
            return 0
    for at in range(4, host):
        if scratch[at] == _DOT:
            return 4
    return 0


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _is_address(scratch: Bytes, host: int) -> bool:
    """Say whether a host is an IP address: in brackets, or four numbers."""
    if host > 0 and scratch[0] == _OPENING:
        return True
    dots = 0
    for at in range(host):
        if scratch[at] == _DOT:
            dots += 1
        elif not 0x30 <= scratch[at] <= 0x39:
            return False
    return dots == 3


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _is_registry(scratch: Bytes, host: int, registries: UInt64s) -> bool:
    """Say whether a host is one label, or one of `registries` under a country, such as co.uk."""
    dot = -1
    for at in range(host):
        if scratch[at] == _DOT:
            if dot >= 0:
                return False
            dot = at
    if dot < 0:
        return True
    if host - dot != 3 or dot > 8:
        return False
    label = np.uint64(0)
    for at in range(dot):
        label = (label << np.uint64(8)) | np.uint64(scratch[at])
    for registry in registries:  # noqa: SIM110 - compiled
        if registry == label:
            return True
    return False


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def hosts_of(data: Bytes, offsets: Int64s) -> Int64s:
    """Return int64[n, 2]: first and past-last byte in `data` of each address's host."""
    spans = np.empty((len(offsets) - 1, 2), dtype=np.int64)
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        while start < end and data[start] <= 0x20:
            start += 1
        spans[row, 0], spans[row, 1], _ = _host_span(data, start, end)
    return spans


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def entry_hashes(
    data: Bytes, offsets: Int64s, registries: UInt64s
) -> tuple[UInt64s, Int64s, Int64s]:
    """Return the hashes of the entries of a list, the row of each, and the rows with a wide host.

    Args:
        data: UTF-8.
        offsets: Where each entry begins, n + 1.
        registries: Labels of at most 8 bytes as big-endian numbers, see `_is_registry`.
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
        host, end = _normalized(data, offsets[row], offsets[row + 1], scratch)
        if host == _WIDE:
            wide[wides] = row
            wides += 1
            continue
        if host == 0:
            continue
        www = _www(scratch, host)
        owners[used] = owners[used + 1] = row
        if end > host:
            hashes[used] = _hash(scratch, www, end, _PREFIX)
        elif _is_address(scratch, host) or _is_registry(scratch, host, registries):
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
    if not _is_address(scratch, host):
        for at in range(max(0, host - _LONGEST_NAME), host):
            if at == 0 or scratch[at - 1] == _DOT:
                index = _find(_hash(scratch, at, host, _TREE), known, buckets, shift)
                if index >= 0:
                    return index, at, host
    www = _www(scratch, host)
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
            host, end = _normalized(data, offsets[row], offsets[row + 1], scratch)
            if host == _WIDE:
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

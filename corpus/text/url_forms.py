"""Addresses in one form, as compiled loops write it: host and path in lower case.

`corpus.text.url_lists` says what is the same in it and what is not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Bytes = npt.NDArray[np.uint8]
UInt64s = npt.NDArray[np.uint64]

WIDE_HOST = -1  # there is a character in the host that is not ASCII

_COLON, _SLASH, _BACKSLASH, _AT, _QUERY, _FRAGMENT = 0x3A, 0x2F, 0x5C, 0x40, 0x3F, 0x23
_DOT, _PERCENT, _STAR, _OPENING, _CLOSING = 0x2E, 0x25, 0x2A, 0x5B, 0x5D


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
def host_span(data: Bytes, start: int, end: int) -> tuple[int, int, int]:
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
def normalized(data: Bytes, start: int, end: int, scratch: Bytes) -> tuple[int, int]:
    """Write the host and the path of an address to the head of `scratch`.

    Returns:
        The bytes of the host and of both, or `WIDE_HOST` and anything.
    """
    while start < end and data[start] <= 0x20:
        start += 1
    while start < end and data[end - 1] <= 0x20:
        end -= 1
    first, last, path = host_span(data, start, end)
    for at in range(first, last):
        if data[at] >= 0x80:
            return WIDE_HOST, 0
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
def www_size(scratch: Bytes, host: int) -> int:
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
def is_address(scratch: Bytes, host: int) -> bool:
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
def is_registry(scratch: Bytes, host: int, registries: UInt64s) -> bool:
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

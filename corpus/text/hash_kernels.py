"""Hashes as compiled functions: XXH64 and MurmurHash3 over byte ranges, and their finalisers.

Published algorithms, bit for bit: XXH64 (Collet, xxHash specification 0.1.1) with seed 0 equals
``xxhash.xxh64_intdigest``, MurmurHash3_x86_32 (Appleby) with seed 0 equals
``mmh3.hash(..., signed=False)``. They are compiled into the kernels that call them.

All integers are of a stated width: Numba turns the sum of a signed and an unsigned 64-bit integer
into a float.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Bytes = npt.NDArray[np.uint8]

_P1 = np.uint64(0x9E3779B185EBCA87)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0x165667B19E3779F9)
_P4 = np.uint64(0x85EBCA77C2B2AE63)
_P5 = np.uint64(0x27D4EB2F165667C5)
_C1 = np.uint32(0xCC9E2D51)
_C2 = np.uint32(0x1B873593)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _rotated64(value: np.uint64, bits: np.uint64) -> np.uint64:
    return np.uint64((value << bits) | (value >> (np.uint64(64) - bits)))


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _rotated32(value: np.uint32, bits: np.uint32) -> np.uint32:
    return np.uint32((value << bits) | (value >> (np.uint32(32) - bits)))


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _word32(data: Bytes, at: int) -> np.uint32:
    """Read four bytes, little-endian."""
    return np.uint32(
        np.uint32(data[at])
        | (np.uint32(data[at + 1]) << np.uint32(8))
        | (np.uint32(data[at + 2]) << np.uint32(16))
        | (np.uint32(data[at + 3]) << np.uint32(24))
    )


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _word64(data: Bytes, at: int) -> np.uint64:
    """Read eight bytes, little-endian."""
    return np.uint64(
        np.uint64(_word32(data, at)) | (np.uint64(_word32(data, at + 4)) << np.uint64(32))
    )


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _lane(accumulator: np.uint64, value: np.uint64) -> np.uint64:
    return np.uint64(_rotated64(accumulator + value * _P2, np.uint64(31)) * _P1)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _merged(digest: np.uint64, lane: np.uint64) -> np.uint64:
    return np.uint64((digest ^ _lane(np.uint64(0), lane)) * _P1 + _P4)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def xxh64(data: Bytes, start: int, end: int) -> np.uint64:
    """Return the XXH64 of ``data[start:end]`` with seed 0."""
    at = start
    if end - start >= 32:
        lane1, lane2, lane3, lane4 = _P1 + _P2, _P2, np.uint64(0), np.uint64(0) - _P1
        while at + 32 <= end:
            lane1 = _lane(lane1, _word64(data, at))
            lane2 = _lane(lane2, _word64(data, at + 8))
            lane3 = _lane(lane3, _word64(data, at + 16))
            lane4 = _lane(lane4, _word64(data, at + 24))
            at += 32
        digest = _rotated64(lane1, np.uint64(1)) + _rotated64(lane2, np.uint64(7))
        digest = digest + _rotated64(lane3, np.uint64(12)) + _rotated64(lane4, np.uint64(18))
        digest = _merged(_merged(_merged(_merged(digest, lane1), lane2), lane3), lane4)
    else:
        digest = _P5
    digest = digest + np.uint64(end - start)
    while at + 8 <= end:
        digest = digest ^ _lane(np.uint64(0), _word64(data, at))
        digest = _rotated64(digest, np.uint64(27)) * _P1 + _P4
        at += 8
    if at + 4 <= end:
        digest = digest ^ (np.uint64(_word32(data, at)) * _P1)
        digest = _rotated64(digest, np.uint64(23)) * _P2 + _P3
        at += 4
    while at < end:
        digest = digest ^ (np.uint64(data[at]) * _P5)
        digest = _rotated64(digest, np.uint64(11)) * _P1
        at += 1
    digest = (digest ^ (digest >> np.uint64(33))) * _P2
    digest = (digest ^ (digest >> np.uint64(29))) * _P3
    return np.uint64(digest ^ (digest >> np.uint64(32)))


@njit(nogil=True)  # type: ignore[untyped-decorator]
def mixed64(value: np.uint64) -> np.uint64:
    """Return MurmurHash3's 64-bit finaliser of `value`, a bijection."""
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return np.uint64(value ^ (value >> np.uint64(33)))


@njit(nogil=True)  # type: ignore[untyped-decorator]
def mixed32(value: np.uint32) -> np.uint32:
    """Return MurmurHash3's 32-bit finaliser of `value`, a bijection."""
    value = np.uint32(np.uint32(value ^ (value >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    value = np.uint32(np.uint32(value ^ (value >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(value ^ (value >> np.uint32(16)))


@njit(nogil=True)  # type: ignore[untyped-decorator]
def scrambled32(block: np.uint32) -> np.uint32:
    """Return what MurmurHash3 takes in for four bytes; 0 for 0."""
    return np.uint32(_rotated32(np.uint32(block * _C1), np.uint32(15)) * _C2)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def absorbed32(digest: np.uint32, scrambled: np.uint32) -> np.uint32:
    """Return the state of MurmurHash3 after four more bytes, given as `scrambled32` of them."""
    digest = _rotated32(np.uint32(digest ^ scrambled), np.uint32(13))
    return np.uint32(digest * np.uint32(5) + np.uint32(0xE6546B64))


@njit(nogil=True)  # type: ignore[untyped-decorator]
def murmur3(data: Bytes, start: int, end: int) -> np.uint32:
    """Return the MurmurHash3_x86_32 of ``data[start:end]`` with seed 0."""
    digest = np.uint32(0)
    at = start
    while at + 4 <= end:
        digest = absorbed32(digest, scrambled32(_word32(data, at)))
        at += 4
    if at < end:
        block = np.uint32(0)
        for byte in range(end - at):
            block = np.uint32(block | (np.uint32(data[at + byte]) << np.uint32(8 * byte)))
        digest = np.uint32(digest ^ scrambled32(block))
    return np.uint32(mixed32(np.uint32(digest ^ np.uint32(end - start))))

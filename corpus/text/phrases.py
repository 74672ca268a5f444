"""Phrases in the shape in which a compiled kernel looks for all of them at once.

A kernel that stands at a byte takes that byte and the next as a number; `begins` says whether any
phrase begins so, and `heads` which: a few at most, which are then compared. One pass, however many
they are.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_PAIRS = 1 << 16


@dataclass(frozen=True)
class PhraseTable:
    """Phrases by their first two bytes.

    Attributes:
        begins: bool[65536]; for the bytes b and c, at ``256 * b + c``, whether a phrase begins so.
        heads: int32[65537]: the phrases that begin with the bytes b and c are those that
            ``rows[heads[256 * b + c] : heads[256 * b + c + 1]]`` numbers.
        rows: int32; numbers of phrases, ascending for each pair. One of a single byte is there for
            each byte that may follow.
        data: uint8; the phrases' bytes, one after the other.
        offsets: int64[phrases + 1]; where each phrase begins in `data`.
    """

    begins: npt.NDArray[np.bool_]
    heads: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int32]
    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]


@functools.lru_cache(maxsize=64)
def phrase_table(phrases: tuple[str, ...]) -> PhraseTable:
    """Return the table of phrases, which are numbered as they are given.

    Raises:
        ValueError: One of them is empty.
    """
    encoded = [phrase.encode() for phrase in phrases]
    if not all(encoded):
        raise ValueError("a phrase is empty")
    pairs: list[int] = []
    rows: list[int] = []
    for row, phrase in enumerate(encoded):
        first = phrase[0] << 8
        begins = range(first, first + 256) if len(phrase) == 1 else [first | phrase[1]]
        pairs += begins
        rows += [row] * len(begins)
    order = np.argsort(np.array(pairs, np.int64), kind="stable")
    heads = np.searchsorted(np.array(pairs, np.int64)[order], np.arange(_PAIRS + 1))
    return PhraseTable(
        begins=heads[1:] > heads[:-1],
        heads=heads.astype(np.int32),
        rows=np.array(rows, np.int32)[order],
        data=np.frombuffer(b"".join(encoded), np.uint8),
        offsets=_offsets(encoded),
    )


def _offsets(encoded: Sequence[bytes]) -> npt.NDArray[np.int64]:
    return np.cumsum([0, *map(len, encoded)], dtype=np.int64)

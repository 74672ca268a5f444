"""Spans: runs of parts whose drops are listed by one task, so that its memory has a bound."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from corpus.parts import Part

# Documents in a span, some 200 bytes each where all are dropped; one part may have more.
SPAN_DOCUMENTS = 500_000
# The same where nothing but numbers is held of each, and where more spans would be many files.
RANGE_DOCUMENTS, MOST_RANGES = 2_000_000, 1024
EVERY = "all"  # the source of a shard that is of all sources

Ints = npt.NDArray[np.int64]
Span = tuple[int, int]


def spans(rows: Sequence[int], own: int, most: int = 0) -> tuple[Span, ...]:
    """Return the spans as pairs of part numbers, the second one past the end.

    Args:
        rows: Of each part, those of the build and then those of the indexes.
        own: How many of the parts are the build's own; no span has of both.
        most: Documents in a span, `SPAN_DOCUMENTS` by default.
    """
    found: list[Span] = []
    first, held = 0, 0
    for number, count in enumerate(rows):
        if number > first and (number == own or held + count > (most or SPAN_DOCUMENTS)):
            found.append((first, number))
            first, held = number, 0
        held += count
    return (*found, (first, len(rows)))


def ranges(rows: Sequence[int], own: int) -> tuple[Span, ...]:
    """Return larger spans, for what holds a few numbers of each document."""
    return spans(rows, own, max(RANGE_DOCUMENTS, sum(rows) // MOST_RANGES))


def firsts(bases: Ints, found: Sequence[Span]) -> tuple[int, ...]:
    """Return the number of each span's first document, from those of the parts."""
    return tuple(bases[[first for first, _ in found]].tolist())


def span_of(numbers: Ints, bounds: Sequence[int]) -> Ints:
    """Return the span of each document, given the number of each span's first one."""
    # Of several spans that begin alike all but the last are empty.
    return np.searchsorted(np.array(bounds), numbers, side="right") - 1


def row_bases(parts: Sequence[Part]) -> Ints:
    """Return the number of each part's first row, and past them that of all."""
    return np.cumsum([0, *(part.rows for part in parts)], dtype=np.int64)


def places(found: Ints, wanted: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return where numbers stand among ascending ones, and which are there at all."""
    place = np.searchsorted(found, wanted)
    there = np.zeros(len(wanted), dtype=np.bool_)
    inside = place < len(found)
    there[inside] = found[place[inside]] == wanted[inside]
    return place, there

"""The compiled loop that cuts grams, their windows and short pieces out of documents.

`corpus.text.cuts` says what is cut, and why. Every byte of a document is passed over a fixed number
of times, however many grams it has.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpus.text.kernel_cache import njit

Bytes = npt.NDArray[np.uint8]
Int64s = npt.NDArray[np.int64]

KEPT, CONTAMINATED, NOTHING_LEFT = 0, 1, 2


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _stepped(data: Bytes, at: int, bound: int, characters: int) -> int:
    """Return the byte `characters` characters from `at` towards `bound`, and not beyond that."""
    step = 1 if bound > at else -1
    while characters > 0 and at != bound:
        at += step
        while at != bound and (data[at] & 0xC0) == 0x80:
            at += step
        characters -= 1
    return at


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _cut(
    data: Bytes,
    begin: int,
    end: int,
    hits: Int64s,
    first: int,
    last: int,
    window: int,
    minimum: int,
    maximum_pieces: int,
    cuts: Int64s,
    used: int,
) -> tuple[int, int, int]:
    """Cut the document ``data[begin:end]``; write its cuts to `cuts` from row `used` on.

    To stay linear, a window is followed back to the cut before it and on to the next gram only.

    Returns:
        The verdict, the pieces, and the new `used`.
    """
    offset = used
    for hit in range(first, last):
        start, stop = begin + hits[hit, 0], begin + hits[hit, 1]
        following = begin + hits[hit + 1, 0] if hit + 1 < last else end
        reach = _stepped(data, stop, following, window) if following > stop else stop
        floor = cuts[used - 1, 1] if used > offset else begin
        if start > floor:
            start = _stepped(data, start, floor, window)
        if used > offset and start <= floor:
            cuts[used - 1, 1] = max(floor, reach)
        else:
            cuts[used, 0] = start
            cuts[used, 1] = reach
            used += 1
    pieces = 0
    left = begin
    for index in range(offset, used):
        pieces += cuts[index, 0] > left
        left = cuts[index, 1]
    pieces += end > left
    verdict = KEPT
    if pieces > maximum_pieces:
        verdict = CONTAMINATED
    else:
        used = _without_short_pieces(data, begin, end, minimum, cuts, offset, used)
        if used == offset + 1 and cuts[offset, 0] == begin and cuts[offset, 1] == end:
            verdict = NOTHING_LEFT
    for index in range(offset, used):
        cuts[index, 0] -= begin
        cuts[index, 1] -= begin
    return verdict, pieces, used


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _without_short_pieces(
    data: Bytes, begin: int, end: int, minimum: int, cuts: Int64s, offset: int, used: int
) -> int:
    """Widen the cuts over the pieces of fewer than `minimum` characters; return the new `used`."""
    if _is_short(data, begin, cuts[offset, 0], minimum):
        cuts[offset, 0] = begin
    kept = offset
    for index in range(offset + 1, used):
        if _is_short(data, cuts[kept, 1], cuts[index, 0], minimum):
            cuts[kept, 1] = cuts[index, 1]
        else:
            kept += 1
            cuts[kept, 0], cuts[kept, 1] = cuts[index, 0], cuts[index, 1]
    if _is_short(data, cuts[kept, 1], end, minimum):
        cuts[kept, 1] = end
    return kept + 1


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _is_short(data: Bytes, start: int, stop: int, minimum: int) -> bool:
    """Say whether ``data[start:stop]`` has fewer than `minimum` characters."""
    characters = 0
    for at in range(start, stop):
        if characters >= minimum:
            return False
        characters += (data[at] & 0xC0) != 0x80
    return characters < minimum


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def cut_rows(
    data: Bytes,
    offsets: Int64s,
    hits: Int64s,
    bounds: Int64s,
    window: int,
    minimum: int,
    maximum_pieces: int,
) -> tuple[npt.NDArray[np.int8], Int64s, Int64s, Int64s]:
    """Cut each document; the hits of row i are ``hits[bounds[i]:bounds[i + 1]]`` (start, end).

    Returns:
        For each row the verdict, the pieces, and where its cuts begin; and the cuts.
    """
    documents = len(offsets) - 1
    verdicts = np.full(documents, KEPT, dtype=np.int8)
    pieces = np.zeros(documents, dtype=np.int64)
    cut_offsets = np.zeros(documents + 1, dtype=np.int64)
    cuts = np.empty((len(hits), 2), dtype=np.int64)
    used = np.int64(0)  # a plain 0 is a type of its own: what it is handed to is compiled twice
    for row in range(documents):
        begin, end = offsets[row], offsets[row + 1]
        first, last = bounds[row], bounds[row + 1]
        if first < last:
            verdicts[row], pieces[row], used = _cut(
                data, begin, end, hits, first, last, window, minimum, maximum_pieces, cuts, used
            )
        else:
            pieces[row] = end > begin
        cut_offsets[row + 1] = used
    return verdicts, pieces, cut_offsets, cuts[:used].copy()

"""The compiled loop that cuts lines; `corpus.text.lines` says what else goes with them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpus.text.kernel_cache import njit
from corpus.text.line_kernels import BLANK

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

_NEWLINE = 0x0A


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _characters(data: Bytes, start: int, stop: int) -> int:
    count = 0
    for at in range(start, stop):
        count += (data[at] & 0xC0) != 0x80
    return count


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def cut_lines(
    data: Bytes,
    offsets: Int64s,
    bounds: Int64s,
    starts: Int64s,
    ends: Int64s,
    words: Int32s,
    gone: Flags,
) -> tuple[Int64s, Int64s, Int64s]:
    """Return the ranges of bytes that leave out lines, with the newlines that would be too many.

    Args:
        data: Bytes of the texts.
        offsets: Where each text begins.
        bounds: As `find_lines` returns them, like the next three.
        starts: First byte of each line.
        ends: The byte behind its last.
        words: Its words, or `BLANK`.
        gone: Which lines are cut.

    Returns:
        int64[documents + 1], where each document's cuts begin; the cuts, (n, 2), ascending and
        apart; and how many characters each document has left, 0 where only white space is.
    """
    documents = len(offsets) - 1
    cut_offsets = np.zeros(documents + 1, dtype=np.int64)
    cuts = np.empty((len(starts), 2), dtype=np.int64)
    left = np.zeros(documents, dtype=np.int64)
    used = 0
    for row in range(documents):
        begin, end = offsets[row], offsets[row + 1]
        first = used
        blank = True  # nothing, or a blank line, stands before
        follows = False  # the line before is cut
        kept = np.int64(-1)  # where the last line ends that is kept and not blank
        for line in range(bounds[row], bounds[row + 1]):
            if gone[line] or (follows and blank and words[line] == BLANK):
                stop = starts[line + 1] if line + 1 < bounds[row + 1] else end - begin
                if used > first and cuts[used - 1, 1] == starts[line]:
                    cuts[used - 1, 1] = stop
                else:
                    cuts[used, 0] = starts[line]
                    cuts[used, 1] = stop
                    used += 1
                follows = True
            else:
                follows = False
                blank = words[line] == BLANK
                if not blank:
                    kept = ends[line]
        if used > first and (kept < 0 or cuts[used - 1, 1] == end - begin):
            # Nothing is left behind the last cut, so its last line ends as the text did.
            tail = np.int64(0)
            if kept >= 0:
                tail = kept + 1 if data[end - 1] == _NEWLINE else kept
            while used > first and cuts[used - 1, 0] >= tail:
                used -= 1
            cuts[used, 0] = tail
            cuts[used, 1] = end - begin
            used += 1
        at = begin
        for cut in range(first, used):
            left[row] += _characters(data, at, begin + cuts[cut, 0])
            at = begin + cuts[cut, 1]
        left[row] += _characters(data, at, end)
        if kept < 0:
            left[row] = 0
        cut_offsets[row + 1] = used
    return cut_offsets, cuts[:used].copy(), left

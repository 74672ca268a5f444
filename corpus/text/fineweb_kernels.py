"""The compiled loop of FineWeb's rules of lines, which `corpus.text.fineweb` explains."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpus.text.kernel_cache import njit
from corpus.text.span_kernels import FIRST_ROOM, repeats, room, structure
from corpus.text.utf8_kernels import code_point

Bytes = npt.NDArray[np.uint8]
Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def line_rules(
    data: Bytes,
    offsets: Int64s,
    documents: Int64s,
    flags: Bytes,
    limits: Float64s,
    short: int,
    marks: Int64s,
    seed: np.uint64,
) -> Int64s:
    """Return int64[documents]: the number of the first of FineWeb's rules that each breaks, or 0.

    Args:
        data: The texts' UTF-8 bytes.
        offsets: Where each text begins.
        documents: The texts to look at.
        flags: Of `corpus.text.unicode_tables.character_flags`.
        limits: float64[4]: of punctuated lines, repeated characters, short lines, and line breaks a
            word; infinite when off.
        short: A line with fewer characters is short.
        marks: Code points that end a sentence.
        seed: Any number.
    """
    broken = np.zeros(len(documents), dtype=np.int64)
    words, lines, paragraphs = room(FIRST_ROOM)
    for index in range(len(documents)):
        begin, end = offsets[documents[index]], offsets[documents[index] + 1]
        word_count, count, _, breaks = structure(
            data, begin, end, flags, words, lines, paragraphs, seed
        )
        while word_count < 0:
            words, lines, paragraphs = room(2 * len(words))
            word_count, count, _, breaks = structure(
                data, begin, end, flags, words, lines, paragraphs, seed
            )
        if count == 0:
            broken[index] = 1
            continue
        punctuated = shorter = 0
        for row in range(count):
            shorter += lines[row, 2] < short
            last = lines[row, 1] - 1
            while (data[last] & 0xC0) == 0x80 and last > lines[row, 0]:
                last -= 1
            code, _ = code_point(data, last, lines[row, 1])
            for mark in marks:
                if code == mark:
                    punctuated += 1
                    break
        if punctuated / count <= limits[0]:
            broken[index] = 1
        elif limits[1] < np.inf and repeats(data, lines, count)[1] >= limits[1]:
            broken[index] = 2
        elif shorter / count >= limits[2]:
            broken[index] = 3
        elif breaks / word_count > limits[3]:
            broken[index] = 4
    return broken

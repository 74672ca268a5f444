"""The words, lines and paragraphs of a text as compiled loops find them, and which of them repeat.

A span is a row of four numbers: its first byte, its past-last byte, its number of characters and a
hash. Lines and words are compared byte by byte where their hashes agree. The hashes are seeded anew
in each process, which changes no result: a page cannot be made so that its words collide.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from corpus.text.hash_kernels import mixed64
from corpus.text.unicode_tables import WHITESPACE
from corpus.text.utf8_kernels import code_point

Bytes = npt.NDArray[np.uint8]
Int64s = npt.NDArray[np.int64]

FIRST_ROOM = 4096  # words that there is room for at first

_NEWLINE = 0x0A
_BASE = np.uint64(0x9E3779B97F4A7C15)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def room(rows: int) -> tuple[Int64s, Int64s, Int64s]:
    """Return arrays for the words, lines and paragraphs of a text."""
    return (
        np.empty((rows, 4), dtype=np.int64),
        np.empty((rows, 4), dtype=np.int64),
        np.empty((rows, 4), dtype=np.int64),
    )


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _fill(spans: Int64s, row: int, start: int, end: int, characters: int, value: np.uint64) -> None:
    spans[row, 0] = start
    spans[row, 1] = end
    spans[row, 2] = characters
    spans[row, 3] = np.int64(value)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def structure(
    data: Bytes,
    begin: int,
    end: int,
    flags: Bytes,
    words: Int64s,
    lines: Int64s,
    paragraphs: Int64s,
    seed: np.uint64,
) -> tuple[int, int, int, int]:
    """Find the words, the lines and the paragraphs of a text, stripped and not empty.

    A row is the first byte, the past-last byte, the number of characters and a hash. The hash of a
    line or paragraph is made of those of its words and of the white space between them.

    Returns:
        How many words, lines and paragraphs there are, and line breaks; -1 words if `words`, of
        which there are no fewer than of the others, has not enough rows.
    """
    word_count = line_count = paragraph_count = breaks = 0
    word = line = paragraph = np.int64(-1)
    characters = 0  # of the text so far
    word_from = line_from = paragraph_from = 0  # characters before them
    word_hash = line_hash = paragraph_hash = seed
    # Of what ends with the last character that is not white space:
    solid_end, solid_characters, solid_line, solid_paragraph = begin, 0, seed, seed
    blank = True  # nothing but white space in this line so far
    at = begin
    while True:
        code, size = np.int64(_NEWLINE), 1
        if at < end:
            code = np.int64(data[at])
            if code >= 0x80:
                code, size = code_point(data, at, end)
        if flags[code] & WHITESPACE:
            if word >= 0:
                if word_count == len(words):
                    return -1, 0, 0, 0
                word_hash = mixed64(word_hash)
                _fill(words, word_count, word, at, characters - word_from, word_hash)
                word_count += 1
                word = np.int64(-1)
                line_hash = (line_hash ^ word_hash) * _BASE
                paragraph_hash = (paragraph_hash ^ word_hash) * _BASE
                solid_end, solid_characters = at, characters
                solid_line, solid_paragraph = line_hash, paragraph_hash
            line_hash = (line_hash ^ np.uint64(code)) * _BASE
            paragraph_hash = (paragraph_hash ^ np.uint64(code)) * _BASE
            if code == _NEWLINE:
                if line >= 0:
                    own = solid_characters - line_from
                    _fill(lines, line_count, line, solid_end, own, mixed64(solid_line))
                    line_count += 1
                    line = np.int64(-1)
                if paragraph >= 0 and (blank or at >= end):
                    own = solid_characters - paragraph_from
                    value = mixed64(solid_paragraph)
                    _fill(paragraphs, paragraph_count, paragraph, solid_end, own, value)
                    paragraph_count += 1
                    paragraph = np.int64(-1)
                blank = True
                breaks += at < end
            characters += 1
        else:
            if word < 0:
                word = np.int64(at)
                word_from = characters
                word_hash = seed
                if line < 0:
                    line = np.int64(at)
                    line_from = characters
                    line_hash = seed
                    blank = False
                    if paragraph < 0:
                        paragraph = np.int64(at)
                        paragraph_from = characters
                        paragraph_hash = seed
            if code < 0x80:  # most of a text: a run of ASCII at once
                start = at
                while at < end and data[at] < 0x80 and (flags[data[at]] & WHITESPACE) == 0:
                    word_hash = (word_hash ^ np.uint64(data[at])) * _BASE
                    at += 1
                characters += at - start
                continue
            word_hash = (word_hash ^ np.uint64(code)) * _BASE
            characters += 1
        if at >= end:
            break
        at += size
    return word_count, line_count, paragraph_count, breaks


@njit(nogil=True)  # type: ignore[untyped-decorator]
def slots(count: int) -> int:
    """Return the size of a hash table for so many entries, a power of two."""
    size = 16
    while size < 2 * count:
        size *= 2
    return size


@njit(nogil=True)  # type: ignore[untyped-decorator]
def first_of_each(data: Bytes, spans: Int64s, count: int, firsts: Int64s) -> None:
    """Fill in, for each of the spans, the first one with the same bytes."""
    size = slots(count)
    table = np.full(size, -1, dtype=np.int64)
    for row in range(count):
        start, value = spans[row, 0], spans[row, 3]
        length = spans[row, 1] - start
        slot = value & (size - 1)
        while True:
            other = table[slot]
            if other < 0:
                table[slot] = row
                firsts[row] = row
                break
            if spans[other, 3] == value and spans[other, 1] - spans[other, 0] == length:
                at = 0
                while at < length and data[start + at] == data[spans[other, 0] + at]:
                    at += 1
                if at == length:
                    firsts[row] = other
                    break
            slot = (slot + 1) & (size - 1)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def repeats(data: Bytes, spans: Int64s, count: int) -> tuple[float, float]:
    """Return the fraction of spans that repeat an earlier one, by number and by characters."""
    if count == 0:
        return 0.0, 0.0
    firsts = np.empty(count, dtype=np.int64)
    first_of_each(data, spans, count, firsts)
    repeats = characters = total = 0
    for row in range(count):
        total += spans[row, 2]
        if firsts[row] != row:
            repeats += 1
            characters += spans[row, 2]
    return repeats / count, characters / total

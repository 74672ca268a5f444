"""The compiled loops over the lines, paragraphs and words of a text, and what repeats among them.

The rules are explained in `corpus.text.gopher` and `corpus.text.fineweb`. Nothing is approximate:
lines and words are compared byte by byte where their hashes agree, and an n-gram is the pair of the
(n-1)-grams that it is made of, by number. The hashes are seeded anew in each process, which changes
no result: a page cannot be made so that its words collide.
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
UInt64s = npt.NDArray[np.uint64]
Float64s = npt.NDArray[np.float64]

_NEWLINE = 0x0A
_BASE = np.uint64(0x9E3779B97F4A7C15)
_FIRST = 4096  # words that there is room for at first
TOP, DUPLICATE = 1000, 2000  # what is added to n in the number of an n-gram's rule


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _room(rows: int) -> tuple[Int64s, Int64s, Int64s]:
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
def _structure(
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
def _slots(count: int) -> int:
    """Return the size of a hash table for so many entries, a power of two."""
    size = 16
    while size < 2 * count:
        size *= 2
    return size


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _first_of_each(data: Bytes, spans: Int64s, count: int, firsts: Int64s) -> None:
    """Fill in, for each of the spans, the first one with the same bytes."""
    size = _slots(count)
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
def _repeats(data: Bytes, spans: Int64s, count: int) -> tuple[float, float]:
    """Return the fraction of spans that repeat an earlier one, by number and by characters."""
    if count == 0:
        return 0.0, 0.0
    firsts = np.empty(count, dtype=np.int64)
    _first_of_each(data, spans, count, firsts)
    repeats = characters = total = 0
    for row in range(count):
        total += spans[row, 2]
        if firsts[row] != row:
            repeats += 1
            characters += spans[row, 2]
    return repeats / count, characters / total


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _covered(active: Int64s, used: int, grams: Int64s, chosen: int, n: int, ends: Int64s) -> int:
    """Return how many characters lie in n-grams, each character once.

    The n-grams are those that repeat an earlier one, or with `chosen` all that equal that one.
    """
    total = 0
    until = 0
    for index in range(used):
        at = active[index]
        if (grams[at] == chosen) if chosen >= 0 else (grams[at] != at):
            total += ends[at + n] - ends[max(at, until)]
            until = at + n
    return int(total)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _most_frequent(
    active: Int64s, used: int, grams: Int64s, counts: Int64s, n: int, ends: Int64s
) -> int:
    """Return the most frequent n-gram; of several, the longest, and of those the earliest."""
    best = most = length = np.int64(-1)
    for index in range(used):
        at = active[index]
        if grams[at] != at or counts[at] < most:
            continue
        own = ends[at + n] - ends[at]
        if counts[at] > most or own > length:
            best, most, length = at, counts[at], own
    return int(best)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _broken_by_ngrams(
    data: Bytes, words: Int64s, count: int, top: Float64s, duplicate: Float64s, seed: np.uint64
) -> int:
    """Return the number of the first rule of n-grams that the words break, or 0.

    An n-gram can occur twice only where the (n-1)-grams at its place and at the next one do: only
    such places, the active ones, are looked at again, which are soon few.
    """
    grams = np.empty(count, dtype=np.int64)  # at each active place, the first with the same n-gram
    _first_of_each(data, words, count, grams)
    counts = np.zeros(count, dtype=np.int64)
    ends = np.zeros(count + 1, dtype=np.int64)
    for row in range(count):
        counts[grams[row]] += 1
        ends[row + 1] = ends[row] + words[row, 2]
    active = np.empty(count, dtype=np.int64)
    used = np.int64(0)  # a plain 0 is a type of its own: what it is handed to is compiled twice
    for row in range(count):
        if counts[grams[row]] > 1:
            active[used] = row
            used += 1
    size = _slots(used)
    table = np.empty(size, dtype=np.int64)
    keys = np.empty(size, dtype=np.uint64)
    for n in range(1, len(top)):
        if n > 1:
            size = _slots(used)
            table[:size] = -1
            fresh = 0
            for index in range(used - 1):
                at = active[index]
                if active[index + 1] != at + 1:
                    continue
                key = (np.uint64(grams[at]) << np.uint64(32)) | np.uint64(grams[at + 1])
                slot = np.int64(mixed64(key ^ seed) & np.uint64(size - 1))
                while table[slot] >= 0 and keys[slot] != key:
                    slot = (slot + 1) & (size - 1)
                if table[slot] < 0:
                    table[slot] = at
                    keys[slot] = key
                    counts[at] = 0
                grams[at] = table[slot]  # of the places before, no one asks again
                counts[grams[at]] += 1
                active[fresh] = at
                fresh += 1
            used = np.int64(0)
            for index in range(fresh):
                at = active[index]
                if counts[grams[at]] > 1:
                    active[used] = at
                    used += 1
        if used == 0:
            return 0
        if top[n] < np.inf:
            chosen = _most_frequent(active, used, grams, counts, n, ends)
            if _covered(active, used, grams, chosen, n, ends) / ends[count] > top[n]:
                return TOP + n
        if (
            duplicate[n] < np.inf
            and _covered(active, used, grams, np.int64(-1), n, ends) / ends[count] > duplicate[n]
        ):
            return DUPLICATE + n
    return 0


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def repetition_rules(
    data: Bytes,
    offsets: Int64s,
    documents: Int64s,
    flags: Bytes,
    limits: Float64s,
    top: Float64s,
    duplicate: Float64s,
    seed: np.uint64,
) -> Int64s:
    """Return int64[documents]: the first of Gopher's rules that each breaks, or 0.

    Args:
        data: The texts' UTF-8 bytes.
        offsets: Where each text begins.
        documents: The texts to look at.
        flags: Of `corpus.text.unicode_tables.character_flags`.
        limits: float64[4]: of lines, paragraphs, and the characters of either; infinite when off.
        top: float64[most words + 1]: for each n the limit of the most frequent n-gram.
        duplicate: Likewise: of repeated n-grams.
        seed: Any number.

    Returns:
        1 to 4 for the limits, `TOP` + n and `DUPLICATE` + n for n-grams.
    """
    broken = np.zeros(len(documents), dtype=np.int64)
    words, lines, paragraphs = _room(_FIRST)
    for index in range(len(documents)):
        begin, end = offsets[documents[index]], offsets[documents[index] + 1]
        word_count, line_count, paragraph_count, _ = _structure(
            data, begin, end, flags, words, lines, paragraphs, seed
        )
        while word_count < 0:  # again from the start: in the loop, it would cost each text time
            words, lines, paragraphs = _room(2 * len(words))
            word_count, line_count, paragraph_count, _ = _structure(
                data, begin, end, flags, words, lines, paragraphs, seed
            )
        if word_count == 0:
            continue
        by_lines, by_line_characters = _repeats(data, lines, line_count)
        by_paragraphs, by_paragraph_characters = _repeats(data, paragraphs, paragraph_count)
        if by_lines > limits[0]:
            broken[index] = 1
        elif by_paragraphs > limits[1]:
            broken[index] = 2
        elif by_line_characters > limits[2]:
            broken[index] = 3
        elif by_paragraph_characters > limits[3]:
            broken[index] = 4
        else:
            broken[index] = _broken_by_ngrams(data, words, word_count, top, duplicate, seed)
    return broken


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
    words, lines, paragraphs = _room(_FIRST)
    for index in range(len(documents)):
        begin, end = offsets[documents[index]], offsets[documents[index] + 1]
        word_count, count, _, breaks = _structure(
            data, begin, end, flags, words, lines, paragraphs, seed
        )
        while word_count < 0:
            words, lines, paragraphs = _room(2 * len(words))
            word_count, count, _, breaks = _structure(
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
        elif limits[1] < np.inf and _repeats(data, lines, count)[1] >= limits[1]:
            broken[index] = 2
        elif shorter / count >= limits[2]:
            broken[index] = 3
        elif breaks / word_count > limits[3]:
            broken[index] = 4
    return broken

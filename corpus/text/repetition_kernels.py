"""The compiled loop of Gopher's rules of repetition, which `corpus.text.gopher` explains.

Nothing is approximate: an n-gram is the pair of the (n-1)-grams that it is made of, by number.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpus.text.hash_kernels import mixed64
from corpus.text.kernel_cache import njit
from corpus.text.span_kernels import FIRST_ROOM, first_of_each, repeats, room, slots, structure

Bytes = npt.NDArray[np.uint8]
Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]

TOP, DUPLICATE = 1000, 2000  # what is added to n in the number of an n-gram's rule


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
    first_of_each(data, words, count, grams)
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
    size = slots(used)
    table = np.empty(size, dtype=np.int64)
    keys = np.empty(size, dtype=np.uint64)
    for n in range(1, len(top)):
        if n > 1:
            size = slots(used)
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
    words, lines, paragraphs = room(FIRST_ROOM)
    for index in range(len(documents)):
        begin, end = offsets[documents[index]], offsets[documents[index] + 1]
        word_count, line_count, paragraph_count, _ = structure(
            data, begin, end, flags, words, lines, paragraphs, seed
        )
        while word_count < 0:  # again from the start: in the loop, it would cost each text time
            words, lines, paragraphs = room(2 * len(words))
            word_count, line_count, paragraph_count, _ = structure(
                data, begin, end, flags, words, lines, paragraphs, seed
            )
        if word_count == 0:
            continue
        by_lines, by_line_characters = repeats(data, lines, line_count)
        by_paragraphs, by_paragraph_characters = repeats(data, paragraphs, paragraph_count)
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

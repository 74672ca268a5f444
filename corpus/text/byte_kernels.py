"""Bytes of UTF-8 text as compiled functions: digits, letters, and the word before a place."""

from __future__ import annotations

from typing import Any

import numpy as np

from corpus.text.kernel_cache import njit


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def is_digit(c: Any) -> Any:
    """Say whether a byte is an ASCII digit."""
    return 48 <= c <= 57


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def is_letter(c: Any) -> Any:
    """Say whether a byte is an ASCII letter."""
    return 97 <= (c | 32) <= 122


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def is_word(c: Any) -> Any:
    """Say whether a byte is an ASCII letter, digit or underscore."""
    return 48 <= c <= 57 or 97 <= (c | 32) <= 122 or c == 95


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def byte_at(data: Any, at: Any, begin: Any, end: Any) -> Any:
    """Return a byte, and a line break for what is outside of the text."""
    return np.int64(data[at]) if begin <= at < end else np.int64(10)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def word_before(data: Any, at: Any, begin: Any, words: Any) -> Any:
    """Return the class of the word before a place, and where that word begins; 0 for none.

    Up to four signs may stand between. `words` holds words in rows of 16 bytes, lower case, their
    last byte their class; a word of another length or with other letters has class 0.
    """
    stop = at
    while stop > begin and at - stop < 4 and data[stop - 1] in (32, 35, 40, 41, 45, 46, 47, 58):
        stop -= 1
    start = stop
    while start > begin and stop - start < 16:
        c = data[start - 1]
        if not (is_letter(c) or c >= 0x80):
            break
        start -= 1
    length = stop - start
    if not 0 < length < 15:
        return np.int64(0), start
    for row in range(len(words)):
        if words[row, length] == 0 and words[row, length - 1] != 0:
            place = 0
            while place < length:
                c = data[start + place]
                if (c | 32 if c < 0x80 else c) != words[row, place]:
                    break
                place += 1
            if place == length:
                return np.int64(words[row, 15]), start
    return np.int64(0), start

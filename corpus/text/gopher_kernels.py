"""The compiled loop of Gopher's quality rules: one pass over the bytes of each text.

The rules are explained in `corpus.text.gopher`. No Python object a word, and nothing is kept but
counts, so a text may be as long as it likes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpus.text.case_kernels import lower_room, lowered
from corpus.text.kernel_cache import njit
from corpus.text.unicode_tables import ALPHABETIC, WHITESPACE, WORD_CHARACTER
from corpus.text.utf8_kernels import code_point

Bytes = npt.NDArray[np.uint8]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
UInt32s = npt.NDArray[np.uint32]
Float64s = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_NEWLINE, _SPACE, _HASH, _DOT, _HYPHEN, _STAR = 0x0A, 0x20, 0x23, 0x2E, 0x2D, 0x2A
_LETTER = ALPHABETIC | WORD_CHARACTER
_ELLIPSIS = 0x2026
# Bytes that a word in lower case may be shorter than the word: U+212A becomes a k.
_SHRINKS = 3


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _is_mark(byte: int) -> bool:
    """Say whether a byte is one of `string.punctuation`."""
    return (
        0x21 <= byte <= 0x2F or 0x3A <= byte <= 0x40 or 0x5B <= byte <= 0x60 or 0x7B <= byte <= 0x7E
    )


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _stop_word(
    data: Bytes,
    start: int,
    end: int,
    entries: UInt32s,
    expansions: UInt32s,
    heads: Int32s,
    rows: Int32s,
    phrases: Bytes,
    bounds: Int64s,
    scratch: Bytes,
) -> int:
    """Return which stop word ``data[start:end]`` is in lower case, or -1."""
    size = lowered(data, start, end, entries, expansions, scratch)
    pair = np.int64(scratch[0]) << 8
    if size > 1:
        pair |= np.int64(scratch[1])
    for index in range(heads[pair], heads[pair + 1]):
        row = rows[index]
        first = bounds[row]
        if bounds[row + 1] - first != size:
            continue
        same = True
        for at in range(size):
            same = same and phrases[first + at] == scratch[at]
        if same:
            return int(row)
    return -1


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _begins_with_bullet(data: Bytes, start: int, end: int, bullets: Int64s) -> bool:
    """Say whether the stripped line begins with a bullet, or with "- " or "* "."""
    code, _ = code_point(data, start, end)
    if code in (_HYPHEN, _STAR):
        return bool(start + 1 < end and data[start + 1] == _SPACE)
    for bullet in bullets:  # noqa: SIM110 - compiled
        if code == bullet:
            return True
    return False


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _ends_with_ellipsis(data: Bytes, start: int, end: int) -> bool:
    if end - start < 3:
        return False
    one, two, three = data[end - 3], data[end - 2], data[end - 1]
    return bool(
        (one == _DOT and two == _DOT and three == _DOT)
        or (one == 0xE2 and two == 0x80 and three == 0xA6)
    )


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _first_broken(
    words: int,
    characters: int,
    hashes: int,
    ellipses: int,
    lines: int,
    bulleted: int,
    dotted: int,
    alphabetic: int,
    stop_words: int,
    limits: Float64s,
) -> int:
    """Return the number of the first rule that the counts break, from 1, or 0."""
    if words == 0 or words < limits[0]:
        return 1
    if words > limits[1]:
        return 2
    if characters / words < limits[2]:
        return 3
    if characters / words > limits[3]:
        return 4
    if hashes / words > limits[4]:
        return 5
    if ellipses / words > limits[4]:
        return 6
    if bulleted / lines > limits[5]:
        return 7
    if dotted / lines > limits[6]:
        return 8
    if alphabetic / words < limits[7]:
        return 9
    return 10 if stop_words < limits[8] else 0


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def quality_rules(
    data: Bytes,
    offsets: Int64s,
    documents: Int64s,
    flags: Bytes,
    entries: UInt32s,
    expansions: UInt32s,
    limits: Float64s,
    bullets: Int64s,
    heads: Int32s,
    rows: Int32s,
    phrases: Bytes,
    bounds: Int64s,
) -> Int64s:
    """Return int64[documents]: the number of the first rule that each breaks, from 1, or 0.

    Args:
        data: The texts' UTF-8 bytes.
        offsets: Where each text begins.
        documents: The texts to look at.
        flags: Of `corpus.text.unicode_tables.character_flags`.
        entries: Of the kind of words "whitespace".
        expansions: Likewise.
        limits: float64[9], in the order of the rules; a rule that is off has an infinite one.
        bullets: Code points that begin an item of a list.
        heads: With `rows`, `phrases` and `bounds` the stop words, a `PhraseTable`.
        rows: See `heads`.
        phrases: See `heads`.
        bounds: See `heads`.
    """
    broken = np.zeros(len(documents), dtype=np.int64)
    longest = 0  # bytes that a stop word may be written in
    may_begin = np.ones(256, dtype=np.bool_)  # whether a word that begins so may be a stop word
    may_begin[:0x80] = False
    for stop_word in range(len(bounds) - 1):
        longest = max(longest, _SHRINKS * (bounds[stop_word + 1] - bounds[stop_word]))
        may_begin[phrases[bounds[stop_word]]] = True
    for capital in range(0x41, 0x5B):
        may_begin[capital] = may_begin[capital + 0x20]
    scratch = np.empty(lower_room(longest), dtype=np.uint8)
    seen = np.zeros(len(bounds) - 1, dtype=np.bool_)
    for index in range(len(documents)):
        at, end = offsets[documents[index]], offsets[documents[index] + 1]
        words = characters = hashes = ellipses = lines = bulleted = dotted = 0
        alphabetic = stop_words = dots = 0
        seen[:] = False
        word = line = np.int64(-1)  # where the word and the stripped line begin
        line_end = at
        has_letter = False
        while True:
            # The end of a text ends its last line.
            code, size = np.int64(_NEWLINE), 1
            if at < end:
                code = np.int64(data[at])
                if code >= 0x80:
                    code, size = code_point(data, at, end)
            flag = flags[code]
            if flag & WHITESPACE:
                dots = 0
                if word >= 0:
                    words += 1
                    alphabetic += has_letter
                    if stop_words < limits[8]:
                        first, past = word, at
                        while first < past and _is_mark(data[first]):
                            first += 1
                        while first < past and _is_mark(data[past - 1]):
                            past -= 1
                        # Most words are seen not to be one by their length and first two bytes.
                        if first < past <= first + longest and may_begin[data[first]]:
                            found = _stop_word(
                                data, first, past, entries, expansions, heads, rows, phrases,
                                bounds, scratch,
                            )  # fmt: skip
                            if found >= 0 and not seen[found]:
                                seen[found] = True
                                stop_words += 1
                    word = np.int64(-1)
                if code == _NEWLINE and line >= 0:
                    lines += 1
                    bulleted += _begins_with_bullet(data, line, line_end, bullets)
                    dotted += _ends_with_ellipsis(data, line, line_end)
                    line = np.int64(-1)
            else:
                if word < 0:
                    word = at
                    has_letter = False
                    if line < 0:
                        line = at
                if flag == _LETTER and code < 0x80:  # most of a text: a run of letters at once
                    start = at
                    while at < end and data[at] < 0x80 and flags[data[at]] == _LETTER:
                        at += 1
                    characters += at - start
                    has_letter = True
                    line_end = at
                    dots = 0
                    continue
                characters += 1
                has_letter = has_letter or (flag & ALPHABETIC) != 0
                line_end = at + size
                if code == _DOT:
                    dots += 1
                    if dots == 3:  # as str.count has it: without overlaps
                        ellipses += 1
                        dots = 0
                else:
                    dots = 0
                    hashes += code == _HASH
                    ellipses += code == _ELLIPSIS
            if at >= end:
                break
            at += size
        broken[index] = _first_broken(
            words, characters, hashes, ellipses, lines, bulleted, dotted, alphabetic, stop_words,
            limits,
        )  # fmt: skip
    return broken

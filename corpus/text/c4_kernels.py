"""The compiled loop of C4's rules, which `corpus.text.c4` explains.

A text is put into lower case once and searched for all phrases at once; then its lines are counted
in the text as it is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpus.text.case_kernels import lower_room, lowered
from corpus.text.kernel_cache import njit
from corpus.text.phrase_kernels import lines_of, page_phrase
from corpus.text.unicode_tables import ALPHABETIC, WHITESPACE, WORD_CHARACTER
from corpus.text.utf8_kernels import code_point

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
UInt32s = npt.NDArray[np.uint32]

_NEWLINE, _BRACKET, _CLOSING, _DOT = 0x0A, 0x5B, 0x5D, 0x2E
_LETTER = ALPHABETIC | WORD_CHARACTER
_MARK, _END, _CLOSER = 1, 2, 4  # bits of `_kind`


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _kind(code: int) -> int:
    """Return what a character is at the end of a line (`_MARK`) and of a sentence."""
    if code == 0x2E or code == 0x21 or code == 0x3F:  # . ! ?
        return _MARK | _END
    if code == 0x22 or code == 0x201D:  # " ”
        return _MARK | _CLOSER
    if code == 0x27 or code == 0x2019 or code == 0x29 or code == 0x5D:  # ' ’ ) ]
        return _CLOSER
    return 0


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _citation(data: Bytes, at: int, end: int, names: Bytes, bounds: Int64s) -> int:
    """Return the past-last byte of a citation mark that begins at the bracket `at`, or `at`."""
    here = at + 1
    while here < end and 0x30 <= data[here] <= 0x39:
        here += 1
    if here < end and data[here] == _CLOSING:
        return here + 1
    for name in range(len(bounds) - 1):
        first, size = bounds[name], bounds[name + 1] - bounds[name]
        if at + size > end:
            continue
        same = 0
        while same < size and data[at + same] == names[first + same]:
            same += 1
        if same == size:
            return at + int(size)
    return at


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _sentences(
    data: Bytes,
    begin: int,
    end: int,
    flags: Bytes,
    left_out: Int64s,
    used: int,
    names: Bytes,
    name_bounds: Int64s,
    punctuated: bool,
    fewest_words: int,
    longest_word: int,
    enough: int,
) -> int:
    """Return the number of sentences in the lines that count, or `enough` or a few more.

    The numbers of the lines that a phrase keeps out are the first `used` of `left_out`, ascending.
    """
    sentences = 0
    line = 0
    next_out = 0
    at = begin
    while at <= end and sentences < enough:
        words = length = longest = 0
        dots = kind = 0  # of the last character that is not white space
        own = 0  # sentences of this line
        ended = gap = False  # whether a sentence has ended, and white space came behind it
        while at < end and data[at] != _NEWLINE:
            code, size = np.int64(data[at]), 1
            if code >= 0x80:
                code, size = code_point(data, at, end)
            elif code == _BRACKET:
                past = _citation(data, at, end, names, name_bounds)
                if past > at:
                    at = past
                    continue
            flag = flags[code]
            if flag == _LETTER and code < 0x80 and not gap:  # a run of letters at once
                start = at
                while at < end and data[at] < 0x80 and flags[data[at]] == _LETTER:
                    at += 1
                length += at - start
                longest = max(longest, length)
                dots = kind = 0
                ended = False
                continue
            at += size
            if flag & WHITESPACE:
                words += length > 0
                length = 0
                gap = ended
                if dots > 0:
                    dots = -dots  # a dot behind white space begins a new run
                continue
            length += 1
            longest = max(longest, length)
            if gap:
                own += 1
                ended = gap = False
            dots = (max(dots, 0) + 1) if code == _DOT else 0
            kind = _kind(code)
            ended = (kind & _END) != 0 or (ended and (kind & _CLOSER) != 0)
        words += length > 0
        at += 1
        while next_out < used and left_out[next_out] < line:
            next_out += 1
        if (
            words > 0
            and words >= fewest_words
            and longest <= longest_word
            and not (next_out < used and left_out[next_out] == line)
            and (not punctuated or ((kind & _MARK) != 0 and abs(dots) < 3))
        ):
            sentences += own + 1  # the last one ends with the line
        line += 1
    return sentences


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def page_rules(
    data: Bytes,
    offsets: Int64s,
    documents: Int64s,
    flags: Bytes,
    entries: UInt32s,
    expansions: UInt32s,
    begins: Flags,
    heads: Int32s,
    rows: Int32s,
    phrases: Bytes,
    bounds: Int64s,
    alone: Flags,
    of_page: int,
    names: Bytes,
    name_bounds: Int64s,
    punctuated: bool,
    fewest_words: int,
    longest_word: int,
    fewest_sentences: int,
) -> Int64s:
    """Return int64[documents]: the number of the first rule that each breaks, from 1, or 0.

    Args:
        data: The texts' UTF-8 bytes.
        offsets: Where each text begins.
        documents: The texts to look at.
        flags: Of `corpus.text.unicode_tables.character_flags`.
        entries: Of the kind of words "whitespace".
        expansions: Likewise.
        begins: With the next four the phrases, a `PhraseTable`: first those that cost the page,
            then those that cost their line.
        heads: See `begins`.
        rows: See `begins`.
        phrases: See `begins`.
        bounds: See `begins`.
        alone: bool[phrases]; whether one counts only where no word goes on at its ends.
        of_page: How many phrases cost the page.
        names: The citation marks, one after the other.
        name_bounds: Where each begins in `names`.
        punctuated: Whether a line has to end in a mark.
        fewest_words: Of a line that counts.
        longest_word: Of a line that counts, in characters.
        fewest_sentences: Of a page, in the lines that count.

    Returns:
        k for the k-th phrase of the page, and `of_page` + 1 for too few sentences.
    """
    broken = np.zeros(len(documents), dtype=np.int64)
    longest = 0
    for index in range(len(documents)):
        row = documents[index]
        longest = max(longest, offsets[row + 1] - offsets[row])
    scratch = np.empty(lower_room(longest), dtype=np.uint8)
    left_out = np.empty(64, dtype=np.int64)
    for index in range(len(documents)):
        begin, end = offsets[documents[index]], offsets[documents[index] + 1]
        size = lowered(data, begin, end, entries, expansions, scratch)
        scratch[size] = 0
        found, used = page_phrase(
            scratch, size, flags, begins, heads, rows, phrases, bounds, alone, of_page, left_out
        )
        while used < 0:
            left_out = np.empty(4 * len(left_out), dtype=np.int64)
            found, used = page_phrase(
                scratch, size, flags, begins, heads, rows, phrases, bounds, alone, of_page, left_out
            )
        if found < of_page:
            broken[index] = found + 1
            continue
        lines_of(scratch, left_out, used)
        sentences = _sentences(
            data, begin, end, flags, left_out, used, names, name_bounds, punctuated, fewest_words,
            longest_word, fewest_sentences,
        )  # fmt: skip
        if sentences < fewest_sentences:
            broken[index] = of_page + 1
    return broken

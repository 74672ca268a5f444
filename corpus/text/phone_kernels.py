"""The compiled search of `corpus.text.pii` for phone numbers, in one pass.

A number is groups of digits with single signs between them. From each place where one may begin at
most nine groups are looked at, so that the time is linear in any text.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpus.text.byte_kernels import byte_at, is_digit, is_letter, is_word, word_before
from corpus.text.kernel_cache import njit

_GROUPS = 9  # of digits in a phone number
# What stands between two groups of digits; bits that add up.
_SPACE, _DASH, _DOT, _SLASH, _OPEN, _CLOSE = 1, 2, 4, 8, 16, 32


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _joint(data: Any, at: Any, end: Any) -> Any:
    """Return where the next group of digits begins, and what stands before it; -1 for none."""
    kind = 0
    if at < end and data[at] == 41:
        kind |= _CLOSE
        at += 1
    signs = 0
    while at < end and signs < 4:
        c = data[at]
        if c == 32 or (c == 0xC2 and at + 1 < end and data[at + 1] == 0xA0):
            kind |= _SPACE
            at += 1 if c == 32 else 2
        elif c == 45:
            kind |= _DASH
            at += 1
        elif c == 0xE2 and at + 2 < end and data[at + 1] == 0x80 and 0x90 <= data[at + 2] <= 0x93:
            kind |= _DASH
            at += 3
        elif c in (46, 47):
            kind |= _DOT if c == 46 else _SLASH
            at += 1
        elif c == 40:
            kind |= _OPEN
            at += 1
        else:
            break
        signs += 1
    if at >= end or not is_digit(data[at]) or kind == 0 or (kind & _DOT and kind != _DOT):
        return -1, 0
    return at, kind


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _closes(data: Any, stop: Any, joint: Any, begin: Any, end: Any) -> Any:
    """Say whether a number may end here: `joint` is what leads on to more digits, or 0."""
    if joint:
        return joint & (_DASH | _DOT | _SLASH) == 0
    after, later = byte_at(data, stop, begin, end), byte_at(data, stop + 1, begin, end)
    if after | 32 == 120 and is_digit(later):
        return True  # an extension: x45
    if is_word(after) or after in (64, 37, 36) or (after == 45 and is_letter(later)):
        return False
    return not (after in (44, 46, 47, 58, 45) and is_digit(later))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _phone(data: Any, at: Any, begin: Any, end: Any, words: Any, groups: Any) -> Any:
    """Return start and end of the phone number that begins at a digit, `+` or `(`; or -1 twice.

    `groups` is scratch: for each group of digits its start, its end, and what follows on it.
    """
    first = at
    before, earlier = byte_at(data, at - 1, begin, end), byte_at(data, at - 2, begin, end)
    if is_word(before) or before in (35, 36, 37, 38, 43, 44, 45, 46, 47, 61, 64):
        return -1, -1
    currency = before == 0xAC and earlier == 0x82  # the euro's last bytes
    if currency or (before in (0xA3, 0xA5) and earlier == 0xC2):
        return -1, -1
    bracket = data[at] == 40
    at += bracket
    plus = at < end and data[at] == 43
    at += plus
    if at >= end or not is_digit(data[at]):
        return -1, -1
    number = digits = 0
    opened = bracket
    while number < _GROUPS and digits <= 17:
        start = at
        while at < end and is_digit(data[at]) and at - start < 18:
            at += 1
        digits += at - start
        groups[number, 0], groups[number, 1] = start, at
        following, kind = _joint(data, at, end)
        # A bracket is round the area, or round the zero behind the country: others end a number.
        if (kind & _CLOSE and not opened) or (kind & _OPEN and (number > 0 or bracket)):
            following, kind = -1, 0
        opened = (opened and not kind & _CLOSE) or kind & _OPEN != 0
        groups[number, 2] = kind
        number += 1
        if following < 0:
            break
        at = following
    if digits < 7 or _is_quad(groups, number):
        return -1, -1
    zero = groups[0, 0]
    lead, size = data[zero], groups[0, 1] - zero
    second = data[zero + 1] if size > 1 else np.uint8(48)
    dated = number > 1 and _dated(data, groups, number)
    word, word_start = word_before(data, first, begin, words)
    if word == 3:  # "phone no. ..."
        word = word_before(data, word_start, begin, words)[0]
        word = 1 if word == 1 else 2
    called = word == 1
    in_row = before == 32 and is_digit(earlier)
    last = -1
    if plus or called:
        least = 7 if called else 9
        if lead != 48 or not plus:
            last = _longest(data, groups, number, least, 15, begin, end)
        if dated and not plus:
            last = -1
    if last < 0 and not plus and word != 2:
        last = _american(data, groups, number, bracket, begin, end)
        if last < 0 and lead == 48 and second != 48 and 2 <= size <= 6 and not (dated or in_row):
            last = _longest(data, groups, number, 9, 12, begin, end)
            if last > 0 and not _of_area_and_number(groups, last):
                last = -1
            last = -1 if last == 0 else last
        abroad = lead == second == 48 and 3 <= size <= 5 and data[zero + 2] != 48
        if last < 0 and abroad and not in_row:
            last = _longest(data, groups, number, 11, 17, begin, end)
            last = -1 if last == 0 else last
    if last < 0:
        return -1, -1
    if bracket:  # one that closes behind the number is not a part of it
        inside = False
        for group in range(last):
            inside = inside or groups[group, 2] & _CLOSE != 0
        first += 0 if inside else 1
    return first, groups[last, 1]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _is_quad(groups: Any, number: Any) -> Any:
    """Say whether groups look like an IP address: 10.34.130.14."""
    quad = number == 4
    for group in range(number if quad else 0):
        quad = quad and groups[group, 1] - groups[group, 0] <= 3
        quad = quad and (group == 3 or groups[group, 2] == _DOT)
    return quad


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _dated(data: Any, groups: Any, number: Any) -> Any:
    """Say whether the digits begin with a date: 1.2.2003, 2003-02-01, 02/2003, 2003-2004."""
    one, two = groups[0, 1] - groups[0, 0], groups[1, 1] - groups[1, 0]
    three = groups[2, 1] - groups[2, 0] if number > 2 else 0
    for group, size in ((0, one), (1, two), (2, three)):
        if size == 4 and group < number:
            start = groups[group, 0]
            century = (data[start] - 48) * 10 + data[start + 1] - 48
            if century in (18, 19, 20):
                if group == 0 and (two == 4 or (two == 2 and three == 2)):
                    return True
                if group == 1 and one <= 2:
                    return True
                if group == 2 and one <= 2 and two <= 2:
                    return True
    return False


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _longest(
    data: Any, groups: Any, number: Any, least: Any, most: Any, begin: Any, end: Any
) -> Any:
    """Return the last group with which a number of so many digits may end, or -1."""
    last = -1
    digits = 0
    for group in range(number):
        digits += groups[group, 1] - groups[group, 0]
        if digits > most:
            break
        joint = groups[group, 2] if group + 1 < number else 0
        if digits >= 9 and joint == _SLASH | _SPACE:
            return group  # another number follows
        if digits >= least and _closes(data, groups[group, 1], joint, begin, end):
            last = group
    return last


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _american(data: Any, groups: Any, number: Any, bracket: Any, begin: Any, end: Any) -> Any:
    """Return the last group of a number of the North American plan, or -1: (NXX) NXX-XXXX."""
    base = 0
    if number > 3 and groups[0, 1] - groups[0, 0] == 1 and data[groups[0, 0]] == 49:
        bracket = groups[0, 2] & _OPEN != 0
        base = 1
    if number < base + 3:
        return -1
    for group, size in ((base, 3), (base + 1, 3), (base + 2, 4)):
        if groups[group, 1] - groups[group, 0] != size:
            return -1
        if size == 3 and data[groups[group, 0]] < 50:
            return -1
    one, two = groups[base, 2], groups[base + 1, 2]
    closed = bracket and one & _CLOSE != 0
    even = one == two and (one in (_DASH, _DOT) or (one == _SPACE and base == 1))
    mixed = two == _DASH and one in (_SPACE, _SLASH, _SPACE | _SLASH)
    if not ((closed and two in (_DASH, _DOT, _SPACE)) or even or mixed):
        return -1
    joint = groups[base + 2, 2] if number > base + 3 else 0
    return base + 2 if _closes(data, groups[base + 2, 1], joint, begin, end) else -1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _of_area_and_number(groups: Any, last: Any) -> Any:
    """Say whether groups look like an area and a number, or are five pairs with one sign between.

    0171 1234567 and 01 23 45 67 89 do; 08 30 12 15 does not, nor does 07102-2992, a ZIP+4 code.
    """
    if last == 1 and groups[0, 2] == _DASH:
        sizes = (groups[0, 1] - groups[0, 0], groups[1, 1] - groups[1, 0])
        if sizes == (5, 4):
            return False
    largest = 0
    pairs = last == 4
    for group in range(last + 1):
        size = groups[group, 1] - groups[group, 0]
        if group > 0:
            largest = max(largest, size)
        pairs = pairs and size == 2
        if group < last:
            pairs = pairs and groups[group, 2] == groups[0, 2]
            if groups[group, 2] & _OPEN:
                return False
    return pairs or largest >= 3


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def find(data: Any, offsets: Any, words: Any) -> Any:
    """Return int64 (spans, 3): row, first and past-last byte in `data`; in order, disjoint.

    Args:
        data: uint8; the bytes of all texts, UTF-8.
        offsets: int64 (n + 1,); where each text begins in them, and where the last one ends.
        words: The table of `word_before`; class 1 says that a phone number follows, 2 that none
            does, 3 that the word before it says so.
    """
    spans = np.empty((256, 3), np.int64)
    groups = np.zeros((_GROUPS, 3), np.int64)
    used = 0
    for row in range(offsets.size - 1):
        text, end = offsets[row], offsets[row + 1]
        at = text
        while True:
            # The way through plain text, so no calls here: they cost more than all the rest.
            while at < end and not (48 <= data[at] <= 57 or data[at] == 43 or data[at] == 40):
                at += 1
            if at >= end:
                break
            c = data[at]
            start, stop = _phone(data, at, text, end, words, groups)
            if stop < 0:
                at += 1
                while c >= 48 and at < end and 48 <= data[at] <= 57:
                    at += 1
                continue
            if used == len(spans):
                grown = np.empty((2 * used, 3), np.int64)
                grown[:used] = spans
                spans = grown
            spans[used, 0], spans[used, 1], spans[used, 2] = row, start, stop
            used += 1
            at = stop
    return spans[:used].copy()

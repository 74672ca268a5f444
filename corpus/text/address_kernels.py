"""The compiled search of `corpus.text.pii` for email and IP addresses, in one pass.

Each place of a text is looked at from a bounded number of other places (an email address has at
most 64 + 254 bytes), so that the time is linear in any text.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpus.text.byte_kernels import byte_at, is_digit, is_letter, is_word, word_before
from corpus.text.kernel_cache import njit

EMAIL, IP = 0, 1  # the kinds of a span
_LOCAL, _DOMAIN, _LABEL = 64, 253, 63  # bytes: RFC 5321 and RFC 1035
_NOT_A_DOMAIN = ("png", "jpg", "gif", "svg", "css", "js", "htm", "jpeg", "webp", "html", "json")
_FILES = tuple(int.from_bytes(name.encode(), "big") for name in _NOT_A_DOMAIN)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _hex(c: Any) -> Any:
    """Return the value of a hexadecimal digit, or -1."""
    if 48 <= c <= 57:
        return np.int64(c) - 48
    if 97 <= (c | 32) <= 102:
        return np.int64(c | 32) - 87
    return np.int64(-1)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _name_after(data: Any, at: Any, end: Any) -> Any:
    """Return the end of a run of letters, digits and hyphens: a label of a domain.

    Letters are those of ASCII and the Latin ones of two bytes (U+00C0 to U+024F).
    """
    start = at
    while at < end and at - start <= _LABEL:
        c = data[at]
        if 0xC3 <= c <= 0xC9 and at + 1 < end and data[at + 1] & 0xC0 == 0x80:
            at += 2
        elif (is_word(c) and c != 95) or c == 45:
            at += 1
        else:
            break
    return at


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _email(data: Any, sign: Any, begin: Any, end: Any) -> Any:
    """Return start and end of the email address around an `@`, or -1 twice."""
    start = sign
    while start > begin and sign - start <= _LOCAL:
        c = data[start - 1]
        if is_word(c) or c in (46, 37, 43, 45):  # . % + -
            start -= 1
        elif c & 0xC0 == 0x80 and start - 1 > begin and 0xC3 <= data[start - 2] <= 0xC9:
            start -= 2
        else:
            break
    if sign - start > _LOCAL:
        return -1, -1
    while start < sign and data[start] in (46, 37, 43, 45):
        start += 1
    if start == sign or data[sign - 1] == 46:
        return -1, -1
    at = sign + 1
    found = -1
    labels = 0
    while at < end:
        stop = _name_after(data, at, end)
        if stop == at or stop - at > _LABEL or stop - sign > _DOMAIN:
            break
        if data[at] == 45 or data[stop - 1] == 45:
            break
        labels += 1
        letters = stop - at >= 2
        coded = np.int64(0)
        for place in range(at, stop):
            letters = letters and is_letter(data[place])
            coded = (coded << 8 | np.int64(data[place] | 32)) & 0xFFFFFFFFFF
        punycode = stop - at > 4 and (data[at] | 32) == 120 and data[at + 2] == data[at + 3] == 45
        is_file = False
        for name in _FILES:
            is_file = is_file or coded == name
        if labels >= 2 and (letters or punycode) and not is_file:
            found = stop
        if stop < end and data[stop] == 46:
            at = stop + 1
        else:
            break
    return (start, found) if found >= 0 else (-1, -1)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _ip4(data: Any, at: Any, begin: Any, end: Any, words: Any) -> Any:
    """Return the end of a public IPv4 address, or -1."""
    before, earlier = byte_at(data, at - 1, begin, end), byte_at(data, at - 2, begin, end)
    if is_word(before) or before == 46:
        return -1
    # A path, a product and its version, a range or a number with a comma in it.
    if before in (47, 45, 44) and (is_word(earlier) or earlier == 46):
        return -1
    start = at
    value = np.int64(0)
    large = 0
    for part in range(4):
        first = at
        number = np.int64(0)
        while at < end and is_digit(data[at]) and at - first < 3:
            number = number * 10 + np.int64(data[at]) - 48
            at += 1
        if at == first or number > 255 or (at - first > 1 and data[first] == 48):
            return -1
        if number > 9:
            large += 1
        value = value * 256 + number
        if part < 3:
            if at >= end or data[at] != 46:
                return -1
            at += 1
    after, later = byte_at(data, at, begin, end), byte_at(data, at + 1, begin, end)
    if is_word(after) or after == 64 or (after == 46 and is_digit(later)):
        return -1
    if after == 45 and is_letter(later):
        return -1
    if large < 2 or not _is_public(value):  # 1.2.3.4 is a version or a section; 2 in 10,000 are not
        return -1
    return -1 if word_before(data, start, begin, words)[0] == 2 else at


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _is_public(value: Any) -> Any:
    """Say whether an IPv4 address is a host's in the public network (IANA, RFC 6890)."""
    high, two, three = value >> 24, value >> 16, value >> 8
    special = high in (0, 10, 127) or high >= 224 or two in (0xA9FE, 0xC0A8)
    special = special or two & 0xFFF0 == 0xAC10 or two & 0xFFC0 == 0x6440 or two & 0xFFFE == 0xC612
    return not (special or three in (0xC00000, 0xC00002, 0xC63364, 0xCB0071))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _ip6(data: Any, at: Any, begin: Any, end: Any) -> Any:
    """Return the end of an IPv6 address of 2000::/3, where the public ones are, or -1."""
    before = byte_at(data, at - 1, begin, end)
    if is_word(before) or before in (46, 58):
        return -1
    groups = 0
    short = False
    first = second = np.int64(0)
    while True:
        start = at
        value = np.int64(0)
        while at < end and at - start < 4 and _hex(data[at]) >= 0:
            value = value << 4 | _hex(data[at])
            at += 1
        if at > start:
            groups += 1
            if groups == 1:
                first = value
            elif groups == 2 and not short:
                second = value
        if at + 1 < end and data[at] == 58 and data[at + 1] == 58 and not short:
            short = True
            at += 2
            if at >= end or _hex(data[at]) < 0:
                break
        elif at + 1 < end and data[at] == 58 and _hex(data[at + 1]) >= 0 and groups < 8:
            at += 1
        else:
            break
    after, later = byte_at(data, at, begin, end), byte_at(data, at + 1, begin, end)
    if is_word(after) or (after in (46, 58) and _hex(later) >= 0):
        return -1
    whole = groups <= 7 if short else groups == 8
    if not whole or first >> 13 != 1 or (first == 0x2001 and second in (0xDB8, 0)):
        return -1
    return -1 if first == 0x3FFF and second < 0x1000 else at


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def find(data: Any, offsets: Any, emails: Any, ips: Any, words: Any) -> Any:
    """Return int64 (spans, 4): row, first and past-last byte in `data`, kind; in order, disjoint.

    Args:
        data: uint8; the bytes of all texts, UTF-8.
        offsets: int64 (n + 1,); where each text begins in them, and where the last one ends.
        emails: Whether to look for email addresses.
        ips: Whether to look for IP addresses.
        words: The table of `word_before`; class 2 says that no address follows.
    """
    spans = np.empty((256, 4), np.int64)
    used = 0
    for row in range(offsets.size - 1):
        text, end = offsets[row], offsets[row + 1]
        at = free = text  # `free`: what is not part of a span yet
        while True:
            # The way through plain text, so no calls here: they cost more than all the rest.
            while at < end and not (data[at] == 64 or 48 <= data[at] <= 57):
                at += 1
            if at >= end:
                break
            c = data[at]
            start, stop, kind = at, np.int64(-1), EMAIL
            if c == 64:
                if emails:
                    start, stop = _email(data, at, free, end)
            elif ips:
                kind = IP
                stop = _ip4(data, at, text, end, words)
                if stop < 0 and (c == 50 or c == 51):
                    stop = _ip6(data, at, text, end)
            if stop < 0:
                at += 1
                continue
            if used == len(spans):
                grown = np.empty((2 * used, 4), np.int64)
                grown[:used] = spans
                spans = grown
            spans[used, 0], spans[used, 1], spans[used, 2], spans[used, 3] = row, start, stop, kind
            used += 1
            at = free = stop
    return spans[:used].copy()

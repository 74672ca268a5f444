"""Personal data: what is masked in lines written for it, and what masking does to any text.

`pii_lines.txt` has 206 lines with every address and number in braces, {kind:like this}; many lines
hold only what looks like one. The addresses, names and numbers are made up or of no person.
"""

from __future__ import annotations

import ipaddress
import random
import re
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.text import pii

FIXTURE = Path(__file__).parent / "pii_lines.txt"
MARKED = re.compile(r"\{(email|ip|phone):([^}]*)\}")
Span = tuple[int, int, str]


def found(texts: list[str], kinds: tuple[str, ...] = pii.KINDS) -> list[list[Span]]:
    """Return what is found in each text: bytes and kinds."""
    spans: list[list[Span]] = [[] for _ in texts]
    for row, start, end, kind in pii.find(pa.array(texts, pa.large_string()), kinds).tolist():
        spans[row].append((start, end, pii.KINDS[kind]))
    return spans


def masked(text: str, *kinds: str) -> str:
    return str(pii.mask(pa.array([text]), kinds or pii.KINDS).texts[0].as_py())


def read_fixture() -> tuple[list[str], list[list[Span]]]:
    plain: list[str] = []
    wanted: list[list[Span]] = []
    for line in FIXTURE.read_text(encoding="utf-8").splitlines():
        text, at, spans = "", 0, []
        for match in MARKED.finditer(line):
            text += line[at : match.start()]
            start = len(text.encode())
            text += match[2]
            spans.append((start, len(text.encode()), match[1]))
            at = match.end()
        plain.append(text + line[at:])
        wanted.append(spans)
    return plain, wanted


def test_lines_written_for_it_are_masked_with_known_precision_and_recall() -> None:
    plain, wanted = read_fixture()
    tally: Counter[tuple[str, str]] = Counter()
    for own, truth in zip(found(plain), wanted, strict=True):
        for kind in pii.KINDS:
            have = {span for span in own if span[2] == kind}
            true = {span for span in truth if span[2] == kind}
            tally[kind, "right"] += len(have & true)
            tally[kind, "missed"] += len(true - have)
            tally[kind, "wrong"] += len(have - true)
    assert len(plain) == 206
    assert dict(tally) == {
        ("email", "right"): 28,
        ("email", "missed"): 2,
        ("email", "wrong"): 2,  # of these two, another stretch than the true one
        ("ip", "right"): 24,
        ("ip", "missed"): 0,
        ("ip", "wrong"): 0,
        ("phone", "right"): 64,
        ("phone", "missed"): 0,
        ("phone", "wrong"): 4,
    }


def test_a_mark_stands_where_each_was_and_all_else_stays() -> None:
    text = "Ann <ann@example.com>, +49 89 99998123, é 93.184.216.34."
    assert masked(text) == "Ann <|||EMAIL_ADDRESS|||>, |||PHONE_NUMBER|||, é |||IP_ADDRESS|||."
    assert masked(text, "email") == text.replace("ann@example.com", "|||EMAIL_ADDRESS|||")
    assert masked(text, "phone") == text.replace("+49 89 99998123", "|||PHONE_NUMBER|||")
    assert masked(text, "ip", "email") == masked(masked(text, "ip"), "email")
    result = pii.mask(pa.array([text, "", text]), ["phone", "ip"])
    assert result.counts == {"ip": 2, "phone": 2}
    assert result.texts.type == pa.large_string()


def test_names_of_64_bytes_are_the_longest_and_spans_never_share_a_byte() -> None:
    name = "a" * 64
    assert masked(f"to {name}@example.com") == "to |||EMAIL_ADDRESS|||"
    assert masked(f"to {name}a@example.com") == f"to {name}a@example.com"
    assert masked("a@bb.com@cc.com") == "|||EMAIL_ADDRESS|||@cc.com"
    assert masked("93.184.216.34@example.com") == "|||EMAIL_ADDRESS|||"
    assert masked("+49171.3920012.joe@example.com") == "+|||EMAIL_ADDRESS|||"


@pytest.mark.parametrize(
    "text", ["call 12.05.1987 then", "tel 2003-01-02", "phone 2004-2005 1", "01.02.2003 12 1234"]
)
def test_dates_are_no_numbers_even_behind_a_word_for_a_phone(text: str) -> None:
    assert masked(text) == text


def test_columns_give_what_their_texts_give_alone_whatever_their_type_and_offset() -> None:
    plain, _ = read_fixture()
    alone = [masked(text) for text in plain]
    for kind in (pa.string(), pa.large_string()):
        column = pa.array(["joe@example.", *plain, "+49 89"], kind)
        assert pii.mask(column, pii.KINDS).texts.to_pylist()[1:-1] == alone
        part = pii.mask(column.slice(4, 9), pii.KINDS)
        assert part.texts.to_pylist() == alone[3:12]
        assert pii.mask(column[:0], pii.KINDS).texts.to_pylist() == []
    # Nothing reaches over the border of two texts.
    border = pii.mask(pa.array(["mail joe@", "example.com", "+49 89", " 99998123"]), pii.KINDS)
    assert sum(border.counts.values()) == 0


# What IANA lists as special, and the multicast and reserved blocks.
SPECIAL = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
]


@pytest.mark.parametrize("network", SPECIAL)
def test_only_hosts_of_the_public_network_are_masked(network: str) -> None:
    """Addresses at both ends of each special range, within and without."""
    blocks = [ipaddress.ip_network(one) for one in SPECIAL]
    block = ipaddress.ip_network(network)
    first, last = int(block.network_address), int(block.broadcast_address)
    for number in (
        first,
        first + 11,
        last - 11,
        last,
        first - 1,
        last + 1,
        first - 257,
        last + 257,
    ):
        if not 0 <= number < 2**32:
            continue
        address = ipaddress.IPv4Address(number)
        large = sum(byte > 9 for byte in address.packed) > 1
        public = large and not any(address in one for one in blocks)
        wanted = "at |||IP_ADDRESS||| now" if public else f"at {address} now"
        assert masked(f"at {address} now", "ip") == wanted


def test_addresses_drawn_at_random_are_judged_as_the_standard_library_judges_them() -> None:
    generator = random.Random(1)
    for _ in range(3000):
        four = ipaddress.IPv4Address(generator.randrange(2**32))
        large = sum(byte > 9 for byte in four.packed) > 1
        wanted = four.is_global and not four.is_multicast and large
        assert (masked(f"[{four}]", "ip") == "[|||IP_ADDRESS|||]") is wanted, four
        six = ipaddress.IPv6Address((1 << 125) | generator.randrange(2**125))
        if generator.random() < 0.5:  # with a run of zeros, which is written short
            six = ipaddress.IPv6Address(int(six) & ~(0xFFFFFFFF << generator.choice([16, 32, 64])))
        for written in (str(six), six.exploded, str(six).upper()):
            assert masked(f"[{written}]:80", "ip") == "[|||IP_ADDRESS|||]:80", written
        private = ipaddress.IPv6Address((0xFD << 120) | generator.randrange(2**120))
        assert masked(f"[{private}]", "ip") == f"[{private}]"


PIECES = st.sampled_from(
    [
        *[
            "a",
            "B",
            "1",
            "23",
            "456",
            "7890",
            "0171",
            "+49",
            "(",
            ")",
            "-",
            ".",
            "/",
            ":",
            "@",
            ",",
            "=",
            "_",
            "x",
            "é",
            "ß",
            "漢",
            "😀",
            "€",
            "tel",
            "isbn",
            "no",
            "v",
            "00",
            "2003",
            "|",
        ],
        *[
            "joe@example.com",
            "example.org",
            "93.184.216.34",
            "2a00:1450::8a",
            "212-555-0123",
            "12.05.",
        ],
        *(" ", "\u00a0", "\u2013", "\n", "\0"),
    ]
)


@settings(max_examples=300)
@given(st.lists(PIECES, max_size=25).map("".join), st.sets(st.sampled_from(pii.KINDS)))
def test_masking_any_text_changes_only_what_it_finds(text: str, kinds: set[str]) -> None:
    [spans] = found([text], tuple(kinds))
    data, pieces, at = text.encode(), [], 0
    for start, end, kind in spans:
        assert at <= start < end <= len(data)
        assert kind in kinds
        pieces += [data[at:start], pii.MARKS[kind].encode()]
        at = end
    result = pii.mask(pa.array([text]), sorted(kinds))
    assert result.texts[0].as_py() == b"".join([*pieces, data[at:]]).decode()
    assert sum(result.counts.values()) == len(spans)
    again = pii.mask(result.texts, sorted(kinds)).texts[0].as_py()
    for mark in pii.MARKS.values():  # a mark is never taken for anything itself
        assert again.count(mark) >= result.texts[0].as_py().count(mark)


@pytest.mark.parametrize(
    "unit",
    ["@", "a@", "1", "1 ", "01 ", "+1", "(", "a.b@a.", "25.", "2001:", "é@", "isbn 1234567 "],
)
def test_megabytes_of_what_begins_like_an_address_hold_none(unit: str) -> None:
    """In quadratic time this would take hours."""
    text = unit * (2_000_000 // len(unit))
    result = pii.mask(pa.array([text]), pii.KINDS)
    assert sum(result.counts.values()) == 0
    assert result.texts[0].as_py() == text


def test_kinds_that_are_none_and_columns_with_nulls_are_refused() -> None:
    with pytest.raises(ValueError, match="'names'"):
        pii.mask(pa.array(["x"]), ["email", "names"])
    with pytest.raises(ValueError, match="null"):
        pii.mask(pa.array(["x", None]), ["email"])

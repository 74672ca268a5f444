"""Any bytes at all: no crash, no unbounded time. The targets say what else has to hold."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import fuzz_targets
from tests.fuzz_targets import HTTP, PAGE, URL, WARC

EXAMPLES = 20_000 if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" else 150
budget = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def made_of(words: list[bytes], head: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Return bytes that are mostly words that mean something, in any order, some repeated."""
    word = st.sampled_from(words)
    piece = st.one_of(word, word, word, st.binary(max_size=12))
    many = st.builds(lambda one, times: one * times, piece, st.integers(2, 200))
    return st.builds(
        lambda first, rest: first + b"".join(rest),
        head,
        st.lists(st.one_of(piece, piece, piece, many), max_size=30),
    )


@budget
@given(made_of(WARC, st.binary(min_size=1, max_size=1)))
def test_archive_of_anything_is_read_to_its_end(data: bytes) -> None:
    fuzz_targets.timed("archive", data)


@budget
@given(made_of(WARC[:6], st.binary(min_size=1, max_size=1)), st.integers(0, 60))
def test_archive_with_records_of_any_length_is_read_to_its_end(data: bytes, length: int) -> None:
    head = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: %d\r\n\r\n" % length
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>a word"
    fuzz_targets.timed("archive", data + (head + block + b"\r\n\r\n\r\n") * 6 + data)


@budget
@given(made_of(HTTP, st.just(b"HTTP/1.1 200 OK\r\n")))
def test_response_of_anything_is_parsed(data: bytes) -> None:
    fuzz_targets.timed("response", data)


@budget
@given(made_of(PAGE, st.sampled_from([b"", b"utf-8", b"shift_jis", b"utf-16", b"no-such"])))
def test_page_of_anything_gives_text_that_can_be_stored(data: bytes) -> None:
    fuzz_targets.timed("page", data)


@budget
@given(made_of(URL, st.sampled_from([b"", b"http://", b"https://example.com/"])))
def test_url_of_anything_has_a_key_of_its_own_or_none(data: bytes) -> None:
    fuzz_targets.timed("url", data)


# What makes a pattern try again: each took seconds, or would without a bound on its repetitions.
AGAIN = {
    "page, charset behind white space": (
        "page", b"\n" + b"<meta " * 85 + b"charset=" + b" " * 3500,
    ),
    "page, many metas": ("page", b"\n" + b"<meta charset" * 20_000),
    "page, many titles": ("page", b"\n" + b"<title " * 80_000),
    "page, title of references": ("page", b"\n<title>" + b"&#x" * 4000),
    "response, charset behind white space": (
        "response", b"HTTP/1.1 200\r\nContent-Type: " + b"charset" * 70 + b" " * 500_000,
    ),
    "response, many headers": ("response", b"HTTP/1.1 200\r\n" + b"a:b\r\n" * 100_000),
    "response, folded headers": ("response", b"HTTP/1.1 200\r\na: b\r\n" + b" c\r\n" * 100_000),
    "response, carriage returns": ("response", b"HTTP/1.1 200\r\n" + b"\r" * 500_000),
    "response, chunks": (
        "response",
        b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 100_000,
    ),
    "archive, ARC lines of spaces": (
        "archive",
        b"2" + (b"http://a 1.1.1.1 20080430204825 " + b" " * 7000 + b"x 5\nwords\r\n\r\n\r\n") * 40,
    ),
    "archive, starts alone": ("archive", b"0" + b"WARC/1.0\r\n" * 20_000),
    "archive, members of nothing": ("archive", b"2" + b"\r\n\r\n\r\n \r\n" * 5_000),
    "archive, magic numbers": ("archive", b"0" + b"\x1f\x8b\x08" * 50_000),
    "url, percent signs": ("url", b"http://a.example/" + b"%" * 8000),
    "url, dots": ("url", b"http://a.example" + b"/.." * 2700),
    "url, labels": ("url", b"http://" + b"a." * 4000),
    "url, letters beyond ASCII": ("url", b"http://" + "ü".encode() * 4000),
}  # fmt: skip


@pytest.mark.parametrize("name", AGAIN)
def test_input_made_to_take_long_takes_no_longer_than_its_size(name: str) -> None:
    fuzz_targets.timed(*AGAIN[name])

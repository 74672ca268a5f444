"""Keys of URLs."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.sources import urls


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a/b?x=1&y=2",
        "https://example.com/a/b?x=1&y=2",
        "HTTPS://WWW.EXAMPLE.COM/a/b?x=1&y=2",
        "https://www2.example.com/a/b?x=1&y=2",
        "https://user:secret@example.com:443/a/b/?x=1&y=2#top",
        "http://example.com.:80/a/./c/../b?y=2&x=1",
        "https://example.com:80/a/b?y=2&x=1",
        "http://example.com/%61/b?x=1&utm_source=reddit&y=2&fbclid=Q&srsltid=R",
        " http://example.com/a/b\n?x=1&&y=2 ",
        "http://example.com/a/c/%2E./b?utm%5Fsource=a&y=2&x=1",
    ],
)
def test_key_of_one_page_under_many_addresses_is_one(url: str) -> None:
    assert urls.key(url) == "example.com/a/b?x=1&y=2"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("http://example.com/a", "http://example.com/A"),
        ("http://example.com/?id=1", "http://example.com/?id=2"),
        ("http://example.com/a%2Fb", "http://example.com/a/b"),
        ("http://example.com:8080/", "http://example.com/"),
        ("http://news.example.com/", "http://example.com/"),
        ("http://example.com/?ref=a", "http://example.com/"),
    ],
)
def test_key_of_different_pages_differs(first: str, second: str) -> None:
    assert urls.key(first) != urls.key(second)


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://example.com", "example.com"),
        ("http://example.com?", "example.com"),
        ("http://www.com/", "www.com"),
        ("http://bücher.example/ü?q=ä b", "xn--bcher-kva.example/%C3%BC?q=%C3%A4%20b"),
        ("http://example.com/%zz%c3%bc", "example.com/%25zz%C3%BC"),
        ("http://example.com/\udcff?{=1&'=2", "example.com/%EF%BF%BD?%7B=1&'=2"),
        ("http://[2001:DB8::1]:8080/x", "[2001:db8::1]:8080/x"),
        ("http://192.0.2.7/", "192.0.2.7"),
    ],
)
def test_key_is_written_in_one_way(url: str, key: str) -> None:
    assert urls.key(url) == key


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "ftp://example.com/", "javascript:alert(1)", "http://", "http://[::1",
        "http://example.com:99999/", "http://exa mple.com/", "http://a..b/", "/r/science/1",
        "http://example.com/" + "a" * 10_000, "http://\ud800.example/", "mailto:a@example.com",
    ],
)  # fmt: skip
def test_key_of_no_web_address_is_none(url: str) -> None:
    assert urls.key(url) is None
    assert urls.host_of(url) is None


@given(
    st.one_of(
        st.text(max_size=200),
        st.text(alphabet=string.punctuation + "aA0é\ud800 ", max_size=60).map("http://".__add__),
        st.text(max_size=100).map("http://example.com/".__add__),
    )
)
def test_key_never_raises_and_of_a_key_is_the_key(url: str) -> None:
    key = urls.key(url)
    if key is not None:
        assert urls.key("http://" + key) == key
        key.encode("ascii")


def test_in_domains_takes_sub_domains_and_no_other_hosts() -> None:
    assert urls.in_domains("en.wikipedia.org", {"wikipedia.org"})
    assert urls.in_domains("wikipedia.org", {"wikipedia.org"})
    assert not urls.in_domains("notwikipedia.org", {"wikipedia.org"})
    assert not urls.in_domains("wikipedia.org.example", {"wikipedia.org"})

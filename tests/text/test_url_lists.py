"""Lists of addresses: what falls under an entry, against plain Python."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.text import url_lists
from corpus.text.url_lists import UrlIndex

ADDRESS = re.compile(r"\d+(\.\d+){3}|\d*\.\d*\.\d*\.\d*|\[.*")
UNRESERVED = re.compile(r"%(2[de]|3[0-9]|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9ae])", re.IGNORECASE)


def index_of(*lists: list[str]) -> UrlIndex:
    hashes: dict[int, int] = {}
    for number, entries in enumerate(lists):
        for value in url_lists.entry_hashes(pa.array(entries, pa.string()))[0].tolist():
            hashes.setdefault(value, number)
    ordered = sorted(hashes)
    numbers = np.array([hashes[value] for value in ordered], np.uint16)
    names = [f"list{number}" for number in range(len(lists))]
    return url_lists.url_index(np.array(ordered, np.uint64), numbers, names)


def found(url: str | None, *lists: list[str]) -> str | None:
    said: str | None = url_lists.find(pa.array([url], pa.string()), index_of(*lists))[0].as_py()
    return said


@pytest.mark.parametrize(
    ("url", "entry"),
    [
        ("https://bad.example/", "bad.example"),
        ("http://www.bad.example", "bad.example"),
        ("https://sub.of.BAD.example/page?q=1", "bad.example"),
        ("https://bad.example:8080/x", "bad.example"),
        ("https://user:word@bad.example/x", "bad.example"),
        ("  https://bad.example.\n", "bad.example"),
        ("https://bad.example..:80/", "bad.example"),
        ("//bad.example/x", "bad.example"),
        ("bad.example/x", "bad.example"),
        ("https://b%61d.example/", "bad.example"),
        ("https:\\\\good.example/", None),
        ("https://bad.example\\@good.example/", "bad.example"),
        ("https://good.example@bad.example/", "bad.example"),
        ("https://bad.example@good.example/", None),
        ("https://notbad.example/", None),
        ("https://bad.example.org/", None),
        ("https://example/", None),
        ("https://good.example/?u=bad.example", None),
        ("https://good.example?http://bad.example", None),
        ("https://good.example/#bad.example", None),
        ("https://good.example/bad.example", None),
        ("https://good.example/http://bad.example/", None),
        ("https://site.example/", None),
        ("https://site.example/users/bad", "site.example/users/bad"),
        ("https://site.example/users/bad/", "site.example/users/bad"),
        ("https://site.example/Users/B%61D/page.html", "site.example/users/bad"),
        ("https://site.example/users/bad?x", "site.example/users/bad"),
        ("https://site.example/users/badger", None),
        ("https://site.example/users", None),
        ("https://www.site.example/users/bad#x", "site.example/users/bad"),
        ("https://sub.site.example/users/bad", None),
        ("https://deep.example/~me/c/d/e", "deep.example/~me/c/d"),
        ("https://deep.example/%7Eme/c/d", "deep.example/~me/c/d"),
        ("https://deep.example/~me/c", None),
        ("https://caf%C3%A9.example/x/%C3%A9", None),
        ("https://menu.example/café", "menu.example/caf%c3%a9"),
        ("https://menu.example/CAF%c3%a9/", "menu.example/caf%c3%a9"),
        ("http://192.0.2.7/x", "192.0.2.7"),
        ("http://192.0.2.7:81", "192.0.2.7"),
        ("http://1.192.0.2.7/", None),
        ("http://[2001:DB8::1]:80/", "[2001:db8::1]"),
        ("http://[2001:db8::2]/", None),
        ("https://www.only.example/", "www.only.example"),
        ("https://a.www.only.example/", "www.only.example"),
        ("https://only.example/", "only.example"),
        ("https://other.only.example/", None),
        ("https://bbc.co.uk/", None),
        ("https://co.uk/", "co.uk"),
        ("https://shop.com/", None),
        ("https://x.co.example/", "co.example"),
        ("https://münchen.example/", "xn--mnchen-3ya.example"),
        ("https://a.MÜNCHEN.example/q", "xn--mnchen-3ya.example"),
        ("https://xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("https://bücher.example", "xn--bcher-kva.example"),
        ("https://日本。jp./", "xn--wgv71a.jp"),
        ("https://münchen..example/", None),
        ("https://a.wild.example", "wild.example"),
        ("https://a.dotted.example", "dotted.example"),
        ("https://wild.example", "wild.example"),
        (None, None),
        ("", None),
        ("not a url", None),
        ("http://", None),
        ("mailto:someone@bad.example", "bad.example"),
        ("https://" + "a." * 3000 + "bad.example/", "bad.example"),
        ("https://site.example/" + "a/" * 3000, None),
    ],
)
def test_url_falls_under_its_domain_a_parent_domain_or_a_prefix_of_its_path(
    url: str | None, entry: str | None
) -> None:
    entries = [
        *("bad.example", "https://www.Site.example/users/bad/", "deep.example/%7Eme/c/d?x=1"),
        *("192.0.2.7", "[2001:db8::1]", "http://www.only.example", "co.uk", "com", "co.example"),
        *(
            "münchen.example",
            "xn--bcher-kva.example",
            "日本.jp",
            "*.wild.example",
            ".dotted.example",
        ),
        *("menu.example/caf%C3%A9", "..", "http://", "a..ü"),
    ]
    assert found(url, entries) == (None if entry is None else f"list0: {entry}")


def test_first_list_that_has_an_entry_is_named_and_a_host_comes_before_its_parents() -> None:
    lists = [["parent.example"], ["both.example", "sub.parent.example"], ["both.example"]]
    assert found("http://both.example", *lists) == "list1: both.example"
    assert found("http://x.parent.example", *lists) == "list0: parent.example"
    assert found("http://x.sub.parent.example", *lists) == "list1: sub.parent.example"


def test_entries_that_are_no_address_are_counted() -> None:
    entries = pa.array(["good.example", "", "..", "ü..example", "müller.example", "http:///x"])
    hashes, bad = url_lists.entry_hashes(entries)
    assert len(hashes) == 2
    assert bad == 4


def test_column_with_nulls_wide_hosts_and_many_hits_keeps_its_rows() -> None:
    urls = [
        *(
            "http://a.bad.example",
            None,
            "http://ü.example",
            "http://good.example",
            "",
            "http://x..ü",
        ),
        *(f"http://{i}.bad.example/{'x' * 50}" for i in range(300)),
    ]
    expected = ["list0: bad.example", None, "list0: xn--tda.example", None, None, None]
    column = pa.array(["http://bad.example", *urls], pa.large_string())[1:]
    index = index_of(["bad.example", "ü.example"])
    assert url_lists.find(column, index).to_pylist() == [*expected, *["list0: bad.example"] * 300]
    assert url_lists.find(column[:0], index).to_pylist() == []


@pytest.mark.parametrize("number", [1, 2, 3, 100, 5000])
def test_index_of_any_size_finds_what_is_in_it_and_nothing_else(number: int) -> None:
    index = index_of([f"host{i}.example" for i in range(number)])
    urls = pa.array([f"http://a.host{i}.example/" for i in range(2 * number)])
    expected = [f"list0: host{i}.example" for i in range(number)] + [None] * number
    assert url_lists.find(urls, index).to_pylist() == expected


def plain_parts(address: str) -> tuple[str, str]:
    """Return host and path of an address of ASCII in the form that is compared."""
    address = address.strip("".join(map(chr, range(0x21))))
    address = re.sub(r"^[A-Za-z0-9+,.-]*://|^//", "", address, count=1)
    authority = re.split(r"[/\\?#]", address, maxsplit=1)[0]
    path = re.split(r"[?#]", address[len(authority) :], maxsplit=1)[0]
    host = authority.rpartition("@")[2]
    if host.startswith("["):
        host = host.partition("]")[0] + ("]" if "]" in host else "")
    else:
        host = host.partition(":")[0]
    host = host[2:] if host.startswith("*.") else host
    host, path = (
        UNRESERVED.sub(lambda match: chr(int(match[1], 16)), part).lower() for part in (host, path)
    )
    return host.lstrip(".").rstrip("."), path.rstrip("/")


def without_www(host: str) -> str:
    return host[4:] if host.startswith("www.") and "." in host[4:] else host


def plain_falls(url: str, entry: str) -> bool:
    """Say whether a URL falls under an entry, by the definition."""
    host, path = plain_parts(url)
    own, prefix = plain_parts(entry)
    if not host or not own:
        return False
    if prefix:
        return without_www(host) == without_www(own) and (path + "/").startswith(prefix + "/")
    if host == own:
        return True
    labels = own.split(".")
    registry = int.from_bytes(labels[0].encode()[:8]) in url_lists.REGISTRIES.tolist()
    if ADDRESS.fullmatch(own) or len(labels) == 1:
        return False
    if len(labels) == 2 and len(labels[1]) == 2 and len(labels[0]) <= 8 and registry:
        return False
    if not ADDRESS.fullmatch(host) and host.endswith("." + own):
        return True
    return without_www(own) != own and host == without_www(own)


PARTS = [
    *(
        "www.",
        "a.",
        "b.",
        "co.",
        "uk",
        "com",
        "example",
        "1.",
        "2",
        "/",
        "//",
        "x",
        "X",
        "~",
        "%7e",
    ),
    *("%61", "%2F", "%", "@", ":", "80", "?", "#", "\\", "http://", "HTTPS://", "[", "]", "*."),
    *(".", " ", "\t", "-", "_", "+"),
]
addresses = st.lists(st.sampled_from(PARTS), max_size=9).map("".join)


@settings(max_examples=600, deadline=None)
@given(addresses, addresses, st.booleans())
def test_any_url_falls_under_an_entry_as_plain_python_says(
    url: str, entry: str, below: bool
) -> None:
    if below:  # or hardly any would
        host, path = plain_parts(entry)
        url = f"http://a.{host}{path}/x" if len(url) % 2 else f"http://{host}{path}/{url}"
    assert (found(url, [entry]) is not None) == plain_falls(url, entry)

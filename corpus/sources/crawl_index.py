"""Which pages of a crawl a recipe names, and where in a sorted index they can be.

Both indexes of Common Crawl are sorted by SURT key: the host with its labels reversed, then path
and query in one spelling (`com,example)/path?a=1`). A selection becomes ranges of keys, which say
what of an index need not be read, and exact tests, which say what of the rest counts.

The key is that of the Internet Archive's canonicalization, which both indexes were made with, but
for its removal of session identifiers.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote_from_bytes, unquote_to_bytes, urlsplit

import pyarrow as pa
import xxhash

from corpus.errors import InputError
from corpus.sources import commoncrawl, urls
from corpus.sources.listed_keys import Keys, ListedKeys
from corpus.sources.urls import host_of, in_domains, page_hash

_WWW = re.compile(r"^www\d*\.")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_KEPT = "!\"$&'()*+,-./:;<=>?@[\\]^_`{|}~"  # printable ASCII but for what is always escaped
_LARGEST_RECORD = 1 << 32  # bytes; Common Crawl cuts pages at 1 MiB
_SUBSET = "/warc/"  # the pages; beside it are robots.txt files, and answers that are no pages
# Where the chosen pages lie. `draw` is uniform in 64 bits, a function of seed, archive and offset.
PLACES = pa.schema(
    [
        ("url", pa.string()),
        ("archive", pa.string()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("draw", pa.uint64()),
        ("page", pa.uint64()),  # `urls.page_hash` of the address, where pages are listed; or null
    ]
)


def surt_keys(url: str) -> frozenset[str]:
    """Return the SURT keys that an index may have for a URL; none when it is no web address.

    Canonicalizers agree on everything but percent-encoding: some keep the crawler's, and some undo
    what need not be. Most URLs have one key.
    """
    host = host_of(url)
    if host is None:
        return frozenset()
    parts = urlsplit(url.strip())
    port = parts.port
    shown = "" if port in (None, _DEFAULT_PORTS[parts.scheme.lower()]) else f":{port}"
    return frozenset(
        f"{_reversed(host)}{shown}){_tail(encode(parts.path), encode(parts.query))}"
        for encode in (_as_it_is, _escaped)
    )


def _tail(path: str, query: str) -> str:
    path = path.lower() or "/"
    if len(path) > 1:
        path = path.removesuffix("/")
    pairs = sorted(tuple(pair.split("=", 1)) for pair in query.lower().split("&"))
    query = "&".join("=".join(pair) for pair in pairs)
    return f"{path}{'?' if query else ''}{query}"


def _as_it_is(text: str) -> str:
    return text


def _escaped(text: str) -> str:
    data = text.encode("utf-8", "replace")
    for _ in range(8):  # what is escaped over and over is unescaped as often, within reason
        data, before = unquote_to_bytes(data), data
        if data == before:
            break
    return quote_from_bytes(data, safe=_KEPT)


def _reversed(host: str) -> str:
    return ",".join(reversed(_WWW.sub("", host, count=1).split(".")))


def draw(seed: int, archive: str, offset: int) -> int:
    """Return 64 bits that decide which pages are among the first so many of a sample."""
    return xxhash.xxh3_64_intdigest(f"{seed}:{archive}:{offset}".encode())


@dataclass(frozen=True)
class Selection:
    """Which pages. Plain data: it pickles.

    Attributes:
        urls: Addresses.
        hosts: Hosts, without those below them.
        domains: Domains, with those below them. A page of any of these three is wanted; without
            all three, any page is.
        languages: Codes, one of which has to be the first that the index names for the page.
        mime: Types, one of which has to be what the crawler detected.
        archives: The only archives that count, or None for all.
        listed: Paths of tables of SURT keys (`listed_keys`), for more addresses than `urls` holds.
            A page counts if its address has one of the keys and is one of the pages beside it.
    """

    urls: tuple[str, ...]
    hosts: tuple[str, ...]
    domains: tuple[str, ...]
    languages: tuple[str, ...]
    mime: tuple[str, ...]
    archives: frozenset[str] | None
    listed: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise `InputError` for an address, host or domain that is none."""
        for kind, given in (("host", self.hosts), ("domain", self.domains)):
            for name in given:
                if host_of(f"http://{name}/") is None or any(sign in name for sign in "/:@ "):
                    raise InputError(
                        f"{name!r} is no {kind}", fix="Give a name such as www.example.org."
                    )
        for url in self.urls:
            if not surt_keys(url):
                raise InputError(
                    f"{url!r} is no address", fix="Give it in full, with http:// or https://."
                )

    @property
    def addressed(self) -> bool:
        """Whether the pages are named by address, so that only ranges of an index can hold them."""
        return bool(self.urls or self.hosts or self.domains or self.listed)

    @cached_property
    def keys(self) -> frozenset[str]:
        """The SURT keys of `urls`."""
        return frozenset(key for url in self.urls for key in surt_keys(url))

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self.keys)

    @cached_property
    def _listed(self) -> ListedKeys:
        return ListedKeys(self.listed)

    @cached_property
    def _ranges(self) -> tuple[tuple[str, str], ...]:
        """Ranges [first, last] of the keys of hosts and domains."""
        # After the host comes ")", or ":" and a port; after a domain also "," and a label. All of
        # them, and what of other hosts lies between them, sorts before ";".
        ends = (_reversed(host) for host in (*self._hosts, *self._domains))
        return tuple(sorted({(f"{end})", f"{end};") for end in ends}))

    @cached_property
    def _hosts(self) -> frozenset[str]:
        return frozenset(host_of(f"http://{host}/") or host for host in self.hosts)

    @cached_property
    def _domains(self) -> frozenset[str]:
        return frozenset(host_of(f"http://{domain}/") or domain for domain in self.domains)

    def within(self, first: str, last: str) -> Keys:
        """Return the keys of single pages from `first` to `last`; see `ListedKeys.within`."""
        if self.listed:
            return self._listed.within(first, last)
        start, stop = bisect_left(self._sorted, first), bisect_right(self._sorted, last)
        return Keys(frozenset(self._sorted[start:stop]), frozenset())

    def in_ranges(self, first: str, last: str) -> bool:
        """Say whether keys from `first` to `last` may be of a host or domain."""
        return any(low <= last and first <= high for low, high in self._ranges)

    def overlaps(self, first: str, last: str) -> bool:
        """Say whether keys from `first` to `last` may hold anything that is wanted."""
        if not self.addressed or self.in_ranges(first, last):
            return True
        return bool(self.within(first, last).surts)

    def has_page(self, url: str, keys: Keys) -> bool:
        """Say whether a page is wanted whose SURT key is among `keys`."""
        return not self.listed or _page(url) in keys.pages

    def has_host(self, host: str | None) -> bool:
        """Say whether all pages of a host are wanted."""
        return host is not None and (host in self._hosts or in_domains(host, self._domains))

    def has_language(self, languages: str | None) -> bool:
        """Say whether a page is wanted whose languages the index gives as `eng,deu`."""
        return not self.languages or (languages or "").partition(",")[0] in self.languages

    def has_mime(self, mime: str | None) -> bool:
        """Say whether a page of a type is wanted."""
        return not self.mime or mime in self.mime

    def has_archive(self, archive: str | None) -> bool:
        """Say whether a page of an archive is wanted."""
        if archive is None or _SUBSET not in archive or not commoncrawl.is_path(archive):
            return False
        return self.archives is None or archive in self.archives


def _page(url: str) -> int | None:
    key = urls.key(url)
    return None if key is None else page_hash(key)


def places(
    rows: Sequence[tuple[str, str, int, int]],
    selection: Selection,
    *,
    seed: int,
    limit: int | None,
    where: str,
) -> pa.Table:
    """Return places of pages as a table, the drawn ones only when there is a limit.

    Args:
        rows: URL, archive, offset and length of each.
        selection: Which pages they are.
        seed: The recipe's seed.
        limit: Most pages, or None.
        where: The index, for messages.

    Raises:
        InputError: A place that cannot be one.
    """
    for url, archive, offset, length in rows:
        whole = isinstance(url, str) and isinstance(offset, int) and isinstance(length, int)
        if not whole or offset < 0 or not 0 < length <= _LARGEST_RECORD:
            raise InputError(
                f"the index names a record of {length!r} bytes at byte {offset!r} of {archive}",
                where=where,
                fix="Check base_url: this is not an index as Common Crawl publishes it.",
            )
    listed = bool(selection.listed)
    drawn = [(*row, draw(seed, row[1], row[2]), _page(row[0]) if listed else None) for row in rows]
    if limit is not None:
        drawn = sorted(drawn, key=lambda row: (row[4], row[1], row[2]))[:limit]
    columns = zip(*drawn, strict=True) if drawn else [()] * len(PLACES)
    return pa.table([list(column) for column in columns], schema=PLACES)

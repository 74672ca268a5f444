"""WebText: the pages that Reddit submissions with enough karma link to (GPT-2 section 2.1, GPT-3).

`fates` says of the addresses in submissions whether each is linked: an outbound link of at least 3
karma, with the karma summed over all submissions of the address as OpenWebText2 does, no media, no
Wikipedia. `read` yields those pages of an archive whose address is linked; the extract stage turns
them into text as it does with any other page.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus.document import Drop, Page
from corpus.sources import urls, warc

LINKS_SCHEMA = pa.schema(
    [
        pa.field("url", pa.large_string(), nullable=False),  # key of `corpus.sources.urls`
        pa.field("original", pa.large_string(), nullable=False),
        pa.field("page", pa.uint64(), nullable=False),  # `urls.page_hash` of the key
        pa.field("karma", pa.int64(), nullable=False),
        pa.field("submissions", pa.int64(), nullable=False),
        pa.field("fate", pa.string(), nullable=False),
    ]
)
LINKED = "linked"
LOW_KARMA = "low_karma"
OVER_18 = "over_18"
WIKIPEDIA = "wikipedia"
BLOCKED = "blocked"
_CHUNK = 1 << 14  # values that are held as Python has them
NOT_IN_INDEX = "not_in_index"  # linked, but the crawl that it was looked for in does not have it

_WIKIPEDIA = frozenset({"wikipedia.org"})


def fates(
    submissions: pa.Table, *, min_karma: int, blocked_domains: Collection[str]
) -> tuple[pa.Table, int]:
    """Say of every address in submissions whether it is linked, and why not.

    Scores are summed exactly over the submissions of an address, and submissions marked `over_18`
    are left out of the sum. A submission that is there twice, as dumps overlap, counts once: with
    the greater of its scores, and as over 18 if it is so anywhere. Nothing depends on the order.

    Args:
        submissions: Rows of `corpus.sources.submissions`: all of the addresses that are in it.
        min_karma: Least sum of scores of a linked address (GPT-2 and GPT-3: 3).
        blocked_domains: Domains in lower case that are left out, with their sub-domains.

    Returns:
        Table of `LINKS_SCHEMA`, sorted by url, and the number of submissions that were there
        before. `original` is the first, in order of its characters, of the addresses as submitted.
        `fate` is `linked` or, of these, the first that holds: `wikipedia`, `blocked`, `over_18`
        (every submission is), `low_karma`.
    """
    once = _grouped(
        submissions,
        ["url", "submission"],
        {"original": "min", "score": "max", "over_18": "max"},
    )
    safe = pc.cast(pc.invert(once["over_18"]), pa.int64())
    once = once.append_column("karma", pc.multiply(once["score"], safe)).append_column("safe", safe)
    found = _grouped(
        once,
        ["url"],
        {"original": "min", "karma": "sum", "safe": "sum", "submission": "count"},
    ).sort_by("url")
    blocked = frozenset(blocked_domains)
    by_host = _mapped(
        found["original"], lambda url: _host_fate(urls.host_of(url) or "", blocked), pa.string()
    )
    by_karma = pc.if_else(
        pc.equal(found["safe"], 0),
        OVER_18,
        pc.if_else(pc.greater_equal(found["karma"], min_karma), LINKED, LOW_KARMA),
    )
    columns = {
        "url": found["url"],
        "original": found["original"],
        "page": _mapped(found["url"], urls.page_hash, pa.uint64()),
        "karma": found["karma"],
        "submissions": found["submission"],
        "fate": pc.coalesce(by_host, by_karma),
    }
    table = pa.table(columns).cast(LINKS_SCHEMA)
    return table, submissions.num_rows - once.num_rows


def _mapped(
    column: pa.ChunkedArray, function: Callable[[str], object], kind: pa.DataType
) -> pa.ChunkedArray:
    """Return what a function makes of each value, a few of which are held as Python has them."""
    starts = range(0, len(column), _CHUNK)
    parts = (column.slice(start, _CHUNK).to_pylist() for start in starts)
    return pa.chunked_array([pa.array([function(v) for v in part], kind) for part in parts], kind)


def _grouped(table: pa.Table, keys: list[str], how: dict[str, str]) -> pa.Table:
    grouped = table.group_by(keys, use_threads=False).aggregate(list(how.items()))
    names = [*keys, *(f"{column}_{function}" for column, function in how.items())]
    return grouped.select(names).rename_columns([*keys, *how])


class LinkedUrls:
    """A set of keys of URLs in 8 bytes each: their sorted hashes."""

    def __init__(self, pages: npt.NDArray[np.uint64]) -> None:
        """Take the `urls.page_hash` of every key, in any order."""
        self._pages = np.unique(pages)

    def __len__(self) -> int:
        return len(self._pages)

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, str) or not len(self._pages):
            return False
        value = np.uint64(urls.page_hash(key))
        place = int(np.searchsorted(self._pages, value))
        return place < len(self._pages) and bool(self._pages[place] == value)


def read(
    path: str,
    *,
    name: str,
    linked: Container[str],
    max_page_bytes: int,
    verify_digests: bool = False,
) -> Iterator[Page | Drop]:
    """Yield the pages of an archive whose address is linked.

    Pages that are not linked are no candidates and yield nothing; so do drops that name an address
    that is not linked. Drops without an address (damage to the archive) are passed on.

    Args:
        path: Local path or URL of a WARC file.
        name: Stable name of the file.
        linked: The keys (`corpus.sources.urls.key`) of the linked addresses: a frozenset, or
            `LinkedUrls` where there are millions.
        max_page_bytes: Bound on a page's body.
        verify_digests: Whether records have to have the digests that they name.

    Raises:
        InputError: The file cannot be read.
    """
    items = warc.read(path, name=name, max_page_bytes=max_page_bytes, verify_digests=verify_digests)
    for item in items:
        if item.url is None:
            if isinstance(item, Drop):
                yield item
        elif urls.key(item.url) in linked:
            yield item


def _host_fate(host: str, blocked: frozenset[str]) -> str | None:
    if urls.in_domains(host, _WIKIPEDIA):
        return WIKIPEDIA
    return BLOCKED if urls.in_domains(host, blocked) else None

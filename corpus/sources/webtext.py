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
    # Sorted and cut where the values change: a third of the memory of pyarrow's `group_by`.
    rows = submissions.sort_by([("url", "ascending"), ("original", "ascending")]).combine_chunks()
    count = rows.num_rows
    url, original = (rows[name].combine_chunks() for name in ("url", "original"))
    changes = np.ones(count, np.bool_)
    if count:
        changes[1:] = pc.not_equal(url.slice(1), url.slice(0, count - 1)).to_numpy(False)
    firsts, address = np.flatnonzero(changes), np.cumsum(changes) - 1
    karma, safe, distinct = _sums(
        address,
        rows["submission"].to_numpy(),
        rows["score"].to_numpy(),
        rows["over_18"].to_numpy(),
    )
    del rows
    url, original = url.take(pa.array(firsts)), original.take(pa.array(firsts))
    blocked = frozenset(blocked_domains)
    by_host = _mapped(
        original, lambda url: _host_fate(urls.host_of(url) or "", blocked), pa.string()
    )
    enough = np.where(karma >= min_karma, LINKED, LOW_KARMA)
    by_karma = pa.array(np.where(safe == 0, OVER_18, enough))
    table = pa.table(
        {
            "url": url,
            "original": original,
            "page": _mapped(url, urls.page_hash, pa.uint64()),
            "karma": karma,
            "submissions": distinct,
            "fate": pc.coalesce(by_host, pc.cast(by_karma, pa.string())),
        }
    )
    return table.cast(LINKS_SCHEMA), count - int(distinct.sum())


def _sums(
    address: npt.NDArray[np.int64],
    submission: npt.NDArray[np.uint64],
    score: npt.NDArray[np.int64],
    over_18: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return karma, safe submissions and all submissions of each address, each submission once.

    Args:
        address: Number of the address of each row, from 0 on.
        submission: Hash of the submission of each row.
        score: Its score there.
        over_18: Whether it is marked there.
    """
    if not len(address):
        nothing = np.empty(0, np.int64)
        return nothing, nothing, nothing
    order = np.lexsort((submission, address))
    address, submission = address[order], submission[order]
    is_new = np.ones(len(order), np.bool_)
    is_new[1:] = (address[1:] != address[:-1]) | (submission[1:] != submission[:-1])
    starts = np.flatnonzero(is_new)
    best = np.maximum.reduceat(score[order], starts)
    safe = ~np.logical_or.reduceat(over_18[order], starts)
    address = address[starts]
    firsts = np.flatnonzero(np.append(True, address[1:] != address[:-1]))
    karma = np.add.reduceat(np.where(safe, best, 0), firsts)
    distinct = np.diff(np.append(firsts, len(address)))
    return karma, np.add.reduceat(safe.astype(np.int64), firsts), distinct


def _mapped(
    column: pa.Array, function: Callable[[str], object], kind: pa.DataType
) -> pa.ChunkedArray:
    """Return what a function makes of each value, a few of which are held as Python has them."""
    starts = range(0, len(column), _CHUNK)
    parts = (column.slice(start, _CHUNK).to_pylist() for start in starts)
    return pa.chunked_array([pa.array([function(v) for v in part], kind) for part in parts], kind)


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

"""The query server of Common Crawl's index (index.commoncrawl.org, pywb's CDX server API).

It answers for one address, host or domain with the lines of the CDXJ index, page by page. In: a
selection. Out: the questions to ask, and of the answers the number of pages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

from corpus.errors import InputError
from corpus.sources.crawl_index import Selection

_MOST_PAGES = 100_000


def queries(selection: Selection, server: str, snapshot: str) -> Iterator[str]:
    """Yield the addresses to ask, without the page.

    Args:
        selection: Which pages, by address.
        server: Where the server is, such as `https://index.commoncrawl.org/`.
        snapshot: Its id.
    """
    kinds = (
        ("exact", selection.urls),
        ("host", selection.hosts),
        ("domain", selection.domains),
    )
    for kind, names in kinds:
        for name in dict.fromkeys(names):
            asked = quote(name, safe="")
            yield f"{server.rstrip('/')}/{snapshot}-index?url={asked}&matchType={kind}"


def number_of_pages(answer: bytes | None, *, where: str) -> int:
    """Return how many pages the server has for a question; none when it has no capture.

    Args:
        answer: To the question with `showNumPages=true`, or None for a 404.
        where: The question, for messages.

    Raises:
        InputError: The answer is none.
    """
    if answer is None:
        return 0
    try:
        pages = json.loads(answer)["pages"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _no_answer(where, answer) from error
    if not isinstance(pages, int) or isinstance(pages, bool) or not 0 <= pages <= _MOST_PAGES:
        raise _no_answer(where, answer)
    return pages


def _no_answer(where: str, answer: bytes) -> InputError:
    return InputError(
        f"the index server does not say how many pages it has: {answer[:80]!r}",
        where=where,
        fix="Check pages.server; or use `index: columnar`, which asks no server.",
    )

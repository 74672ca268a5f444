"""What was cut out of one document: lines that others keep, and benchmark text with its context.

In: a text and its verdicts. Out: plain facts for its story.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from corpus.verdicts import JudgedPart, find_urls

_CONTEXT = 60  # characters that are shown before and after a cut
_REMOVED = 1000  # characters of what was cut that are held: a line can be all of a document


@dataclass(frozen=True)
class Other:
    """Another document: the one that this one duplicates, or one that duplicates this one.

    `index` is the folder of the earlier build that it is of, or None.
    """

    id: str
    source: str
    url: str | None
    jaccard: float | None
    index: str | None = None


@dataclass(frozen=True)
class CutContext:
    """What was cut out: bytes of the text as UTF-8, and what stands before and after it.

    `removed` is the first 1,000 characters of it.
    """

    start: int
    end: int
    before: str
    removed: str
    after: str


@dataclass(frozen=True)
class LineCut:
    """A line that was cut: bytes of the text as UTF-8, and the document that keeps it.

    `removed` is the first 1,000 characters of it.
    """

    start: int
    end: int
    removed: str
    keeper: Other


def line_cuts(
    judged: Sequence[JudgedPart], data: bytes, lines: Sequence[Mapping[str, Any]]
) -> Iterator[LineCut]:
    """Yield the lines that were cut, with their keepers.

    Args:
        judged: The parts of the build.
        data: The text.
        lines: The lines of its verdict.
    """
    keepers = {(line["keeper"], line["keeper_source"]) for line in lines}
    urls = find_urls(judged, keepers) if keepers else {}
    for line in lines:
        place = (line["keeper"], line["keeper_source"])
        removed = data[line["start"] : line["end"]].decode()[:_REMOVED]
        keeper = Other(*place, urls.get(place), None)
        yield LineCut(line["start"], line["end"], removed, keeper)


def context(data: bytes, start: int, end: int) -> CutContext:
    """Return a range of bytes of a text with what stands around it."""
    return CutContext(
        start,
        end,
        data[:start].decode()[-_CONTEXT:],
        data[start:end].decode()[:_REMOVED],
        data[end:].decode()[:_CONTEXT],
    )

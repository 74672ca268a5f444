"""The section `extract`: how pages become text."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from corpus.config.values import Share
from corpus.settings import Settings


class Prefilter(Settings):
    """A cheap look at each page: what `filter` would drop anyway is spared the extraction.

    Languages, addresses and the least number of words are those of `filter`.
    """

    quality: bool = False
    """Whether pages that would lose the draw are spared; `filter.classifier` is then a folder."""
    margin: Annotated[float, Field(ge=1)] = 10.0
    """How many times the odds of a page's cheap score its own may have, and it is spared still."""
    alpha: Annotated[float, Field(gt=0)] | None = None
    """Pareto exponent of the look: the least that `filter.alpha` may then become; it by default."""
    audit: Annotated[float, Field(gt=0, le=1)] = 0.02
    """Share of the spared pages that is extracted all the same, to say how many are lost."""


class Extract(Settings):
    """How raw pages become text."""

    extractor: Literal["trafilatura", "resiliparse", "none"] = "trafilatura"
    """`trafilatura` reads best, `resiliparse` is 15 times as fast, `none` takes all that shows."""
    timeout: Annotated[float, Field(gt=0)] = 60.0
    """Seconds for one page before its worker is killed and the page dropped."""
    memory_bytes: Annotated[int, Field(ge=256 * 2**20)] = 2 * 2**30
    """Memory of the process that extracts, in bytes; a page that needs more is dropped."""
    recycle_pages: Annotated[int, Field(ge=1)] = 2000
    """Pages after which that process is replaced, because lxml's memory grows."""
    max_page_bytes: Annotated[int, Field(ge=1000)] = 10 * 2**20
    """Larger pages are dropped."""
    verify_digests: bool = False
    """Whether a page whose record has another digest than it says is dropped as damaged."""
    max_document_bytes: Annotated[int, Field(ge=1000)] = 2**29
    """Larger ready-made documents (a line of JSONL, a dump's page, a book) are dropped."""
    max_failures: Share = 0.5
    """Largest share of a source's pages that may fail: damage, crash, timeout; more is an error."""
    prefilter: Prefilter | None = None
    """A cheap look at the pages of filtered sources before they are extracted; none by default."""

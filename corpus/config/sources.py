"""The sources of a recipe: what each kind names, and what a source is."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from corpus.config.values import ONE_OR_MORE as _ONE_OR_MORE
from corpus.config.values import Paths, RecipePath
from corpus.settings import Settings


class Pages(Settings):
    """Single pages of a crawl, found through its index.

    Of the pages of `urls`, `hosts` and `domains` together, those that `languages` and `mime` name.
    """

    urls: Annotated[tuple[str, ...], _ONE_OR_MORE] = ()
    """Addresses; the index takes http and https, with and without `www.`, for one."""
    hosts: Annotated[tuple[str, ...], _ONE_OR_MORE] = ()
    """Hosts, such as `www.example.org`, without those below them."""
    domains: Annotated[tuple[str, ...], _ONE_OR_MORE] = ()
    """Domains, such as `example.org`, with all hosts below them."""
    languages: Annotated[tuple[str, ...], _ONE_OR_MORE] = ()
    """Main languages of a page as the index has them: ISO 639-3, such as `eng`."""
    mime: Annotated[tuple[str, ...], _ONE_OR_MORE] = ()
    """Types that the crawler detected, such as `text/html`."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Pages of each snapshot: a seeded sample that larger numbers add to; all by default."""
    index: Literal["columnar", "cdxj", "server"] = "columnar"
    """Where to look: a table; lines that are sorted by address; or a server that has these."""
    server: Annotated[str, Field(pattern=r"^https?://")] = "https://index.commoncrawl.org/"
    """The query server of `index: server`, which is for a few addresses and asks to be spared."""

    @model_validator(mode="after")
    def _chosen(self) -> Pages:
        addressed = bool(self.urls or self.hosts or self.domains)
        if not (addressed or self.languages or self.mime):
            raise ValueError("names no pages: give urls, hosts, domains, languages or mime")
        if self.index != "columnar" and not addressed:
            raise ValueError(
                f"`index: {self.index}` needs urls, hosts or domains: use `index: columnar`"
            )
        return self


Snapshot = Annotated[str, Field(pattern=r"^CC-MAIN-20\d\d-(0[1-9]|[1-4]\d|5[0-3])$")]


class CommonCrawl(Settings):
    """Files of Common Crawl, or pages out of them."""

    snapshots: Annotated[tuple[Snapshot, ...], _ONE_OR_MORE] = ()
    """Snapshot ids, such as `CC-MAIN-2026-47`."""
    kind: Literal["warc", "wet"] = "warc"
    """`warc`: pages as they were served; `wet`: the plain text that Common Crawl made of them."""
    files: Annotated[int, Field(ge=1)] | None = None
    """Files of each snapshot, a seeded sample that larger numbers add to; all by default."""
    paths: Annotated[tuple[str, ...], _ONE_OR_MORE] = ()
    """Paths relative to `base_url`, as in a snapshot's list, instead of `snapshots`."""
    pages: Pages | None = None
    """Only these pages, fetched by range; `files` then says of which files."""
    base_url: RecipePath = "https://data.commoncrawl.org/"
    """Where the crawl is: the public address, `s3://commoncrawl/`, a mirror, or a local folder."""
    limit_bytes: Annotated[int, Field(ge=100_000)] | None = None
    """Take only the whole records in the first so many bytes of each file."""
    limit_records: Annotated[int, Field(ge=1)] | None = None
    """Take only so many pages from the beginning of each file."""

    @model_validator(mode="after")
    def _consistent(self) -> CommonCrawl:
        if bool(self.snapshots) == bool(self.paths):
            raise ValueError("give either snapshots or paths")
        if self.paths and (self.files is not None or self.pages is not None):
            raise ValueError("files and pages choose from snapshots: leave them out beside paths")
        if self.pages is not None:
            if self.kind == "wet":
                raise ValueError("the index leads to WARC files: leave `kind: wet` out")
            if self.limit_bytes is not None or self.limit_records is not None:
                raise ValueError("pages has a limit of its own: leave limit_bytes and _records out")
        return self


class LinkedPages(Settings):
    """Where in Common Crawl the pages that submissions link to are looked for."""

    snapshots: Annotated[tuple[Snapshot, ...], _ONE_OR_MORE, Field(min_length=1)]
    """Snapshot ids; a page is taken from the first of them that has it."""
    base_url: RecipePath = "https://data.commoncrawl.org/"
    """Where the crawl is: the public address, `s3://commoncrawl/`, a mirror, or a local folder."""
    index: Literal["columnar", "cdxj"] = "columnar"
    """Which index to look in; for a few thousand links `cdxj` reads far less."""


class WebText(Settings):
    """Pages that Reddit submissions with enough karma link to (GPT-2, section 2.1)."""

    submissions: Paths
    """Submissions dumps: newline-delimited JSON, plain, `.gz` or `.zst`."""
    pages: Paths | None = None
    """WARC files in which the linked pages are looked for."""
    commoncrawl: LinkedPages | None = None
    """A crawl in whose index they are looked for, instead of `pages`; they are fetched by range."""
    min_karma: int = 3
    """Least karma, summed over all submissions of a page (GPT-2 and GPT-3: 3)."""
    blocked_domains: tuple[str, ...] = ()
    """Domains whose pages are left out, with their sub-domains."""

    @model_validator(mode="after")
    def _one_place(self) -> WebText:
        if (self.pages is None) == (self.commoncrawl is None):
            raise ValueError("give either pages (WARC files) or commoncrawl")
        return self


class Documents(Settings):
    """Ready-made documents: JSONL, Parquet, plain text, or tar of these; plain or compressed."""

    paths: Paths
    """Files or patterns."""
    fields: dict[Literal["text", "id", "url", "date", "title"], str] = Field(default_factory=dict)
    """Which field of the file is which of ours, where names differ: `{text: data.content}`."""


class Stdlib(Settings):
    """A miniature source made at run time from text that every Python installation carries."""

    make: Literal["crawl", "wikipedia", "webtext", "books"]
    """What to make: WARC files, a Wikipedia dump, WebText-like documents, or books."""
    pages: Annotated[int, Field(ge=12, le=100_000)] = 800
    """Pages of the crawl."""
    quote: RecipePath | None = None
    """A JSONL benchmark (`text`) that some pages of the crawl quote, so that there is a cut."""


def _as_paths(value: Any) -> Any:
    return {"paths": value} if isinstance(value, str | list | tuple) else value


KINDS = ("commoncrawl", "warc", "wikipedia", "webtext", "books", "documents", "stdlib")


class Source(Settings):
    """One source. It names exactly one kind; its place in the recipe is its priority in dedup."""

    weight: Annotated[float, Field(gt=0)] | None = None
    """Share of the training sequences, normalised; a source without one is built but not mixed."""
    filter: bool = False
    """Whether `filter` may drop documents of this source; other sources are only scored."""
    commoncrawl: CommonCrawl | None = None
    """Common Crawl, downloaded."""
    warc: Paths | None = None
    """WARC, ARC or WET files, local or remote."""
    wikipedia: Paths | None = None
    """Wikipedia dumps (`*-pages-articles*.xml.bz2`), or the Parquet of wikimedia/wikipedia."""
    webtext: WebText | None = None
    """Pages that Reddit submissions link to."""
    books: Paths | None = None
    """Books: plain text (Project Gutenberg or other) or EPUB."""
    documents: (
        Annotated[
            Documents,
            BeforeValidator(_as_paths, json_schema_input_type=str | tuple[str, ...] | Documents),
        ]
        | None
    ) = None
    """JSONL, Parquet, text or tar files: a path, a list of paths, or `{paths, fields}`."""
    stdlib: Stdlib | None = None
    """Made from the Python installation itself, for trying things out without a network."""

    @model_validator(mode="after")
    def _one_kind(self) -> Source:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            listed = ", ".join(given) if given else "none"
            raise ValueError(f"a source names exactly one of {', '.join(KINDS)}; here: {listed}")
        return self

    @property
    def kind(self) -> str:
        """The one kind that the source names."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

"""The XML of a MediaWiki dump to pages, a block of bytes at a time.

Bytes go in, pages with their last revision come out, and what the dump says of its wiki. The XML
is hostile until shown otherwise: a document type is refused, which leaves nothing to expand and
nothing to fetch, and every field of a page has a bound before it is held. (lxml's `iterparse` holds
a page before one can look at its size, and stops for good at a text of ten million bytes; expat
reads 330 MB/s, which is far from being what takes the time.)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.parsers import expat

# MediaWiki refuses to save a page over 2 MiB (`$wgMaxArticleSize`, 2048 KiB); old ones are larger.
MAX_PAGE_CHARACTERS = 16 << 20
# Titles are at most 255 bytes; this bounds every field but the text.
MAX_FIELD = 4096
_MAX_DEPTH = 32
_MAX_NAMESPACES = 1000
# Media, File, Category.
_UNSHOWN_KEYS = frozenset({"-2", "6", "14"})

_PAGE = ("mediawiki", "page")
_FIELDS = {
    ("mediawiki", "siteinfo", "dbname"): "dbname",
    ("mediawiki", "siteinfo", "base"): "base",
    (*_PAGE, "title"): "title",
    (*_PAGE, "ns"): "namespace",
    (*_PAGE, "id"): "id",
    (*_PAGE, "revision", "id"): "revision",
    (*_PAGE, "revision", "timestamp"): "timestamp",
    (*_PAGE, "revision", "model"): "model",
    (*_PAGE, "revision", "text"): "text",
}
_NAMESPACE = ("mediawiki", "siteinfo", "namespaces", "namespace")


@dataclass
class Site:
    """What a dump says of its wiki."""

    language: str = "en"
    dbname: str = ""
    base: str = ""
    namespaces: set[str] = field(default_factory=set)  # of pictures and categories, lower case


@dataclass
class Page:
    """One page of a dump, with its last revision."""

    number: int
    values: dict[str, str] = field(default_factory=dict)
    is_redirect: bool = False
    too_large: str | None = None  # the field that is


class RefusedError(Exception):
    """The XML holds what no dump holds."""


class Reader:
    """Takes the XML of a dump in blocks and gives its pages."""

    def __init__(self) -> None:
        self.site = Site()
        self.pages = 0
        self.is_dump = False
        self._whole: list[Page] = []
        self._page: Page | None = None
        self._path: list[str] = []
        self._field: str | None = None
        self._parts: list[str] = []
        self._length = 0
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.buffer_size = 1 << 16
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._refuse

    @property
    def position(self) -> int:
        """Bytes of XML that have been understood."""
        return max(0, self._parser.CurrentByteIndex)

    @property
    def page_id(self) -> int | None:
        """Identifier of the page that is being read."""
        return None if self._page is None else integer(self._page.values.get("id"))

    def feed(self, block: bytes) -> list[Page]:
        """Read a block; return the pages that are whole with it."""
        self._parser.Parse(block, False)
        return self.taken()

    def taken(self) -> list[Page]:
        """Return the whole pages that have not been returned yet."""
        pages, self._whole = self._whole, []
        return pages

    def close(self) -> None:
        """Say that there is no more; raises when the dump is not whole."""
        self._parser.Parse(b"", True)

    def _refuse(self, *_: object) -> None:
        raise RefusedError("it has a document type declaration, which no dump has")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._path.append(tag[:MAX_FIELD])
        if len(self._path) > _MAX_DEPTH:
            raise RefusedError(f"elements are nested deeper than {_MAX_DEPTH}")
        path = tuple(self._path)
        if len(path) == 1:
            if tag != "mediawiki":
                raise RefusedError(f"the first element is {tag[:50]!r}, not 'mediawiki'")
            self.is_dump = True
            self.site.language = attributes.get("xml:lang", "en")[:MAX_FIELD]
        elif path == _PAGE:
            self._page = Page(self.pages + 1)
        elif path == (*_PAGE, "redirect") and self._page is not None:
            self._page.is_redirect = True
        elif path == _NAMESPACE and attributes.get("key") in _UNSHOWN_KEYS:
            self._begin("unshown")
        elif path in _FIELDS:
            self._begin(_FIELDS[path])

    def _begin(self, name: str) -> None:
        self._field = name
        self._parts = []
        self._length = 0

    def _characters(self, text: str) -> None:
        if self._field is None:
            return
        self._length += len(text)
        if self._length <= (MAX_PAGE_CHARACTERS if self._field == "text" else MAX_FIELD):
            self._parts.append(text)
        else:
            self._parts.clear()
            if self._page is not None:
                self._page.too_large = self._field

    def _end(self, tag: str) -> None:
        self._path.pop()
        if self._field is not None:
            self._store(self._field, "".join(self._parts))
            self._field = None
        elif tag == "page" and self._page is not None and len(self._path) == 1:
            self._whole.append(self._page)
            self._page = None
            self.pages += 1

    def _store(self, name: str, value: str) -> None:
        if self._page is not None:
            self._page.values[name] = value
        elif name == "dbname":
            self.site.dbname = value.strip()
        elif name == "base":
            self.site.base = value.strip()
        elif name == "unshown" and len(self.site.namespaces) < _MAX_NAMESPACES:
            self.site.namespaces.add(value.strip().lower())


def integer(value: str | None) -> int | None:
    """Return a plain decimal number, or None for anything else."""
    value = (value or "").strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 18 else None

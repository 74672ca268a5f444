"""Wikipedia dumps (`*-pages-articles*.xml.bz2`) to documents.

A dump goes in (XML as it is, or compressed, one stream or many); the articles' prose comes out, and
a drop for every other page. The file is read as a stream: memory is bounded by one page, whatever
the size of the dump. The XML is hostile until shown otherwise: a document type is refused, which
leaves nothing to expand and nothing to fetch, and every field of a page has a bound before it is
held. (lxml's `iterparse` holds a page before one can look at its size, and stops for good at a text
of ten million bytes; expat reads 330 MB/s, which is far from being what takes the time.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote
from xml.parsers import expat

from corpus.document import Document, Drop, DropReason, Place, identifier
from corpus.errors import InputError
from corpus.sources import streams, wikitext
from corpus.sources.documents import damage_drop, iso_date
from corpus.sources.wikipedia_words import (
    DISAMBIGUATION_TEMPLATES,
    DISAMBIGUATION_TITLES,
    REDIRECTS,
)

# MediaWiki refuses to save a page over 2 MiB (`$wgMaxArticleSize`, 2048 KiB); old ones are larger.
_MAX_PAGE_CHARACTERS = 16 << 20
# Titles are at most 255 bytes; this bounds every field but the text.
_MAX_FIELD = 4096
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
class _Site:
    """What a dump says of its wiki."""

    language: str = "en"
    dbname: str = ""
    base: str = ""
    namespaces: set[str] = field(default_factory=set)  # of pictures and categories, lower case


@dataclass
class _Page:
    """One page of a dump, with its last revision."""

    number: int
    values: dict[str, str] = field(default_factory=dict)
    is_redirect: bool = False
    too_large: str | None = None  # the field that is


class _RefusedError(Exception):
    """The XML holds what no dump holds."""


def read(path: str, *, name: str, max_document_bytes: int) -> Iterator[Document | Drop]:
    """Yield the articles of a dump, and a drop for each other page.

    Args:
        path: Local path or URL of the dump.
        name: Stable name of the dump, for provenance.
        max_document_bytes: Bound on a page's wikitext and on its prose, UTF-8 bytes.

    Yields:
        Documents and drops with `Place(dump=name, page=page id)`. A dump that is cut off or
        damaged ends with one drop that says where.

    Raises:
        InputError: The file cannot be read, or is no MediaWiki dump.
    """
    reader = _Reader()
    try:
        for block in streams.blocks(path):
            for page in reader.feed(block):
                yield _row(page, reader.site, name, max_document_bytes)
        reader.close()
    except streams.DamagedStreamError as damage:
        yield damage_drop(damage, name, reader.page_id)
    except (expat.ExpatError, _RefusedError) as error:
        yield from (_row(page, reader.site, name, max_document_bytes) for page in reader.taken())
        if not reader.is_dump:
            raise InputError(
                "the file is not a MediaWiki dump",
                where=path,
                why=str(error),
                fix="Use *-pages-articles*.xml.bz2 of https://dumps.wikimedia.org",
            ) from error
        yield _broken(reader, error, name)


def _broken(reader: _Reader, error: Exception, name: str) -> Drop:
    position = reader.position
    code = getattr(error, "code", None)
    cut_off = code in (
        expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS],
        expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_TOKEN],
        expat.errors.codes[expat.errors.XML_ERROR_PARTIAL_CHAR],
        expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION],
    )
    what = "cut off" if cut_off else f"damaged ({error})"
    return Drop(
        id=identifier("damaged", name, position),
        url=None,
        reason=DropReason.TRUNCATED_RECORD if cut_off else DropReason.DAMAGED_RECORD,
        detail=f"the dump is {what} at byte {position:,} of its XML, in page "
        f"{reader.pages + 1:,}; the rest of the file is lost",
        place=Place(dump=name, page=reader.page_id),
    )


class _Reader:
    """Takes the XML of a dump in blocks and gives its pages."""

    def __init__(self) -> None:
        self.site = _Site()
        self.pages = 0
        self.is_dump = False
        self._whole: list[_Page] = []
        self._page: _Page | None = None
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
        return None if self._page is None else _integer(self._page.values.get("id"))

    def feed(self, block: bytes) -> list[_Page]:
        """Read a block; return the pages that are whole with it."""
        self._parser.Parse(block, False)
        return self.taken()

    def taken(self) -> list[_Page]:
        """Return the whole pages that have not been returned yet."""
        pages, self._whole = self._whole, []
        return pages

    def close(self) -> None:
        """Say that there is no more; raises when the dump is not whole."""
        self._parser.Parse(b"", True)

    def _refuse(self, *_: object) -> None:
        raise _RefusedError("it has a document type declaration, which no dump has")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._path.append(tag[:_MAX_FIELD])
        if len(self._path) > _MAX_DEPTH:
            raise _RefusedError(f"elements are nested deeper than {_MAX_DEPTH}")
        path = tuple(self._path)
        if len(path) == 1:
            if tag != "mediawiki":
                raise _RefusedError(f"the first element is {tag[:50]!r}, not 'mediawiki'")
            self.is_dump = True
            self.site.language = attributes.get("xml:lang", "en")[:_MAX_FIELD]
        elif path == _PAGE:
            self._page = _Page(self.pages + 1)
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
        if self._length <= (_MAX_PAGE_CHARACTERS if self._field == "text" else _MAX_FIELD):
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


def _row(page: _Page, site: _Site, name: str, max_document_bytes: int) -> Document | Drop:
    """Return a page's document, or the drop of the first reason that holds."""
    values = page.values
    number = _integer(values.get("id"))
    wiki = site.dbname or f"{site.language}wiki"
    own_id = identifier("wikipedia", wiki, values.get("id", ""), values.get("revision", ""))
    title = values.get("title", "").strip()
    url = _url(site.base, title)
    place = Place(dump=name, page=number)

    def drop(reason: DropReason, detail: str | None) -> Drop:
        return Drop(id=own_id, url=url, reason=reason, detail=detail, place=place)

    text = values.get("text", "")
    if page.too_large and page.too_large != "text":
        return drop(DropReason.MALFORMED, f"its {page.too_large} is over {_MAX_FIELD} characters")
    if number is None or not title:
        return drop(DropReason.MALFORMED, f"page {page.number:,} has no title or no id")
    if (namespace := values.get("namespace", "0").strip()) != "0":
        return drop(DropReason.NAMESPACE, f"namespace {namespace[:20]}")
    if page.is_redirect or _is_redirect(text):
        return drop(DropReason.REDIRECT, None)
    if page.too_large or len(text.encode("utf-8")) > max_document_bytes:
        bound = min(max_document_bytes, _MAX_PAGE_CHARACTERS)
        return drop(DropReason.PAGE_TOO_LARGE, f"more than {bound:,} bytes of wikitext")
    if not text.strip():
        return drop(DropReason.MISSING_TEXT, "the revision has no text")
    if (model := values.get("model", "wikitext").strip()) != "wikitext":
        return drop(DropReason.MALFORMED, f"its content is {model[:50]}, not wikitext")
    if _is_disambiguation(title, text):
        return drop(DropReason.DISAMBIGUATION, None)
    prose = wikitext.prose(text, language=site.language, namespaces=site.namespaces)
    if not prose:
        return drop(DropReason.NO_TEXT, None)
    if (size := len(prose.encode("utf-8"))) > max_document_bytes:
        return drop(DropReason.TEXT_TOO_LARGE, f"{size:,} bytes")
    date = iso_date(values.get("timestamp"))
    return Document(id=own_id, url=url, date=date, title=title, text=prose, place=place)


def _integer(value: str | None) -> int | None:
    value = (value or "").strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 18 else None


def _is_redirect(text: str) -> bool:
    start = text.lstrip()[:64].lower()
    word = start.split("[", 1)[0].split(":", 1)[0].split()
    return bool(word) and word[0] in REDIRECTS and "[[" in text[:_MAX_FIELD]


def _is_disambiguation(title: str, text: str) -> bool:
    bracket = title.lower().removesuffix(")").rpartition("(")[2] if title.endswith(")") else ""
    if bracket in DISAMBIGUATION_TITLES or "__DISAMBIG__" in text:
        return True
    return not DISAMBIGUATION_TEMPLATES.isdisjoint(wikitext.templates(text))


def _url(base: str, title: str) -> str | None:
    """Return a page's address: that of the main page with another title."""
    if not base or not title:
        return None
    place = base.find("/wiki/")
    prefix = base[: place + len("/wiki/")] if place >= 0 else base.rpartition("/")[0] + "/"
    return prefix + quote(title.replace(" ", "_"), safe="/:@!$*(),;~'", errors="replace")

"""Wikipedia dumps (`*-pages-articles*.xml.bz2`) to documents, and the articles of their Parquet.

A dump goes in (XML as it is, or compressed, one stream or many), or a stretch of one; the articles'
prose comes out, and a drop for every other page. The file is read as a stream: memory is bounded by
one page, whatever the size of the dump. Also in: the Parquet files of the public set
`wikimedia/wikipedia` (columns id, url, title, text), which holds articles as plain text.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from urllib.parse import quote
from xml.parsers import expat

from corpus.document import Document, Drop, DropReason, Place, identifier
from corpus.errors import InputError
from corpus.sources import bzip2, documents, multistream, streams, wikitext
from corpus.sources.document_rows import damage_drop, iso_date
from corpus.sources.multistream import Stretch
from corpus.sources.urls import host_of
from corpus.sources.wikipedia_words import (
    DISAMBIGUATION_TEMPLATES,
    DISAMBIGUATION_TITLES,
    REDIRECTS,
)
from corpus.sources.wikipedia_xml import (
    MAX_FIELD,
    MAX_PAGE_CHARACTERS,
    Page,
    Reader,
    RefusedError,
    Site,
    integer,
)

# enwiki-20261120-pages-articles-multistream-index1.txt-p1p41242.bz2
_INDEX = re.compile(r"-multistream-index\d*\.txt\b")


def is_index(name: str) -> bool:
    """Say whether a file is the list of streams beside a multistream dump, which is not needed."""
    return _INDEX.search(name) is not None


def read(
    path: str, *, name: str, max_document_bytes: int, stretch: Stretch | None = None
) -> Iterator[Document | Drop]:
    """Yield the articles of a dump, and a drop for each other page.

    Args:
        path: Local path or URL of the dump.
        name: Stable name of the dump, for provenance.
        max_document_bytes: Bound on a page's wikitext and on its prose, UTF-8 bytes.
        stretch: Only the pages that begin in this one of `multistream.stretches`.

    Yields:
        Documents and drops with `Place(dump=name, page=page id)`. A dump that is cut off or
        damaged ends with one drop that says where; a stretch of one goes on at the next stream.

    Raises:
        InputError: The file cannot be read, or is no MediaWiki dump.
    """
    if streams.plain_name(path).endswith(".parquet"):
        yield from _articles(path, name, max_document_bytes)
        return
    if stretch is not None:
        yield from _stretch(path, name, max_document_bytes, stretch)
        return
    reader = Reader()
    try:
        for block in streams.blocks(path):
            for page in reader.feed(block):
                yield _row(page, reader.site, name, max_document_bytes)
        reader.close()
    except streams.DamagedStreamError as damage:
        yield damage_drop(damage, name, reader.page_id)
    except (expat.ExpatError, RefusedError) as error:
        yield from (_row(page, reader.site, name, max_document_bytes) for page in reader.taken())
        if not reader.is_dump:
            raise _no_dump(path, error) from error
        yield _broken(reader, error, name, None)


def _articles(path: str, name: str, max_document_bytes: int) -> Iterator[Document | Drop]:
    """Yield the rows of a Parquet file; their identifiers say of which wiki a page 12 is.

    The text is as it was published: the headings of closing sections stay in it.
    """
    rows = documents.read(path, name=name, fields={}, max_document_bytes=max_document_bytes)
    for row in rows:
        if isinstance(row, Drop):
            yield row
            continue
        wiki = host_of(row.url or "") or name
        row = dataclasses.replace(row, id=identifier("wikipedia", wiki, row.id))
        if row.title is not None and _is_disambiguation(row.title, ""):
            yield Drop(row.id, row.url, DropReason.DISAMBIGUATION, None, row.place)
        else:
            yield row


def _stretch(
    path: str, name: str, max_document_bytes: int, stretch: Stretch
) -> Iterator[Document | Drop]:
    """Yield the rows of one stretch, from stream to stream where one of them is damaged."""
    head = multistream.header(path) or b""
    first: int | None = 0
    if stretch.start:
        first = bzip2.first_stream(path, stretch.start, stretch.end)
    while first is not None:
        reader = Reader()
        xml = multistream.Xml(path, first, stretch.end, is_inside=first > 0)
        try:
            if first:
                reader.feed(head)
            for block in xml:
                for page in reader.feed(block):
                    yield _row(page, reader.site, name, max_document_bytes)
            if xml.at_end:
                reader.close()
            return
        except streams.DamagedStreamError as damage:
            drop = damage_drop(damage, name, reader.page_id, lost="the rest of this stream")
            # What ends a page of this stretch may be damaged in the next, which says so as well.
            own = identifier("damaged", name, stretch.start, xml.place)
            yield dataclasses.replace(drop, id=own)
        except (expat.ExpatError, RefusedError) as error:
            for page in reader.taken():
                yield _row(page, reader.site, name, max_document_bytes)
            if not reader.is_dump:
                raise _no_dump(path, error) from error
            yield _broken(reader, error, name, xml.place)
        first = bzip2.first_stream(path, xml.place + 1, stretch.end) if xml.is_own else None


def _no_dump(path: str, error: Exception) -> InputError:
    return InputError(
        "the file is not a MediaWiki dump",
        where=path,
        why=str(error),
        fix="Use *-pages-articles*.xml.bz2 of https://dumps.wikimedia.org",
    )


def _broken(reader: Reader, error: Exception, name: str, stream: int | None) -> Drop:
    position = reader.position
    code = getattr(error, "code", None)
    cut_off = code in (
        expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS],
        expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_TOKEN],
        expat.errors.codes[expat.errors.XML_ERROR_PARTIAL_CHAR],
        expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION],
    )
    what = "cut off" if cut_off else f"damaged ({error})"
    if stream is None:
        where = f"at byte {position:,} of its XML, in page {reader.pages + 1:,}"
        where += "; the rest of the file is lost"
    else:
        where = f"in the stream at byte {stream:,}; the rest of that stream is lost"
    return Drop(
        id=identifier("damaged", name, *([position] if stream is None else [stream, position])),
        url=None,
        reason=DropReason.TRUNCATED_RECORD if cut_off else DropReason.DAMAGED_RECORD,
        detail=f"the dump is {what} {where}",
        place=Place(dump=name, page=reader.page_id),
    )


def _row(page: Page, site: Site, name: str, max_document_bytes: int) -> Document | Drop:
    """Return a page's document, or the drop of the first reason that holds."""
    values = page.values
    number = integer(values.get("id"))
    wiki = site.dbname or f"{site.language}wiki"
    own_id = identifier("wikipedia", wiki, values.get("id", ""), values.get("revision", ""))
    title = values.get("title", "").strip()
    url = _url(site.base, title)
    place = Place(dump=name, page=number)

    def drop(reason: DropReason, detail: str | None) -> Drop:
        return Drop(id=own_id, url=url, reason=reason, detail=detail, place=place)

    text = values.get("text", "")
    if page.too_large and page.too_large != "text":
        return drop(DropReason.MALFORMED, f"its {page.too_large} is over {MAX_FIELD} characters")
    if number is None or not title:
        return drop(DropReason.MALFORMED, f"page {page.number:,} has no title or no id")
    if (namespace := values.get("namespace", "0").strip()) != "0":
        return drop(DropReason.NAMESPACE, f"namespace {namespace[:20]}")
    if page.is_redirect or _is_redirect(text):
        return drop(DropReason.REDIRECT, None)
    if page.too_large or len(text.encode("utf-8")) > max_document_bytes:
        bound = min(max_document_bytes, MAX_PAGE_CHARACTERS)
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


def _is_redirect(text: str) -> bool:
    start = text.lstrip()[:64].lower()
    word = start.split("[", 1)[0].split(":", 1)[0].split()
    return bool(word) and word[0] in REDIRECTS and "[[" in text[:MAX_FIELD]


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

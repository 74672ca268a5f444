"""The text of an EPUB book (EPUB 3.3, and 2), in reading order.

A path goes in; title, date and text come out. The archive is hostile: nothing is written to disk,
names are only looked up in the archive, every part is decompressed up to a bound, XML expands no
entities and fetches nothing.
"""

from __future__ import annotations

import html
import posixpath
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from lxml import etree

from corpus import storage
from corpus.sources import streams
from corpus.sources.document_rows import iso_date

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_MAX_PARTS = 10_000
_MAX_PACKAGE = 8 << 20
# A part is parsed whole, at some ten times its size; Dickens in one part is 2 MB.
_MAX_PART = 64 << 20
# Mark-up is at most a few times the text; beyond this it is a bomb.
_MARKUP_FACTOR = 8
_MARKUP_ROOM = 1 << 20
_NAMED_ENTITY = re.compile(rb"&([A-Za-z][A-Za-z0-9]{1,31});")
_XML_ENTITIES = frozenset({b"amp", b"lt", b"gt", b"quot", b"apos"})
_SKIPPED = frozenset(
    {"head", "script", "style", "template", "nav", "svg", "math", "rt", "rp", "object", "audio",
     "video", "iframe"}
)  # fmt: skip
_PARAGRAPHS = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "div", "section", "article", "header",
     "footer", "ul", "ol", "dl", "table", "pre", "figure", "hr", "aside", "body"}
)  # fmt: skip
_ROWS = frozenset({"li", "dt", "dd", "tr", "figcaption", "caption"})
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class BrokenError(Exception):
    """The book cannot be read, or not whole."""


class TooLargeError(Exception):
    """The book decompresses to more than the bound."""


@dataclass(frozen=True)
class Book:
    """An EPUB's text with its title and date (ISO 8601), where the package names them."""

    title: str | None
    date: str | None
    text: str


def read(path: str, *, max_text_bytes: int) -> Book:
    """Return the text of an EPUB: every part of the spine, in its order.

    Args:
        path: Local path or URL.
        max_text_bytes: The parts together may have eight times as many bytes of mark-up.

    Raises:
        InputError: The file cannot be opened.
        BrokenError: It is no EPUB, is encrypted (DRM), or a part is missing or damaged.
        TooLargeError: It decompresses to more than the bound.
    """
    with storage.open_input(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return _book(archive, max_text_bytes)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            NotImplementedError,  # a compression that zipfile does not know
            RuntimeError,  # zipfile's word for an entry that needs a password
            struct.error,
            etree.XMLSyntaxError,
            ValueError,
        ) as error:
            raise BrokenError(f"not a readable EPUB: {str(error)[:200]}") from error


def _book(archive: zipfile.ZipFile, max_text_bytes: int) -> Book:
    container = _xml(_part(archive, _CONTAINER, _MAX_PACKAGE))
    roots = [e.get("full-path") for e in container.iter("{*}rootfile") if e.get("full-path")]
    if not roots:
        raise BrokenError(f"{_CONTAINER} names no package")
    package = _xml(_part(archive, roots[0], _MAX_PACKAGE))
    folder = posixpath.dirname(roots[0])
    names = _spine(package, folder)
    encrypted = _encrypted(archive)
    left = _MARKUP_FACTOR * max_text_bytes + _MARKUP_ROOM
    texts = []
    for name in names:
        if name in encrypted:
            raise BrokenError(f"the book is encrypted (DRM): {name[:200]!r}")
        data = _part(archive, name, min(left, _MAX_PART))
        left -= len(data)
        texts.append(_text(data))
    return Book(
        title=_metadata(package, "title"),
        date=_date(_metadata(package, "date")),
        text="\n\n".join(text for text in texts if text),
    )


def _part(archive: zipfile.ZipFile, name: str, max_bytes: int) -> bytes:
    try:
        entry = archive.getinfo(name)
    except KeyError:
        raise BrokenError(f"a part of the book is missing: {name[:200]!r}") from None
    with archive.open(entry) as part:
        data = part.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise TooLargeError(f"{name[:200]!r} decompresses to more than {max_bytes:,} bytes")
    return data


def _xml(data: bytes) -> Any:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    return etree.fromstring(data, parser)


def _spine(package: Any, folder: str) -> list[str]:
    """Return the names in the archive of the parts, in reading order."""
    parts: dict[str, str] = {}
    for item in package.iter("{*}item"):
        kind = item.get("media-type", "")
        is_navigation = "nav" in item.get("properties", "").split()
        if "html" in kind and not is_navigation:
            target = unquote(item.get("href", "").partition("#")[0])
            parts[item.get("id", "")] = posixpath.normpath(posixpath.join(folder, target))
    names = [
        parts[reference.get("idref")]
        for reference in package.iter("{*}itemref")
        if reference.get("linear") != "no" and reference.get("idref") in parts
    ]
    if not names:
        raise BrokenError("the package has no spine")
    if len(names) > _MAX_PARTS:
        raise TooLargeError(f"the spine has {len(names):,} parts, more than {_MAX_PARTS:,}")
    return names


def _encrypted(archive: zipfile.ZipFile) -> set[str]:
    """Return the names of the parts that are encrypted; fonts often are, in books without DRM."""
    if _ENCRYPTION not in archive.namelist():
        return set()
    root = _xml(_part(archive, _ENCRYPTION, _MAX_PACKAGE))
    uris = (reference.get("URI", "") for reference in root.iter("{*}CipherReference"))
    return {posixpath.normpath(unquote(uri)) for uri in uris}


def _metadata(package: Any, name: str) -> str | None:
    element = package.find(f".//{{http://purl.org/dc/elements/1.1/}}{name}")
    value = " ".join("".join(element.itertext()).split()) if element is not None else ""
    return value[:1000] or None


def _date(value: str | None) -> str | None:
    return iso_date(value[:10]) if value and _DATE.match(value) else None


def _text(data: bytes) -> str:
    """Return the text of an XHTML part: paragraphs apart by an empty line."""
    if not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        # Without the document type's own list, XML knows five named entities of HTML's 2,000.
        data = _NAMED_ENTITY.sub(_character, data)
    try:
        root = _xml(data)
    except etree.XMLSyntaxError:
        parser = etree.HTMLParser(no_network=True)
        root = etree.fromstring(data, parser)
        if root is None:
            return ""
    pieces: list[str] = []
    skipped: Any = None
    for event, element in etree.iterwalk(root, events=("start", "end", "comment", "pi")):
        tag = etree.QName(element).localname.lower() if isinstance(element.tag, str) else ""
        if event == "start" and tag:
            if skipped is None and tag in _SKIPPED:
                skipped = element
            if skipped is None:
                pieces.append(_break(tag))
                pieces.append(_plain(element.text))
            continue
        if event == "start":
            continue
        if skipped is element:
            skipped = None
        if skipped is None:
            pieces.append("\n\n" if tag in _PARAGRAPHS else "")
            pieces.append(_plain(element.tail))
    return _laid_out("".join(pieces))


def _character(match: re.Match[bytes]) -> bytes:
    if match[1] in _XML_ENTITIES:
        return match[0]
    return html.unescape(match[0].decode("ascii")).encode("ascii", "xmlcharrefreplace")


def _break(tag: str) -> str:
    if tag in _PARAGRAPHS:
        return "\n\n"
    return "\n" if tag == "br" or tag in _ROWS else ("\t" if tag in ("td", "th") else "")


def _plain(text: str | None) -> str:
    """White space of the mark-up, line ends included, is one space."""
    return re.sub(r"[ \t\r\n]+", " ", text) if text else ""


def _laid_out(text: str) -> str:
    lines = [re.sub(r"[ \t\u00a0]+", " ", line).strip() for line in text.split("\n")]
    return streams.repaired(re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip())

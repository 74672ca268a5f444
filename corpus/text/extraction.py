"""Bytes of a page to its main text.

GPT-3's authors took Common Crawl's ready-made plain text (Brown et al. 2020, section 2.2); the main
text of the page, without menus and footers, is what later corpora found better. trafilatura reads
best, resiliparse is fifteen times as fast, `none` takes all visible text. trafilatura refuses one
page in forty whole, such as one that begins in the middle of its HTML, and of some takes the notice
about cookies and leaves the thread of a forum. So where it finds little, resiliparse is asked too,
and believed if it finds several times as much: mean token F1 on CleanEval goes from .841 to .893
(`benchmarks/gold.py`).

In: the body of a response and the charset its header names. Out: text as the page
has it, with line feeds for line ends, without control characters and lone surrogates, stripped.
"""

from __future__ import annotations

import codecs
import html as entities
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml", "application/vnd.wap.xhtml+xml"})
EXTRACTORS = ("trafilatura", "resiliparse", "none")

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# WHATWG looks at 1024 bytes; some pages put a long script or comment before the tag.
# Every repetition is bounded: of white space alone, 4096 bytes took 8 seconds without.
_META_BYTES = 4096
_META = re.compile(
    rb"<(?:meta\b|\?xml\b)[^>]{0,512}?(?:charset|encoding)\s{0,16}=\s{0,16}[\"']?\s{0,16}"
    rb"([A-Za-z0-9_.:-]{2,40})",
    re.IGNORECASE,
)
# A named charset is believed though a few bytes are wrong: pages are pasted together.
_MAX_WRONG = 0.01
_DETECTED_BYTES = 1 << 17
_TITLE_BYTES = 1 << 18
_TITLE = re.compile(r"<title\b[^>]{0,512}>([^<]{1,4096})", re.IGNORECASE)
_MAX_TITLE = 512
# Chosen on WCXB and CleanEval, where any share from .2 to .5 and length from 1,000 on does nearly
# as well. A quarter of the pages are looked at twice, at a fifteenth of the time; 3 in 100 change.
_LITTLE = 3000  # characters
_SHARE = 0.3
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_LINE_END = re.compile(r"\r\n?")


def decode(body: bytes, *, charset: str | None) -> str:
    """Decode a page as a browser would (WHATWG Encoding Standard, HTML section 13.2.3).

    A byte order mark wins, then the charset of the HTTP header, then the page's own meta tag or XML
    declaration; names are WHATWG labels (`latin1` means windows-1252). A name that is unknown, or
    that more than one character in a hundred contradicts, is passed over. Then come valid UTF-8,
    the detector's guess and windows-1252. Never raises.

    Args:
        body: The page.
        charset: Charset of the HTTP header, or None.
    """
    for mark, encoding in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(encoding, "replace")
    meta = _META.search(body[:_META_BYTES])
    # An ASCII-readable meta tag cannot be in UTF-16: the standard reads such a name as UTF-8.
    named = meta.group(1).decode("ascii") if meta else None
    in_page = "utf-8" if named and named.lower().startswith("utf-16") else named
    for name in (charset, in_page):
        encoding_of_name = _known(name)
        if encoding_of_name is not None:
            text = _plausible(body, encoding_of_name)
            if text is not None:
                return text
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return _plausible(body, _detected(body)) or body.decode("cp1252", "replace")


def _known(name: str | None) -> str | None:
    """Return Python's codec for a WHATWG label, or None for a label that does not exist."""
    if not name:
        return None
    from resiliparse.parse.encoding import map_encoding_to_html5

    encoding: str | None = map_encoding_to_html5(name.strip().lower()[:64], fallback_utf8=False)
    return encoding


def _detected(body: bytes) -> str:
    from resiliparse.parse.encoding import detect_encoding

    return str(detect_encoding(body, max_len=_DETECTED_BYTES) or "cp1252")


def _plausible(body: bytes, encoding: str) -> str | None:
    try:
        return body.decode(encoding)
    except UnicodeDecodeError:
        text = body.decode(encoding, "replace")
        return text if text.count("\ufffd") <= _MAX_WRONG * len(text) else None


def main_text(html: str | bytes, *, extractor: str) -> str:
    """Return the main text of an HTML page, empty if it has none.

    Args:
        html: The page; bytes are decoded first.
        extractor: `trafilatura` (without comments and metadata, tables as it has them by default;
            resiliparse where it finds next to nothing), `resiliparse` (its main content), or `none`
            (all visible text).

    Raises:
        ValueError: The extractor is not known.
    """
    page = html if isinstance(html, str) else decode(html, charset=None)
    if extractor not in EXTRACTORS:
        raise ValueError(f"no extractor {extractor!r}: there are {', '.join(EXTRACTORS)}")
    if extractor != "trafilatura":
        return _resiliparse(page, main_content=extractor != "none")
    text = _trafilatura(page)
    if len(text) >= _LITTLE:
        return text
    other = _resiliparse(page, main_content=True)
    return text if len(text) > _SHARE * len(other) else other


def _trafilatura(page: str) -> str:
    from trafilatura import extract

    with _quiet("trafilatura"):
        # Metadata would double the time; the address and the date are the archive's.
        text: str | None = extract(page, include_comments=False)
    return normalize(text or "")


def _resiliparse(page: str, *, main_content: bool) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    return normalize(extract_plain_text(page, main_content=main_content))


def normalize(text: str) -> str:
    """Return text with line feeds, without control characters and lone surrogates, stripped."""
    return _CONTROL.sub("", _LINE_END.sub("\n", text)).strip()


def title(html: str) -> str | None:
    """Return the content of the page's first title element, white space collapsed, or None."""
    found = _TITLE.search(html, 0, _TITLE_BYTES)
    if not found:
        return None
    text = normalize(" ".join(entities.unescape(found.group(1)).split()))
    return text[:_MAX_TITLE].strip() or None


def prepare(extractor: str) -> None:
    """Import what the extractor needs, so that the first page does not pay for it."""
    main_text("<p>.</p>", extractor=extractor)


def extract_page(
    body: bytes, charset: str | None, mime_type: str, extractor: str
) -> tuple[str, str | None]:
    """Return text and title of a page; a page of plain text is its own text and has no title."""
    page = decode(body, charset=charset)
    if mime_type in HTML_TYPES:
        return main_text(page, extractor=extractor), title(page)
    return normalize(page), None


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep a library from logging each odd page as an error; its level is restored."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)

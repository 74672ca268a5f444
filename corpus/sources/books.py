"""Books: plain text (with Project Gutenberg's header and licence taken off), EPUB, and JSONL.

A file goes in; one document a book comes out, whole. GPT-3's Books1 and Books2 (Table 2.2) are not
described further than as "internet-based books corpora".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from corpus.document import Document, Drop, DropReason, Place, identifier
from corpus.errors import InputError
from corpus.sources import documents, epub, streams
from corpus.sources.document_rows import damage_drop

_TEXTS = (".txt", ".text", ".md")
_LINES = (".jsonl", ".ndjson", ".json", ".parquet")

# "*** START OF THIS PROJECT GUTENBERG EBOOK EMMA ***"; the title may run over a second line.
_START = re.compile(
    r"^[ \t]*+\*\*\*[ \t]*+START OF (?:THE|THIS) PROJECT GUTENBERG EBOOK[^*]{0,400}\*\*\*[^\n]*$",
    re.IGNORECASE | re.MULTILINE,
)
# Files made before 2004 end their header with the "small print".
_SMALL_PRINT = re.compile(
    r"^\*END[ *]{1,3}THE SMALL PRINT! FOR PUBLIC DOMAIN E(?:TEXT|BOOK)S[^\n]*$",
    re.IGNORECASE | re.MULTILINE,
)
_END = re.compile(
    r"^[ \t]*+(?:\*\*\*[ \t]*+END OF (?:THE|THIS) PROJECT GUTENBERG"
    r"|(?:\*\*\*[ \t]*+)?End of (?:the |this )?Project Gutenberg)",
    re.IGNORECASE | re.MULTILINE,
)
_CREDIT = re.compile(
    r"(?:Produced by|E-?text prepared by|This e-?text was (?:produced|prepared) by"
    r"|Transcribed from)\b",
    re.IGNORECASE,
)
_TITLE = re.compile(r"^Title:[ \t]*([^\n]{1,500})$", re.MULTILINE)
# The header is some 3 kB, with the small print some 15 kB.
_HEADER = 40_000


def read(path: str, *, name: str, max_document_bytes: int) -> Iterator[Document | Drop]:
    """Yield the book of a text or EPUB file, or the books of a JSONL or Parquet file.

    Args:
        path: Local path or URL; text and JSONL may be compressed.
        name: Stable name of the file, for identifiers and provenance.
        max_document_bytes: Bound on the UTF-8 bytes of a book.

    Yields:
        For a text or EPUB file one document or drop, with `Place(dump=name, page=1)`.

    Raises:
        InputError: The file cannot be read at all, or is of no known kind.
    """
    plain = streams.plain_name(path)
    if plain.endswith(_LINES):
        yield from documents.read(path, name=name, fields={}, max_document_bytes=max_document_bytes)
    elif plain.endswith(".epub"):
        yield _epub(path, name, max_document_bytes)
    elif plain.endswith(_TEXTS):
        yield _text(path, name, max_document_bytes)
    else:
        raise InputError(
            "unknown kind of book file",
            where=path,
            why="The kind is told by the name",
            fix=f"Use one of {', '.join((*_TEXTS, '.epub', *_LINES))}",
        )


def without_gutenberg_frame(text: str) -> tuple[str, str | None]:
    r"""Take Project Gutenberg's header, credits and licence off a book.

    Args:
        text: A book, line ends `\n`.

    Returns:
        The book and its title; a text without such a header as it is, and None.
    """
    head = text[:_HEADER]
    start = _START.search(head) or _SMALL_PRINT.search(head)
    if start is None or "gutenberg" not in head.lower():
        return text, None
    title = _TITLE.search(head[: start.start()])
    end = _END.search(text, start.end())
    body = text[start.end() : end.start() if end else len(text)].strip()
    paragraph, gap, rest = body.partition("\n\n")
    if gap and len(paragraph) < 1000 and _CREDIT.match(paragraph):
        body = rest.strip()
    return body + "\n", title[1].strip() if title else None


def _text(path: str, name: str, max_document_bytes: int) -> Document | Drop:
    try:
        data = streams.whole(path, max_bytes=max_document_bytes)
    except streams.DamagedStreamError as damage:
        return damage_drop(damage, name, 1)
    if data is None:
        return _drop(name, DropReason.TEXT_TOO_LARGE, f"more than {max_document_bytes:,} bytes")
    text = streams.decode(data)
    if text is None:
        return _drop(name, DropReason.MALFORMED, "not text: NUL bytes or damaged UTF-16")
    return _document(name, *without_gutenberg_frame(text), None, max_document_bytes)


def _epub(path: str, name: str, max_document_bytes: int) -> Document | Drop:
    try:
        book = epub.read(path, max_text_bytes=max_document_bytes)
    except epub.TooLargeError as error:
        return _drop(name, DropReason.TEXT_TOO_LARGE, str(error))
    except epub.BrokenError as error:
        return _drop(name, DropReason.DAMAGED_RECORD, str(error))
    return _document(name, book.text, book.title, book.date, max_document_bytes)


def _document(
    name: str, text: str, title: str | None, date: str | None, max_document_bytes: int
) -> Document | Drop:
    if not text.strip():
        return _drop(name, DropReason.NO_TEXT, None)
    if (size := len(text.encode("utf-8"))) > max_document_bytes:
        detail = f"{size:,} bytes, more than {max_document_bytes:,}"
        return _drop(name, DropReason.TEXT_TOO_LARGE, detail)
    return Document(
        id=identifier("books", name, text),
        url=None,
        date=date,
        title=title,
        text=text,
        place=Place(dump=name, page=1),
    )


def _drop(name: str, reason: DropReason, detail: str | None) -> Drop:
    return Drop(
        id=identifier("books", name),
        url=None,
        reason=reason,
        detail=detail,
        place=Place(dump=name, page=1),
    )

"""Books."""

from __future__ import annotations

import io
import json
import time
import zipfile
from pathlib import Path

import pytest

from corpus.document import Document, Drop, identifier
from corpus.errors import InputError
from corpus.sources import books, streams

HEADER = """The Project Gutenberg EBook of A Tale, by Nobody

This eBook is for the use of anyone anywhere.

Title: A Tale

*** START OF THIS PROJECT GUTENBERG EBOOK A TALE,
IN TWO LINES ***


Produced by Somebody and
the Team


"""
FOOTER = """

End of the Project Gutenberg EBook of A Tale, by Nobody

*** END OF THIS PROJECT GUTENBERG EBOOK A TALE ***

Section 1. General Terms
"""
BODY = "A TALE\n\nOnce upon a time.\n\nThe end of the Project: it worked."

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OPS/book.opf" media-type="application/oebps-package+xml"/>'
    "</rootfiles></container>"
)
PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf" version="3.0">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>A  Tale</dc:title>
<dc:date>1901-02-03T00:00:00Z</dc:date></metadata>
<manifest>
<item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="a" href="text/one%20a.xhtml" media-type="application/xhtml+xml"/>
<item id="b" href="text/two.xhtml" media-type="application/xhtml+xml"/>
<item id="c" href="text/../three.xhtml" media-type="application/xhtml+xml"/>
<item id="p" href="cover.jpg" media-type="image/jpeg"/>
</manifest>
<spine><itemref idref="n"/><itemref idref="b"/><itemref idref="p"/><itemref idref="a"/>
<itemref idref="c" linear="no"/></spine></package>"""


def page(body: str) -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html>'
        f'<html xmlns="http://www.w3.org/1999/xhtml"><head><title>no</title></head>{body}</html>'
    )


PARTS = {
    "META-INF/container.xml": CONTAINER,
    "OPS/book.opf": PACKAGE,
    "OPS/nav.xhtml": page("<body><p>contents</p></body>"),
    "OPS/text/one a.xhtml": page(
        "<body><h1>Two</h1><p>Last&nbsp;words&mdash;\n of <i>it</i>.</p></body>"
    ),
    "OPS/text/two.xhtml": page(
        "<body><h1>One</h1><p>First<br/>line.</p><!-- c -->tail<script>x</script>"
        "<ul><li>a</li><li>b</li></ul></body>"
    ),
    "OPS/three.xhtml": page("<body><p>aside</p></body>"),
}
TEXT = "One\n\nFirst\nline.\n\ntail\n\na\nb\n\nTwo\n\nLast words— of it."


def epub(tmp_path: Path, parts: dict[str, str]) -> Path:
    path = tmp_path / "a.epub"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def read(path: Path, limit: int = 1_000_000) -> Document | Drop:
    rows = list(books.read(str(path), name=path.name, max_document_bytes=limit))
    assert len(rows) == 1
    return rows[0]


def test_read_gutenberg_text_takes_header_credits_and_licence_off(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes((HEADER + BODY + FOOTER).replace("\n", "\r\n").encode())
    book = read(path)
    assert isinstance(book, Document)
    assert book.text == BODY + "\n"
    assert book.title == "A Tale"
    assert book.id == identifier("books", "a.txt", book.text)


def test_read_other_text_is_as_it_is(tmp_path: Path) -> None:
    text = "  A book about Project Gutenberg.\n\n*** START ***\n\nEnd of Project Gutenberg\n"
    path = tmp_path / "a.txt"
    path.write_text(text, encoding="latin-1")
    book = read(path)
    assert isinstance(book, Document)
    assert (book.text, book.title) == (text, None)


def test_without_gutenberg_frame_knows_the_old_small_print() -> None:
    text = (
        "Project Gutenberg Etext\n*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*"
        "\n\nThe book.\n\nEnd of Project Gutenberg's Etext\n"
    )
    assert books.without_gutenberg_frame(text) == ("The book.\n", None)


def test_without_gutenberg_frame_of_hostile_text_takes_linear_time() -> None:
    text = HEADER + (" " * 400_000 + "\n") * 5 + "***" * 100_000
    start = time.process_time()
    books.without_gutenberg_frame(text)
    assert time.process_time() - start < 3


def test_read_epub_follows_the_spine(tmp_path: Path) -> None:
    book = read(epub(tmp_path, PARTS))
    assert isinstance(book, Document)
    assert (book.title, book.date, book.text) == ("A Tale", "1901-02-03", TEXT)


def test_read_epub_part_that_is_not_xml_is_read_as_html(tmp_path: Path) -> None:
    broken = "<html><body><p>One <b>two</i> three<p>four</body>"
    book = read(epub(tmp_path, {**PARTS, "OPS/text/two.xhtml": broken}))
    assert isinstance(book, Document)
    assert book.text.startswith("One two three\n\nfour\n\nTwo")


def test_read_epub_expands_no_entities(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("SECRET")
    part = (
        f'<!DOCTYPE html [<!ENTITY s SYSTEM "{secret.as_uri()}"><!ENTITY a "BOMB">'
        '<!ENTITY b "&a;&a;&a;">]><html><body><p>x &s; y &b; z</p></body></html>'
    )
    book = read(epub(tmp_path, {**PARTS, "OPS/text/two.xhtml": part}))
    assert isinstance(book, Document)
    assert "SECRET" not in book.text
    assert "BOMB" not in book.text
    assert book.text.startswith("x y z")


ENCRYPTION = (
    '<encryption><EncryptedData xmlns="http://www.w3.org/2001/04/xmlenc#"><CipherData>'
    '<CipherReference URI="{}"/></CipherData></EncryptedData></encryption>'
)


def test_read_epub_with_encrypted_text_is_a_drop_and_with_encrypted_fonts_is_not(
    tmp_path: Path,
) -> None:
    name = "META-INF/encryption.xml"
    row = read(epub(tmp_path, {**PARTS, name: ENCRYPTION.format("OPS/text/one%20a.xhtml")}))
    assert isinstance(row, Drop)
    assert row.reason == "damaged_record"
    assert "encrypted (DRM)" in (row.detail or "")
    row = read(epub(tmp_path, {**PARTS, name: ENCRYPTION.format("OPS/font.otf")}))
    assert isinstance(row, Document)


def test_read_epub_bomb_is_a_drop(tmp_path: Path) -> None:
    bomb = page("<body><p>" + "x" * 30_000_000 + "</p></body>")
    path = epub(tmp_path, {**PARTS, "OPS/text/two.xhtml": bomb})
    assert path.stat().st_size < 100_000
    row = read(path, limit=100_000)
    assert isinstance(row, Drop)
    assert row.reason == "text_too_large"


@pytest.mark.parametrize(
    ("name", "content", "detail"),
    [
        ("META-INF/container.xml", None, "missing"),
        ("OPS/text/two.xhtml", None, "missing"),
        (
            "META-INF/container.xml",
            CONTAINER.replace("OPS/book.opf", "../../etc/passwd"),
            "missing",
        ),
        ("OPS/book.opf", PACKAGE.replace("text/two.xhtml", "/etc/passwd"), "missing"),
        ("OPS/book.opf", "<package/>", "no spine"),
        ("OPS/book.opf", "not xml", "not a readable EPUB"),
        ("META-INF/container.xml", "<container/>", "names no package"),
    ],
)
def test_read_epub_that_is_not_whole_is_a_drop(
    tmp_path: Path, name: str, content: str | None, detail: str
) -> None:
    parts = dict(PARTS)
    if content is None:
        del parts[name]
    else:
        parts[name] = content
    row = read(epub(tmp_path, parts))
    assert isinstance(row, Drop)
    assert row.reason == "damaged_record"
    assert detail in (row.detail or "")


@pytest.mark.parametrize("cut", [0, 4, 100, -30])
def test_read_epub_that_is_cut_off_is_a_drop(tmp_path: Path, cut: int) -> None:
    path = epub(tmp_path, PARTS)
    path.write_bytes(path.read_bytes()[:cut])
    row = read(path)
    assert isinstance(row, Drop)
    assert row.reason == "damaged_record"


@pytest.mark.parametrize("seed", range(20))
def test_read_epub_with_damaged_bytes_never_raises(tmp_path: Path, seed: int) -> None:
    path = epub(tmp_path, PARTS)
    data = bytearray(path.read_bytes())
    for step in range(8):
        data[(seed * 7919 + step * 104729) % len(data)] ^= 1 << (seed % 8)
    path.write_bytes(data)
    assert isinstance(read(path), Document | Drop)


def test_read_epub_that_needs_a_password_is_a_drop(tmp_path: Path) -> None:
    path = epub(tmp_path, PARTS)
    data = path.read_bytes()
    # Bit 0 of the flags, in the central directory and the local headers.
    data = data.replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01")
    data = data.replace(b"PK\x03\x04\x14\x00\x00", b"PK\x03\x04\x14\x00\x01")
    path.write_bytes(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive, pytest.raises(RuntimeError):
        archive.read("OPS/book.opf")
    row = read(path)
    assert isinstance(row, Drop)
    assert row.reason == "damaged_record"


def test_read_json_lines_and_unknown_kinds(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "book", "title": "T"}) + "\n")
    book = read(path)
    assert isinstance(book, Document)
    assert (book.text, book.title) == ("book", "T")
    (tmp_path / "a.mobi").write_bytes(b"x")
    with pytest.raises(InputError, match="unknown kind of book"):
        read(tmp_path / "a.mobi")


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "no_text"), (b"a\x00b", "malformed"), (b"x" * 2000, "text_too_large")],
)
def test_read_text_that_is_no_book_is_a_drop(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    row = read(path, limit=1000)
    assert isinstance(row, Drop)
    assert row.reason == reason


@pytest.mark.real
def test_without_gutenberg_frame_of_real_editions(real_data: Path) -> None:
    path = str(real_data / "books" / "gutenberg_editions.jsonl.zst")
    editions = [json.loads(line) for _, line in streams.lines(path, max_line_bytes=10**8)]
    framed = [e["text"].replace("\r\n", "\n") for e in editions if len(e["text"]) > 1000]
    assert len(framed) == 4
    for text in framed:
        body, title = books.without_gutenberg_frame(text)
        assert title in ("Pride and Prejudice", "The Adventures of Sherlock Holmes")
        assert "gutenberg" not in body.lower()
        assert 0.94 * len(text) < len(body) < 0.99 * len(text)

"""Wikipedia dumps."""

from __future__ import annotations

import bz2
import gzip
import re
import tracemalloc
from collections import Counter
from pathlib import Path
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.document import Document, Drop, DropReason, identifier
from corpus.errors import InputError
from corpus.sources import wikipedia

SITE = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">\n'
    "<siteinfo><sitename>Wikipedia</sitename><dbname>enwiki</dbname>"
    "<base>https://en.wikipedia.org/wiki/Main_Page</base><namespaces>"
    '<namespace key="0" case="first-letter" /><namespace key="6">Картина</namespace>'
    "</namespaces></siteinfo>\n"
)
END = "</mediawiki>\n"


def page(
    title: str = "A page",
    text: str = "Some prose.",
    *,
    number: int = 7,
    namespace: int = 0,
    more: str = "",
    model: str = "wikitext",
) -> str:
    return (
        f"<page><title>{escape(title)}</title><ns>{namespace}</ns><id>{number}</id>{more}"
        f"<revision><id>99</id><parentid>98</parentid><timestamp>2020-01-02T03:04:05Z</timestamp>"
        f"<contributor><username>U</username><id>1</id></contributor><model>{model}</model>"
        f'<text bytes="1" xml:space="preserve">{escape(text)}</text></revision></page>\n'
    )


def write(tmp_path: Path, data: bytes, name: str = "dump.xml") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def read(path: Path, limit: int = 1_000_000) -> list[Document | Drop]:
    return list(wikipedia.read(str(path), name=path.name, max_document_bytes=limit))


def one(tmp_path: Path, content: str, limit: int = 1_000_000) -> Document | Drop:
    rows = read(write(tmp_path, (SITE + content + END).encode()), limit)
    assert len(rows) == 1
    return rows[0]


def test_read_article_is_a_document_with_its_provenance(tmp_path: Path) -> None:
    text = "'''Bold''' [[link|prose]] [[Картина:x.png|y]].\n== References ==\n{{reflist}}"
    document = one(tmp_path, page("Größe & “more”?", text))
    assert document == Document(
        id=identifier("wikipedia", "enwiki", "7", "99"),
        url="https://en.wikipedia.org/wiki/Gr%C3%B6%C3%9Fe_%26_%E2%80%9Cmore%E2%80%9D%3F",
        date="2020-01-02T03:04:05Z",
        title="Größe & “more”?",
        text="Bold prose.",
        place=document.place,
    )
    assert (document.place.dump, document.place.page) == ("dump.xml", 7)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (page("Talk:X", namespace=1), "namespace"),
        (page("Talk:X", "#REDIRECT [[Y]]", namespace=1), "namespace"),
        (page(more='<redirect title="Y" />', text="#REDIRECT [[Y]]"), "redirect"),
        (page(text="#weiterleitung [[Y]]"), "redirect"),
        (page(text="#REDIRECT:[[Y]]"), "redirect"),
        (page(text="X may be:\n* [[Y]]\n{{Disambiguation|geo}}"), "disambiguation"),
        (page(text="X may be:\n* [[Y]]\n{{hndis|X, Y}}"), "disambiguation"),
        (page("X (disambiguation)"), "disambiguation"),
        (page("X (Begriffsklärung)"), "disambiguation"),
        (page(text="X.\n__DISAMBIG__"), "disambiguation"),
        (page(text=" "), "missing_text"),
        (page(text="{{only a template}}"), "no_text"),
        (page(text="a {}", model="javascript"), "malformed"),
        (page(title=""), "malformed"),
        (page(title="x" * 5000), "malformed"),
        ("<page><title>X</title><ns>0</ns><id>x</id></page>", "malformed"),
        (page(text="x" * 2000), "page_too_large"),
    ],
)
def test_read_page_that_is_no_article_is_a_drop(tmp_path: Path, content: str, reason: str) -> None:
    row = one(tmp_path, content, limit=1000)
    assert isinstance(row, Drop)
    assert row.reason.value == reason


@pytest.mark.parametrize(
    "text", ["#[[First]] item", "{{disambiguation needed}} Prose.", "#redirected by hand"]
)
def test_read_article_that_looks_like_another_kind_is_a_document(tmp_path: Path, text: str) -> None:
    assert isinstance(one(tmp_path, page(text=text)), Document)


def test_read_takes_the_last_revision(tmp_path: Path) -> None:
    old = "<revision><id>1</id><text>Old.</text></revision>"
    document = one(tmp_path, page(more=old, text="New."))
    assert isinstance(document, Document)
    assert document.text == "New."


@pytest.mark.parametrize("kind", ["xml", "gz", "bz2", "streams", "utf-16"])
def test_read_takes_every_packing(tmp_path: Path, kind: str) -> None:
    xml = SITE + page("One", "Größe", number=1) + page("Two", number=2) + END
    data = xml.encode("utf-16" if kind == "utf-16" else "utf-8")
    parts = [data[:900], data[900:1000], data[1000:]]
    packed = {
        "xml": data,
        "gz": gzip.compress(data),
        "bz2": bz2.compress(data),
        "streams": b"".join(map(bz2.compress, parts)),
        "utf-16": bz2.compress(data),
    }[kind]
    rows = read(write(tmp_path, packed, "dump"))
    assert [getattr(row, "text", None) for row in rows] == ["Größe", "Some prose."]


@pytest.mark.parametrize("pack", ["xml", "bz2"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_read_dump_that_is_cut_off_ends_with_one_drop(
    tmp_path: Path, pack: str, share: float
) -> None:
    pages = [page(f"P{i}", f"Prose {i}. " * 50, number=i) for i in range(1, 3001)]
    data = (SITE + "".join(pages) + END).encode()
    if pack == "bz2":
        # Streams of 100 kB: bzip2 gives nothing of a block that is not whole.
        data = b"".join(bz2.compress(data[i : i + 100_000]) for i in range(0, len(data), 100_000))
    rows = read(write(tmp_path, data[: int(len(data) * share)]))
    assert all(isinstance(row, Document) for row in rows[:-1])
    assert [row.place.page for row in rows[:-1]] == list(range(1, len(rows)))
    assert 0 < len(rows) - 1 < 3000
    last = rows[-1]
    assert isinstance(last, Drop)
    assert last.reason is DropReason.TRUNCATED_RECORD
    assert "cut off at byte" in (last.detail or "")


def test_read_dump_without_its_last_tag_keeps_every_page(tmp_path: Path) -> None:
    rows = read(write(tmp_path, (SITE + page()).encode()))
    assert [type(row).__name__ for row in rows] == ["Document", "Drop"]


def test_read_dump_with_damaged_xml_ends_with_one_drop(tmp_path: Path) -> None:
    rows = read(write(tmp_path, (SITE + page() + "<page></title>" + page() + END).encode()))
    assert isinstance(rows[0], Document)
    assert isinstance(rows[1], Drop)
    assert rows[1].reason is DropReason.DAMAGED_RECORD
    assert len(rows) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"", b"no xml", b"<html></html>", b"\x00" * 100,
        b'<!DOCTYPE m [<!ENTITY a "b">]><mediawiki><page/></mediawiki>',
    ],
)  # fmt: skip
def test_read_file_that_is_no_dump_raises(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InputError, match="not a MediaWiki dump"):
        read(write(tmp_path, data))


def test_read_deep_nesting_ends_with_one_drop(tmp_path: Path) -> None:
    rows = read(write(tmp_path, (SITE + page() + "<a>" * 100_000).encode()))
    assert [type(row).__name__ for row in rows] == ["Document", "Drop"]


def test_read_memory_is_bounded_by_a_page(tmp_path: Path) -> None:
    """A page of 40 MB, and then 10 MB of pages, pass through a few MB of memory."""
    path = tmp_path / "dump.xml.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(SITE.encode())
        file.write(page(text="").partition("</text>")[0].encode())
        file.write(b"x" * 40_000_000)
        file.write(b"</text></revision></page>")
        for number in range(100):
            file.write(page(text="word " * 20_000, number=number).encode())
        file.write(END.encode())
    tracemalloc.start()
    reasons = Counter(
        row.reason.value if isinstance(row, Drop) else "document"
        for row in wikipedia.read(str(path), name="d", max_document_bytes=1_000_000)
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reasons == {"page_too_large": 1, "document": 100}
    # The bound on one page is 16 Mi characters.
    assert peak < 30_000_000


LEFT_OVERS = re.compile(r"\{\{|\}\}|\[\[|\]\]|\{\||\|\}|<ref|</?(?:div|span|br|table)\b|'''")


@pytest.mark.real
@pytest.mark.parametrize(
    ("pattern", "counts"),
    [
        (
            "enwiki-latest*",
            {"document": 98, "disambiguation": 8, "redirect": 99, "namespace": 1},
        ),
        ("enwiki-table*", {"document": 5}),
        ("bgwiki-*", {"document": 1, "namespace": 2}),
    ],
)
def test_read_real_dumps(real_data: Path, pattern: str, counts: dict[str, int]) -> None:
    path = next((real_data / "wikipedia").glob(pattern))
    rows = list(wikipedia.read(str(path), name=path.name, max_document_bytes=2**29))
    assert Counter(r.reason.value if isinstance(r, Drop) else "document" for r in rows) == counts
    assert len({row.id for row in rows}) == len(rows)
    documents = [row for row in rows if isinstance(row, Document)]
    dirty = [row.title for row in documents if LEFT_OVERS.search(row.text)]
    assert len(dirty) <= 0.005 * len(documents), dirty
    assert not [d.title for d in documents if re.search(r"^(References|See also)$", d.text, re.M)]


def test_read_parquet_of_articles_has_identifiers_of_its_wiki(tmp_path: Path) -> None:
    """The columns are those of the public set wikimedia/wikipedia."""

    def table(name: str, host: str) -> Path:
        url = f"https://{host}/wiki/"
        found = [
            {"id": "12", "url": url + "A", "title": "A", "text": "Prose."},
            {"id": "13", "url": url + "B", "title": "B (disambiguation)", "text": "B may be"},
            {"id": "14", "url": url + "C", "title": "C", "text": " "},
        ]
        path = tmp_path / name
        pq.write_table(pa.Table.from_pylist(found), path)
        return path

    english = read(table("train-00000-of-00041.parquet", "en.wikipedia.org"))
    german = read(table("train-00000-of-00020.parquet", "de.wikipedia.org"))
    first = english[0]
    assert isinstance(first, Document)
    assert (first.title, first.text, first.place.page) == ("A", "Prose.", 1)
    assert first.url == "https://en.wikipedia.org/wiki/A"
    assert [getattr(row, "reason", None) for row in english] == [
        None,
        DropReason.DISAMBIGUATION,
        DropReason.MISSING_TEXT,
    ]
    assert english[0].id != german[0].id

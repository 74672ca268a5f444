"""Dumps of many bzip2 streams, read in stretches."""

from __future__ import annotations

import bz2
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.document import Document, Drop
from corpus.engine import LocalEngine
from corpus.sources import bzip2, multistream, wikipedia
from corpus.sources.multistream import Stretch
from tests.made import digests, make_recipe, rows, run
from tests.sources.test_wikipedia import END, SITE, page

PAGES = [page(f"Page {n}", f"Prose of page {n}. " * (n % 7 + 1), number=n) for n in range(1, 41)]
XML = (SITE + "".join(PAGES) + END).encode()


def packed(pieces: Sequence[bytes]) -> bytes:
    return b"".join(bz2.compress(piece) for piece in pieces)


def by_pages(each: int) -> bytes:
    """Return a dump in the shape of Wikipedia's own: header, a stream for some pages, end."""
    groups = ["".join(PAGES[at : at + each]).encode() for at in range(0, len(PAGES), each)]
    return packed([SITE.encode(), *groups, END.encode()])


def whole(path: Path) -> list[Document | Drop]:
    return list(wikipedia.read(str(path), name="d", max_document_bytes=10**6))


def in_stretches(path: Path, cuts: Sequence[int]) -> list[Document | Drop]:
    rows: list[Document | Drop] = []
    ends = [*cuts, path.stat().st_size]
    for start, end in zip([0, *cuts], ends, strict=True):
        stretch = Stretch(start, end)
        rows += wikipedia.read(str(path), name="d", max_document_bytes=10**6, stretch=stretch)
    return rows


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, len(XML) - 1), max_size=25, unique=True).map(sorted),
    st.lists(st.floats(0, 1), max_size=6).map(sorted),
)
def test_stretches_give_the_pages_of_the_whole_wherever_streams_and_stretches_begin(
    tmp_path_factory: pytest.TempPathFactory, streams: list[int], cuts: list[float]
) -> None:
    """pbzip2 ends a stream anywhere: within a page, and within the mark that begins one."""
    path = tmp_path_factory.mktemp("d") / "dump.xml.bz2"
    ends = [*streams, len(XML)]
    pieces = [XML[a:b] for a, b in zip([0, *streams], ends, strict=True)]
    path.write_bytes(packed(pieces))
    found = in_stretches(path, [int(cut * path.stat().st_size) for cut in cuts])
    assert found == whole(path)
    assert len(found) == 40


@pytest.mark.parametrize("inside", range(1, 6))
def test_stretches_find_a_page_whose_mark_is_cut_by_a_stream_and_a_stretch(
    tmp_path: Path, inside: int
) -> None:
    mark = XML.index(b"<page>", len(XML) // 2)
    first = packed([XML[: mark + inside]])
    path = tmp_path / "dump.xml.bz2"
    path.write_bytes(first + packed([XML[mark + inside :]]))
    rows = [in_stretches(path, [cut]) for cut in (len(first) - 1, len(first), len(first) + 1)]
    assert rows == [whole(path)] * 3


def test_stretch_within_one_page_has_no_page(tmp_path: Path) -> None:
    mark = XML.index(b"<page>", len(XML) // 2)
    pieces = [packed([XML[: mark + 50]]), packed([XML[mark + 50 : mark + 90]])]
    path = tmp_path / "dump.xml.bz2"
    path.write_bytes(b"".join(pieces) + packed([XML[mark + 90 :]]))
    assert in_stretches(path, [len(pieces[0]), len(pieces[0] + pieces[1])]) == whole(path)


def test_stretches_of_a_damaged_stream_go_on_at_the_next(tmp_path: Path) -> None:
    data = bytearray(by_pages(5))
    starts = [found.start() for found in re.finditer(rb"BZh91AY&SY", bytes(data))]
    data[starts[3] + 60] ^= 0xFF  # pages 11 to 15
    path = tmp_path / "dump.xml.bz2"
    path.write_bytes(data)
    for cuts in ([], [starts[2] + 5], [starts[3]], [starts[3] + 1], [starts[4]], [starts[6]]):
        rows = in_stretches(path, cuts)
        numbers = [row.place.page for row in rows if isinstance(row, Document)]
        assert numbers == [*range(1, 11), *range(16, 41)], cuts
        lost = [row for row in rows if isinstance(row, Drop)]
        assert [drop.reason for drop in lost] == ["damaged_record"], cuts
        assert "the rest of this stream is lost" in str(lost[0].detail)


def test_stretches_of_a_dump_that_is_cut_off_say_so_once(tmp_path: Path) -> None:
    path = tmp_path / "dump.xml.bz2"
    path.write_bytes(by_pages(5)[:-150])
    rows = in_stretches(path, [path.stat().st_size // 2])
    drops = [row for row in rows if isinstance(row, Drop)]
    assert [drop.reason for drop in drops] == ["truncated_record"]
    # The streams are whole and the XML is not: the same is said.
    path.write_bytes(packed([SITE.encode(), PAGES[0].encode(), PAGES[1].encode()]))
    rows = in_stretches(path, [path.stat().st_size // 2])
    assert [type(row) for row in rows] == [Document, Document, Drop]


def test_stretches_go_on_behind_xml_that_is_broken(tmp_path: Path) -> None:
    groups = [b"".join(p.encode() for p in PAGES[at : at + 5]) for at in range(0, 40, 5)]
    groups[3] = groups[3].replace(b"</title>", b"</titel>", 1)
    path = tmp_path / "dump.xml.bz2"
    path.write_bytes(packed([SITE.encode(), *groups, END.encode()]))
    rows = in_stretches(path, [path.stat().st_size // 2])
    numbers = [row.place.page for row in rows if isinstance(row, Document)]
    assert numbers == [*range(1, 16), *range(21, 41)]
    assert [row.reason for row in rows if isinstance(row, Drop)] == ["damaged_record"]


def test_planned_stretches_have_one_size_and_cover_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dump.xml.bz2"
    path.write_bytes(by_pages(3))
    size = path.stat().st_size
    assert multistream.stretches(str(path)) == []  # one stretch is the whole file
    monkeypatch.setattr(multistream, "SIZE", 500)
    stretches = multistream.stretches(str(path))
    assert [s.start for s in stretches] == list(range(0, size, 500))
    assert [s.end for s in stretches] == [*(s.start for s in stretches[1:]), size]
    assert in_stretches(path, [s.start for s in stretches[1:]]) == whole(path)


@pytest.mark.parametrize(
    "data",
    [
        bz2.compress(XML),  # one stream
        XML,
        packed([XML[:3000].decode().encode("utf-16"), XML[3000:].decode().encode("utf-16-le")]),
        packed([b"x" * 900, b"y" * 900]),
    ],
)
def test_dumps_that_are_read_as_a_whole_have_no_stretches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    monkeypatch.setattr(multistream, "SIZE", 10)
    path = tmp_path / "dump.xml"
    path.write_bytes(data)
    assert multistream.stretches(str(path)) == []


def test_first_stream_is_one_that_decodes(tmp_path: Path) -> None:
    path = tmp_path / "x"
    real = bz2.compress(b"text" * 100)
    path.write_bytes(b"BZh91AY&SY" + b"junk" * 5 + real + bz2.compress(b"") + real)
    size = path.stat().st_size
    first = bzip2.first_stream(str(path), 0, size)
    assert first == 30
    assert bzip2.first_stream(str(path), 31, size) == size - len(real)
    assert bzip2.first_stream(str(path), 0, 30) is None
    assert bzip2.first_stream(str(path), size - len(real) + 1, size) is None


def test_first_stream_finds_a_beginning_across_two_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\x01" * 95 + bz2.compress(b"text"))
    for block in (10, 32, 96, 100):
        monkeypatch.setattr(bzip2, "_BLOCK", block)
        assert bzip2.first_stream(str(path), 0, 1000) == 95


def test_index_beside_a_dump_is_known_by_its_name() -> None:
    names = ["enwiki-20261120-pages-articles-multistream-index.txt.bz2"]
    names += ["enwiki-20261120-pages-articles-multistream-index1.txt-p1p41242.bz2"]
    assert all(map(wikipedia.is_index, names))
    assert not wikipedia.is_index("enwiki-20261120-pages-articles-multistream1.xml-p1p41242.bz2")


def test_one_dump_is_shared_out_and_the_lists_of_its_streams_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multistream, "SIZE", 700)
    dump = tmp_path / "d" / "xwiki-1-pages-articles-multistream.xml.bz2"
    dump.parent.mkdir()
    dump.write_bytes(by_pages(4))
    index = dump.with_name("xwiki-1-pages-articles-multistream-index.txt.bz2")
    index.write_bytes(bz2.compress(b"0:1:Page 1\n"))
    recipe = make_recipe({"w": {"wikipedia": f"{dump.parent}/*"}})
    one = run(recipe, tmp_path / "one", "extract")
    run(recipe, tmp_path / "two", "extract", LocalEngine(2))
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    extract = one.stage("extract")
    assert [s.name for s in extract.shards] == [f"part-{n:05d}" for n in range(len(extract.shards))]
    assert len(extract.shards) == -(-dump.stat().st_size // 700) > 2
    found = [row["page"] for row in rows(extract, "documents")]
    assert found == list(range(1, 41))

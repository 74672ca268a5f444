"""Pieces of input files: whole documents, of about the sizes asked for, that read like the file."""

from __future__ import annotations

import bz2
import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from corpus.document import Document
from corpus.errors import RecipeError
from corpus.planning.cut import cut
from corpus.sources import documents, warc, wikipedia
from tests.made_crawl import crawl

SIZES = [20_000, 60_000, 20_000, 60_000]


def rows(number: int = 800) -> list[dict[str, str]]:
    draw = random.Random(2)
    return [
        {"id": f"d{n}", "text": f"Document {n}. {draw.randbytes(100).hex()}"} for n in range(number)
    ]


def read(path: str) -> list[str]:
    found = documents.read(path, name="x", fields={}, max_document_bytes=10**6)
    return [row.id for row in found if isinstance(row, Document)]


PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.compress,
}


@pytest.mark.parametrize("suffix", PACK)
def test_pieces_of_lines_are_the_beginning_of_the_file(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.jsonl{suffix}"
    data = "".join(json.dumps(row) + "\n" for row in rows(8000)).encode()
    path.write_bytes(PACK[suffix](data))
    pieces = cut(str(path), SIZES, tmp_path / "out", seed=1)
    found = [id_ for piece in pieces for id_ in read(piece.path)]
    assert len(pieces) == 4
    assert found == [f"d{n}" for n in range(len(found))]
    # What the pieces stand for is what was read for them: documents are spread evenly here.
    share = sum(piece.bytes for piece in pieces) / path.stat().st_size
    assert len(found) / 8000 == pytest.approx(share, rel=0.35)
    assert pieces[1].bytes > 2 * pieces[0].bytes


def test_what_a_piece_stands_for_does_not_depend_on_how_it_is_packed(tmp_path: Path) -> None:
    """A file that is stored is packed anew: its pieces are half as large as what they stand for."""
    path = tmp_path / "a.jsonl.gz"
    data = "".join(json.dumps(row) + "\n" for row in rows(8000)).encode()
    path.write_bytes(gzip.compress(data, compresslevel=0))
    pieces = cut(str(path), SIZES, tmp_path / "out", seed=1)
    found = sum(len(read(piece.path)) for piece in pieces)
    share = sum(piece.bytes for piece in pieces) / path.stat().st_size
    assert found / 8000 == pytest.approx(share, rel=0.1)
    assert sum(Path(p.path).stat().st_size for p in pieces) < 0.7 * sum(p.bytes for p in pieces)


def test_pieces_of_an_archive_are_whole_records_of_it(tmp_path: Path) -> None:
    files, _ = crawl(archives=1, pages=40)
    name, data = next((n, d) for n, d in files.items() if n.endswith(".warc.gz"))
    path = tmp_path / Path(name).name
    path.write_bytes(data)
    size = len(data) // 8
    pieces = cut(str(path), [size] * 4, tmp_path / "out", seed=1)
    assert (
        b"".join(Path(piece.path).read_bytes() for piece in pieces)
        == data[: int(sum(piece.bytes for piece in pieces))]
    )
    for piece in pieces:
        assert piece.bytes >= size
        every = list(warc.read(piece.path, name="x", max_page_bytes=10**6))
        assert every
        assert not [row for row in every if getattr(row, "reason", "") in ("damaged_record",)]


def test_pieces_of_a_dump_are_dumps(tmp_path: Path) -> None:
    page = (
        "<page><title>Title {n}</title><ns>0</ns><id>{n}</id><revision><id>1</id><timestamp>"
        "2020-01-01T00:00:00Z</timestamp><model>wikitext</model><format>text/x-wiki</format><text>"
        "{text}</text></revision></page>"
    )
    pages = "".join(page.format(n=n, text=f"Text of {n}. " * 40) for n in range(1, 400))
    head = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/"><siteinfo></siteinfo>'
    path = tmp_path / "enwiki-pages-articles.xml"
    path.write_text(f"{head}{pages}</mediawiki>")
    pieces = cut(str(path), [20_000, 40_000], tmp_path / "out", seed=1)
    titles = [
        row.title
        for piece in pieces
        for row in wikipedia.read(piece.path, name="x", max_document_bytes=10**6)
        if isinstance(row, Document)
    ]
    assert titles == [f"Title {n}" for n in range(1, len(titles) + 1)]
    assert 50 < len(titles) < 399


def test_pieces_of_parquet_are_row_groups_from_all_over_it(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(rows(2000)), path, row_group_size=50)
    whole = path.stat().st_size
    pieces = cut(str(path), [whole // 10] * 3, tmp_path / "out", seed=1)
    found = [int(id_[1:]) for piece in pieces for id_ in read(piece.path)]
    assert len(pieces) == 3
    assert len(set(found)) == len(found)
    assert max(found) > 1000
    share = sum(piece.bytes for piece in pieces) / whole
    assert len(found) / 2000 == pytest.approx(share, rel=0.1)
    again = cut(str(path), [whole // 10] * 3, tmp_path / "again", seed=1)
    assert [read(p.path) for p in again] == [read(p.path) for p in pieces]


def test_a_file_that_is_small_enough_is_taken_whole_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(5)))
    [piece] = cut(str(path), [100_000], tmp_path / "out", seed=1)
    assert (piece.path, piece.bytes) == (str(path), path.stat().st_size)


def test_a_large_file_that_cannot_be_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(bytes(100_000))
    with pytest.raises(RecipeError, match="cannot take a piece"):
        cut(str(path), [1000], tmp_path / "out", seed=1)

"""Ready-made documents."""

from __future__ import annotations

import bz2
import datetime
import gzip
import hashlib
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from corpus.document import Document, Drop, DropReason, identifier
from corpus.errors import InputError
from corpus.sources import document_rows, documents, streams

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


def read(path: Path, limit: int = 10_000, **fields: str) -> list[Document | Drop]:
    rows = documents.read(str(path), name=path.name, fields=fields, max_document_bytes=limit)
    return list(rows)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def reasons(rows: list[Document | Drop]) -> list[str]:
    return ["document" if isinstance(row, Document) else row.reason.value for row in rows]


@pytest.mark.parametrize("suffix", list(COMPRESSIONS))
def test_read_json_lines_of_two_members_gives_every_document(tmp_path: Path, suffix: str) -> None:
    """Members, streams and frames after one another are one file."""
    pack = COMPRESSIONS[suffix]
    first, second = lines({"text": "one"}, {"text": "two"}), lines({"text": "three"})
    rows = read(write(tmp_path / f"a.jsonl{suffix}", pack(first) + pack(second)))
    assert [row.text for row in rows if isinstance(row, Document)] == ["one", "two", "three"]
    assert [row.place.page for row in rows] == [1, 2, 3]
    assert rows[0].place.dump == f"a.jsonl{suffix}"
    assert rows[0].id == identifier("documents", f"a.jsonl{suffix}", 1, "one")


def test_read_recognises_compression_by_its_bytes(tmp_path: Path) -> None:
    rows = read(write(tmp_path / "a.jsonl", gzip.compress(lines({"text": "one"}))))
    assert reasons(rows) == ["document"]


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
def test_read_file_that_is_not_what_its_name_says_raises(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.jsonl{suffix}", b"<html>503</html>")
    with pytest.raises(InputError, match="although its name"):
        read(path)


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".zst"])
@pytest.mark.parametrize("cut", [0.5, 0.999])
def test_read_file_that_is_cut_off_gives_what_there_is_and_one_drop(
    tmp_path: Path, suffix: str, cut: float
) -> None:
    texts = [f"{i} " + hashlib.sha256(b"%d" % i).hexdigest() * 20 for i in range(4000)]
    # Frames and members of their own, as parallel writers make them.
    packed = b"".join(
        COMPRESSIONS[suffix](lines(*({"text": text} for text in texts[i : i + 500])))
        for i in range(0, 4000, 500)
    )
    rows = read(write(tmp_path / f"a.jsonl{suffix}", packed[: int(len(packed) * cut)]))
    kept = [row.text for row in rows if isinstance(row, Document)]
    assert 0 < len(kept) < 4000
    assert kept == texts[: len(kept)]
    last = rows[-1]
    assert isinstance(last, Drop)
    assert last.reason is DropReason.TRUNCATED_RECORD
    assert last.detail is not None
    assert "cut off at byte" in last.detail
    assert reasons(rows[:-1]) == ["document"] * len(kept)


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
def test_blocks_of_a_bomb_are_bounded_and_whole(tmp_path: Path, suffix: str) -> None:
    """A hundred megabytes of zeros, then a second member: all of it, in blocks that fit."""
    pack = COMPRESSIONS[suffix]
    path = write(tmp_path / f"a{suffix}", pack(b"0" * 100_000_000) + pack(b"end"))
    sizes = [len(block) for block in streams.blocks(str(path))]
    assert sum(sizes) == 100_000_003
    assert max(sizes) <= (1 << 27 if suffix == ".zst" else 1 << 18)


def test_read_file_with_a_damaged_member_gives_what_stands_before_it(tmp_path: Path) -> None:
    second = bytearray(gzip.compress(lines({"text": "two"})))
    second[-6] ^= 0xFF  # the length or checksum of the second member
    rows = read(write(tmp_path / "a.jsonl.gz", gzip.compress(lines({"text": "one"})) + second))
    assert reasons(rows)[0] == "document"
    assert reasons(rows)[-1] == "damaged_record"


def test_read_file_that_cannot_be_decompressed_at_all_raises(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be decompressed"):
        read(write(tmp_path / "a.jsonl.gz", b"\x1f\x8b\x08\x00" + b"\xff" * 100))


def test_read_malformed_rows_are_drops_with_their_line(tmp_path: Path) -> None:
    data = b"\n".join(
        [
            b'\xef\xbb\xbf{"text": "first"}', b"{not json", b"", b"[1]", b"null", b'{"text": 5}',
            b'{"text": "  "}', b"{}", b'{"text": "\xff"}', b'{"text": ' + b"[" * 200_000,
            b'{"text": 1' + b"0" * 5000 + b"}", b'{"text": "last"}',
        ]
    )  # fmt: skip
    rows = read(write(tmp_path / "a.ndjson", data), limit=10**6)
    assert reasons(rows) == [
        "document", "malformed", "malformed", "malformed", "missing_text", "missing_text",
        "missing_text", "malformed", "malformed", "malformed", "document",
    ]  # fmt: skip
    assert [row.place.page for row in rows] == [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert isinstance(rows[1], Drop)
    assert (rows[1].detail or "").startswith("line 2:")
    assert len({row.id for row in rows}) == len(rows)


def test_read_line_over_the_bound_is_a_drop_and_the_next_line_is_read(tmp_path: Path) -> None:
    huge = b'{"text": "' + b"x" * 3_000_000 + b'"}\n'
    data = huge + lines({"text": "y" * 2000}, {"text": "é" * 500}, {"text": "é" * 501})
    rows = read(write(tmp_path / "a.jsonl", data), limit=1000)
    assert reasons(rows) == ["text_too_large", "text_too_large", "document", "text_too_large"]


def test_lines_over_the_bound_are_never_held(tmp_path: Path) -> None:
    """Ten megabytes of one line under a bound of a hundred bytes come as their length."""
    path = write(tmp_path / "a.txt", b"x" * 10_000_000 + b"\nshort\n" + b"y" * 200)
    assert list(streams.lines(str(path), max_line_bytes=100)) == [
        (1, 10_000_000),
        (2, b"short"),
        (3, 200),
    ]


def test_read_maps_fields_and_normalises_them(tmp_path: Path) -> None:
    row = {"content": "a \ud800b", "key": 17, "link": "http://a.example/ ", "when": 86400}
    rows = read(
        write(tmp_path / "a.json", lines(row)), text="content", id="key", url="link", date="when"
    )
    document = rows[0]
    assert isinstance(document, Document)
    assert (document.id, document.url, document.text) == ("17", "http://a.example/", "a \ufffdb")
    assert (document.date, document.title) == ("1970-01-02T00:00:00Z", None)


def test_read_repeated_and_odd_ids_go_on(tmp_path: Path) -> None:
    ids = ["x", "x", "", None, True, "y" * 2000, {"a": 1}]
    rows = read(write(tmp_path / "a.jsonl", lines(*({"id": i, "text": "t"} for i in ids))))
    assert [row.id for row in rows[:2]] == ["x", "x"]
    assert [row.id for row in rows[2:]] == [
        identifier("documents", "a.jsonl", n, "t") for n in range(3, 8)
    ]


@pytest.mark.parametrize(
    ("value", "date"),
    [
        ("2020-12-31", "2020-12-31"),
        ("2020-12-31T23:30:00-01:00", "2021-01-01T00:30:00Z"),
        ("2020-12-31 23:59:59.5", "2020-12-31T23:59:59Z"),
        ("1199296889", "2008-01-02T18:01:29Z"),
        (1199296889.0, "2008-01-02T18:01:29Z"),
        (datetime.date(2020, 1, 2), "2020-01-02"),
        (datetime.datetime(2020, 1, 2, 3, tzinfo=datetime.UTC), "2020-01-02T03:00:00Z"),
        ("soon", None), (1e300, None), (float("nan"), None), (True, None), (None, None), ([], None),
    ],
)  # fmt: skip
def test_iso_date_is_utc_or_none(value: object, date: str | None) -> None:
    assert document_rows.iso_date(value) == date


def test_read_parquet_of_many_row_groups_gives_every_row(tmp_path: Path) -> None:
    texts = [f"text {i}" if i % 7 else None for i in range(500)]
    path = tmp_path / "a.parquet"
    stamps = pa.array([0] * 500, pa.timestamp("ms", tz="UTC"))
    table = pa.table({"text": texts, "when": stamps, "other": list(range(500))})
    pq.write_table(table, path, row_group_size=130)
    rows = read(path, date="when")
    assert [row.text for row in rows if isinstance(row, Document)] == [t for t in texts if t]
    assert reasons(rows).count("missing_text") == texts.count(None)
    assert [row.place.page for row in rows] == list(range(1, 501))
    assert isinstance(rows[1], Document)
    assert rows[1].date == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize("kind", [pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_read_parquet_takes_every_type_of_text(tmp_path: Path, kind: pa.DataType) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": pa.array(["a", "b", "a"]).cast(kind)}), path)
    assert [row.text for row in read(path) if isinstance(row, Document)] == ["a", "b", "a"]


def test_read_parquet_without_the_column_names_those_there_are(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"content": ["a"], "number": [1]}), path)
    with pytest.raises(InputError, match="content, number"):
        read(path)
    with pytest.raises(InputError, match="not text but int64"):
        read(path, text="number")


def test_read_parquet_with_a_damaged_row_group_gives_the_others(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"text": [f"text {i}" for i in range(300)]})
    pq.write_table(table, path, row_group_size=100, compression="zstd", use_dictionary=False)
    column = pq.ParquetFile(path).metadata.row_group(1).column(0)
    data = bytearray(path.read_bytes())
    start = column.data_page_offset
    data[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    rows = read(write(path, bytes(data)))
    assert reasons(rows) == ["document"] * 100 + ["damaged_record"] + ["document"] * 100
    assert rows[-1].place.page == 300
    assert "100 rows of row group 1" in (getattr(rows[100], "detail", "") or "")


def test_read_parquet_that_is_cut_off_raises(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        read(write(tmp_path / "a.parquet", b"PAR1 and nothing else"))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("naïve\r\ntext".encode(), "naïve\ntext"),
        ("naïve".encode("utf-16"), "naïve"),
        ("“naïve”".encode("windows-1252"), "“naïve”"),
        (b"\xef\xbb\xbfbom", "bom"),
        (b"\x81\xe9", "\x81é"),
        (b"binary\x00data", "malformed"),
        (b" \n ", "missing_text"),
        (b"x" * 20_000, "text_too_large"),
    ],
)
def test_read_text_file_is_one_document(tmp_path: Path, data: bytes, expected: str) -> None:
    row = read(write(tmp_path / "a.txt", data))[0]
    assert (row.text if isinstance(row, Document) else row.reason.value) == expected


def test_read_of_an_unknown_kind_or_field_raises(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown kind"):
        read(write(tmp_path / "a.pdf", b"%PDF"))
    with pytest.raises(InputError, match="unknown field 'body'"):
        read(write(tmp_path / "a.jsonl", b""), body="text")
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "missing.jsonl")


@pytest.mark.real
def test_read_real_books_and_news(real_data: Path) -> None:
    rows = read(real_data / "books" / "books.jsonl.zst", limit=2**29)
    assert reasons(rows) == ["document"] * 29
    rows = read(real_data / "webtext" / "news.jsonl.zst", limit=2**29)
    assert reasons(rows) == ["document"] * 2619


def test_read_fields_of_nested_objects_and_structs(tmp_path: Path) -> None:
    rows = [
        {"data": {"content": "Nested.", "meta": {"id": "n1"}}},
        {"data": {"content": "Other."}, "data.content": "Its own name comes first."},
        {"data": "no object"},
    ]
    fields = {"text": "data.content", "id": "data.meta.id"}
    lines = tmp_path / "a.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist([rows[0], {"data": None}]), table)

    def found(path: Path) -> list[Document | Drop]:
        return list(documents.read(str(path), name="a", fields=fields, max_document_bytes=999))

    first, second, third = found(lines)
    assert isinstance(first, Document)
    assert (first.text, first.id) == ("Nested.", "n1")
    assert isinstance(second, Document)
    assert second.text == "Its own name comes first."
    assert isinstance(third, Drop)
    assert third.reason == DropReason.MISSING_TEXT
    whole, empty = found(table)
    assert isinstance(whole, Document)
    assert (whole.text, whole.id) == ("Nested.", "n1")
    assert isinstance(empty, Drop)
    with pytest.raises(InputError, match=r"no column 'data\.nothing'"):
        list(
            documents.read(
                str(table), name="a", fields={"text": "data.nothing"}, max_document_bytes=9
            )
        )

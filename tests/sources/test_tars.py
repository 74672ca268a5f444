"""Tar archives of documents, well made and hostile."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import tarfile
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from corpus.document import Document, Drop
from corpus.errors import InputError
from corpus.sources import documents, tars

LIMIT = 10_000


def archive(
    files: dict[str, bytes], *, form: int = tarfile.PAX_FORMAT, special: tuple[Any, ...] = ()
) -> bytes:
    """Return a tar archive of files, with other entries behind the first of them."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=form) as tar:
        for number, (name, data) in enumerate(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
            if not number:
                for other in special:
                    tar.addfile(other)
    return sink.getvalue()


def entry(name: str, kind: bytes) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, "/etc/passwd"
    return found


def read(tmp_path: Path, data: bytes, name: str = "owt.tar") -> list[Document | Drop]:
    path = tmp_path / name
    path.write_bytes(data)
    return list(documents.read(str(path), name=name, fields={}, max_document_bytes=LIMIT))


def texts(rows: list[Document | Drop]) -> list[str]:
    return [row.text for row in rows if isinstance(row, Document)]


def details(rows: list[Document | Drop]) -> list[tuple[str, str]]:
    return [(str(row.reason), row.detail or "") for row in rows if isinstance(row, Drop)]


def listed(data: bytes, size: int = 1 << 16) -> list[tuple[str, bytes]]:
    blocks = (data[at : at + size] for at in range(0, len(data), size))
    return [(e.name, b"".join(iter(lambda e=e: e.read(100), b""))) for e in tars.entries(blocks)]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_entries_are_those_of_the_standard_library(form: int) -> None:
    files = {f"folder/{length}.txt": b"x" * length for length in (0, 1, 80, 511, 512, 513)}
    files |= {"d" * 90 + "/" + "e" * 60: b"prefix"}
    if form != tarfile.USTAR_FORMAT:
        files |= {"d" * 300 + "/ü.txt": b"long"}
    data = archive(files, form=form)
    for size in (1, 511, 512, 10_000):
        assert listed(data, size) == list(files.items())


def test_entries_without_their_bytes_are_passed_over() -> None:
    data = archive({"a.txt": b"a" * 2000, "b.txt": b"b"})
    assert [one.name for one in tars.entries([data])] == ["a.txt", "b.txt"]


def test_openwebtext_as_published_is_a_document_a_file(tmp_path: Path) -> None:
    def subset(number: int) -> bytes:
        files = {f"{number}-{n}.txt": f"Text {number} {n}.".encode() for n in range(3)}
        return lzma.compress(archive(files))

    outer = {f"openwebtext/urlsf_subset00-{n}_data.xz": subset(n) for n in (1, 2)}
    rows = read(tmp_path, lzma.compress(archive(outer)), "openwebtext.tar.xz")
    assert texts(rows) == [f"Text {n} {m}." for n in (1, 2) for m in range(3)]
    assert [row.place.page for row in rows] == [1, 2, 3, 4, 5, 6]
    assert {row.place.dump for row in rows} == {"openwebtext.tar.xz"}
    assert len({row.id for row in rows}) == 6
    inner = read(tmp_path, subset(1), "urlsf_subset00-1_data.xz")
    assert texts(inner) == texts(rows)[:3]


def test_archive_of_json_lines_counts_rows_through_it(tmp_path: Path) -> None:
    lines = [b'{"text": "one"}', b"{broken", b"", b'{"text": "two"}']
    files = {
        "2005-12.jsonl.zst": zstandard.compress(b"\n".join(lines)),
        "2006-01.jsonl.gz": gzip.compress(b'{"text": "three"}\n{"title": "x"}\n'),
        "readme.html": b"<p>",
        "end.txt": b"end",
    }
    rows = read(tmp_path, archive(files), "owt2.tar")
    assert texts(rows) == ["one", "two", "three", "end"]
    assert [row.place.page for row in rows] == [1, 2, 4, 5, 6, 7, 8]
    assert [reason for reason, _ in details(rows)] == ["malformed", "missing_text", "malformed"]


@pytest.mark.parametrize(
    ("special", "why"),
    [
        (entry("link.txt", tarfile.SYMTYPE), "a symbolic link"),
        (entry("link.txt", tarfile.LNKTYPE), "a hard link"),
        (entry("device.txt", tarfile.CHRTYPE), "a character device"),
        (entry("pipe.txt", tarfile.FIFOTYPE), "a pipe"),
        (entry("sparse.txt", tarfile.GNUTYPE_SPARSE), "a sparse file"),
        (entry("/etc/passwd.txt", tarfile.REGTYPE), "leads out"),
        (entry("a/../../b.txt", tarfile.REGTYPE), "leads out"),
        (entry("..\\b.txt", tarfile.REGTYPE), "leads out"),
        (entry("odd.txt", b"Z"), "of unknown kind"),
    ],
)
def test_hostile_entries_are_refused_and_the_others_read(
    tmp_path: Path, special: tarfile.TarInfo, why: str
) -> None:
    rows = read(tmp_path, archive({"a.txt": b"A.", "b.txt": b"B."}, special=(special,)))
    assert texts(rows) == ["A.", "B."]
    ((reason, detail),) = details(rows)
    assert reason == "malformed"
    assert why in detail


def test_files_over_the_bound_and_no_text_are_dropped(tmp_path: Path) -> None:
    files = {"big.txt": b"x" * (LIMIT + 1), "nul.txt": b"a\x00b", "a.txt": b"A.", "e.txt": b" "}
    rows = read(tmp_path, archive(files))
    assert texts(rows) == ["A."]
    assert [r for r, _ in details(rows)] == ["text_too_large", "malformed", "missing_text"]


def test_decompression_bomb_in_an_archive_costs_no_memory(tmp_path: Path) -> None:
    bomb = gzip.compress(b"\0" * (100 << 20), 9)
    data = archive({"bomb.txt.gz": bomb, "bomb.tar.gz": bomb, "a.txt": b"A."})
    tracemalloc.start()
    rows = read(tmp_path, data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert texts(rows) == ["A."]
    assert peak < 8 << 20


@pytest.mark.parametrize("size", [(1 << 20) + 1, 1 << 40])
def test_extended_header_has_a_bound(tmp_path: Path, size: int) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, size
    good = archive({"a.txt": b"A."})[:1024]
    rows = read(tmp_path, good + header.tobuf(tarfile.GNU_FORMAT) + b"x" * 4096)
    assert texts(rows) == ["A."]
    assert "extended header" in details(rows)[0][1]


def test_archive_nested_too_deeply_is_a_drop(tmp_path: Path) -> None:
    data = archive({"a.txt": b"A."})
    for _ in range(3):
        data = archive({"in.tar": data, "b.txt": b"B."})
    rows = read(tmp_path, data)
    assert texts(rows) == ["B.", "B.", "B."]
    assert "nested too deeply" in details(rows)[0][1]


@pytest.mark.parametrize("end", [700, 1300, 1600])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_archive_that_is_cut_off_says_so_after_what_came_before(
    tmp_path: Path, end: int, pack: Any
) -> None:
    data = archive({"a.txt": b"A.", "b.txt": b"B" * 600, "c.txt": b"C."})
    rows = read(tmp_path, pack(data[: 512 + end]), "x.tar.gz" if pack is not bytes else "x.tar")
    assert texts(rows)[0] == "A."
    assert len(texts(rows)) < 3
    assert [reason for reason, _ in details(rows)] == ["truncated_record"]


def test_compressed_archive_that_is_cut_off_says_so(tmp_path: Path) -> None:
    data = archive({"a.txt": b"A.", "b.txt": " ".join(map(str, range(1500))).encode()})
    packed = gzip.compress(data[:1024]) + gzip.compress(data[1024:])
    rows = read(tmp_path, packed[: len(packed) * 2 // 3], "x.tar.gz")
    assert texts(rows) == ["A."]
    ((reason, detail),) = details(rows)
    assert reason == "truncated_record"
    assert "gzip data is cut off" in detail


def test_damaged_inner_archive_costs_only_itself(tmp_path: Path) -> None:
    inner = bytearray(gzip.compress(archive({"x.txt": b"X."})))
    inner[-6] ^= 0xFF  # its checksum
    files = {"a.tar.gz": bytes(inner), "b.tar": b"no archive" * 100, "c.txt": b"C."}
    files |= {"d.txt.xz": b"not xz", "e.jsonl": json.dumps({"text": "E."}).encode()}
    rows = read(tmp_path, archive(files))
    assert texts(rows)[-2:] == ["C.", "E."]
    assert [reason for reason, _ in details(rows)] == ["damaged_record"] * 3


def test_file_that_is_no_archive_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as a tar archive"):
        read(tmp_path, b"<html>not found</html>" * 100)


@given(st.binary(max_size=3000), st.integers(0, 2000), st.binary(max_size=40))
def test_entries_of_anything_end_or_are_broken(data: bytes, at: int, patch: bytes) -> None:
    good = archive({"a.txt": b"A." * 300, "b.txt": b"B."})
    for blob in (data, good[:at] + patch + good[at + len(patch) :]):
        try:
            for one in tars.entries([blob]):
                while one.read(1000):
                    pass
        except tars.BrokenTarError:
            pass

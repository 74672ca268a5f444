"""extract: text is written once, and every row that is lost is counted with its reason."""

from __future__ import annotations

import bz2
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from corpus.build import Build
from corpus.errors import BoundError, InputError
from corpus.sources import documents
from tests.made import (
    Recording,
    digests,
    html,
    make_recipe,
    page,
    rows,
    run,
    text,
    warc,
    write_jsonl,
)


def extract(folder: Path, source: Any, progress: Recording | None = None, **settings: Any) -> Build:
    recipe = make_recipe({"s": source}, extract=settings)
    return run(recipe, folder / "out", "extract", progress=progress)


def texts(build: Build) -> list[str]:
    return [row["text"] for row in rows(build.stage("extract"), "documents")]


def dropped(build: Build) -> dict[str, int]:
    counts = build.stage("extract").counts()
    counts.check("here")
    listed = [row["reason"] for row in rows(build.stage("extract"), "dropped")]
    assert {reason: listed.count(reason) for reason in set(listed)} == counts.dropped
    return dict(counts.dropped)


# --- ready-made documents

LINES = [json.dumps({"text": text(i, 20), "id": f"d{i}"}) for i in range(5)]


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.jsonl", bytes),
        ("a.jsonl.gz", gzip.compress),
        ("a.jsonl.zst", zstandard.compress),
        ("a.jsonl.bz2", bz2.compress),
    ],
)
def test_documents_come_out_of_every_kind_of_compression(
    tmp_path: Path, name: str, pack: Any
) -> None:
    (tmp_path / name).write_bytes(pack("\n".join(LINES).encode()))
    made = extract(tmp_path, tmp_path / name)
    assert texts(made) == [text(i, 20) for i in range(5)]
    assert dropped(made) == {}


def test_documents_come_out_of_parquet_with_named_fields(tmp_path: Path) -> None:
    table = pa.table({"content": [text(1), None, text(2)], "key": ["a", "b", "c"]})
    pq.write_table(table, tmp_path / "a.parquet")
    fields = {"text": "content", "id": "key"}
    made = extract(tmp_path, {"documents": {"paths": f"{tmp_path}/a.parquet", "fields": fields}})
    found = rows(made.stage("extract"), "documents")
    assert [(row["id"], row["text"]) for row in found] == [("a", text(1)), ("c", text(2))]
    assert dropped(made) == {"missing_text": 1}


def test_damaged_and_odd_lines_are_counted_and_the_rest_is_kept(tmp_path: Path) -> None:
    odd = [
        b"{not json",
        b'["a list"]',
        b'{"text": 7}',
        b'{"text": "  "}',
        b'{"title": "no text"}',
        b"",
        b'{"text": "caf\xe9"}',
        b'{"text": "\\ud800 lone"}',
        b"[" * 100_000,
    ]
    lines = [LINES[0].encode(), *odd, LINES[1].encode()]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    made = extract(tmp_path, tmp_path / "a.jsonl")
    assert dropped(made) == {"malformed": 4, "missing_text": 3}
    found = texts(made)
    assert (found[0], found[-1], len(found)) == (text(0, 20), text(1, 20), 3)
    assert found[1].endswith(" lone")
    drops = rows(made.stage("extract"), "dropped")
    assert [row["page"] for row in drops] == [2, 3, 4, 5, 6, 8, 10]
    assert all(row["dump"] == "a.jsonl" and row["detail"] for row in drops)


def test_document_over_the_bound_is_dropped(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [{"text": "x" * 5000}, {"text": "y" * 900}])
    made = extract(tmp_path, tmp_path / "a.jsonl", max_document_bytes=1000)
    assert texts(made) == ["y" * 900]
    assert dropped(made) == {"text_too_large": 1}


def test_file_of_no_bytes_has_no_documents(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"")
    (tmp_path / "a.txt").write_bytes(b"")
    assert dropped(extract(tmp_path / "1", tmp_path / "a.jsonl")) == {}
    assert dropped(extract(tmp_path / "2", tmp_path / "a.txt")) == {"missing_text": 1}


def test_compressed_file_of_no_bytes_is_an_input_error(tmp_path: Path) -> None:
    """Even nothing has a header when it is compressed: something went wrong with this file."""
    (tmp_path / "a.jsonl.gz").write_bytes(b"")
    with pytest.raises(InputError, match="not gzip"):
        extract(tmp_path, tmp_path / "a.jsonl.gz")


def test_compressed_file_that_is_cut_off_gives_what_it_has_and_one_drop(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps({"text": text(i)}) for i in range(500)).encode()
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines)[:-3000])
    made = extract(tmp_path, tmp_path / "a.jsonl.gz")
    found = texts(made)
    assert 100 < len(found) < 500
    assert found == [text(i) for i in range(len(found))]
    assert dropped(made) == {"truncated_record": 1}


def test_file_that_is_not_of_its_kind_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        extract(tmp_path, tmp_path / "a.parquet")
    (tmp_path / "a.doc").write_bytes(b"?")
    with pytest.raises(InputError, match="unknown kind of document file"):
        extract(tmp_path / "2", tmp_path / "a.doc")


# --- archives


def test_pages_become_documents_with_their_provenance(tmp_path: Path) -> None:
    (tmp_path / "a.warc.gz").write_bytes(warc(html(3)))
    made = extract(tmp_path, {"warc": f"{tmp_path}/a.warc.gz"})
    found = rows(made.stage("extract"), "documents")
    assert len(found) == 3
    for number, row in enumerate(found):
        assert row["url"] == f"https://site{number}.example/"
        assert row["date"] == "2026-11-23T01:02:03Z"
        assert row["title"] == f"Page {number}"
        assert row["warc_file"] == "a.warc.gz"
        assert text(f"{number} 1", 60)[1:] in row["text"]
        assert "<p>" not in row["text"]
    assert [row["warc_offset"] for row in found] == sorted({row["warc_offset"] for row in found})
    assert len({row["id"] for row in found}) == 3


def test_damaged_and_odd_pages_are_counted_by_reason(tmp_path: Path) -> None:
    odd = [
        (page(90), "404 Not Found", "text/html"),
        (b"\x89PNG....", "200 OK", "image/png"),
        (b"", "200 OK", "text/html"),
        (b"<html><body></body></html>", "200 OK", "text/html"),
        (b"<html>" + b"x" * 200_000, "200 OK", "text/html"),
    ]
    (tmp_path / "a.warc.gz").write_bytes(warc([*html(2), *odd, *html(1)]))
    made = extract(tmp_path, {"warc": f"{tmp_path}/a.warc.gz"}, max_page_bytes=100_000)
    assert len(texts(made)) == 3
    assert dropped(made) == {
        "http_status": 1,
        "mime_type": 1,
        "empty_body": 1,
        "no_text": 1,
        "page_too_large": 1,
    }


def test_archive_that_is_cut_off_in_the_middle_keeps_the_pages_before(tmp_path: Path) -> None:
    whole = warc(html(6))
    (tmp_path / "a.warc.gz").write_bytes(whole[: len(whole) * 3 // 4])
    made = extract(tmp_path, {"warc": f"{tmp_path}/a.warc.gz"})
    assert 3 <= len(texts(made)) <= 4
    lost = dropped(made)
    assert sum(lost.values()) == 1
    assert set(lost) <= {"truncated_record", "damaged_record"}


def test_archive_with_a_hole_keeps_the_pages_on_both_sides(tmp_path: Path) -> None:
    data = bytearray(warc(html(6)))
    middle = len(data) // 2
    data[middle : middle + 300] = bytes(300)
    (tmp_path / "a.warc.gz").write_bytes(data)
    made = extract(tmp_path, {"warc": f"{tmp_path}/a.warc.gz"})
    found = {row["url"] for row in rows(made.stage("extract"), "documents")}
    assert {"https://site0.example/", "https://site5.example/"} <= found
    assert 4 <= len(found) <= 5
    assert dropped(made)


# --- the stage


def test_source_of_which_too_much_fails_stops_the_build_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n".join([*LINES, *["broken"] * 30]))
    with pytest.raises(BoundError, match="30 of 35 rows of s could not be read") as caught:
        extract(tmp_path, tmp_path / "a.jsonl")
    assert "malformed 30" in str(caught.value)
    assert "extract.max_failures" in str(caught.value)
    progress = Recording()
    made = extract(tmp_path, tmp_path / "a.jsonl", progress, max_failures=0.9)
    assert len(texts(made)) == 5
    assert progress.made["extract"] == 0  # what was read is not read again
    with pytest.raises(BoundError):
        extract(tmp_path, tmp_path / "a.jsonl", max_failures=0.2)


def test_few_failures_and_rows_that_are_no_candidates_stop_nothing(tmp_path: Path) -> None:
    lines = [*LINES, *["broken"] * 20, *['{"x": 1}'] * 100]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    made = extract(tmp_path, tmp_path / "a.jsonl", max_failures=0)
    assert dropped(made) == {"malformed": 20, "missing_text": 100}


def test_source_of_which_nothing_can_be_read_stops_the_build(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("broken")
    with pytest.raises(BoundError, match="1 of 1 rows of s could not be read"):
        extract(tmp_path, tmp_path / "a.jsonl", max_failures=1)


def test_source_whose_rows_have_the_text_elsewhere_stops_the_build(tmp_path: Path) -> None:
    """Nothing kept must not look like a build that is done."""
    (tmp_path / "a.jsonl").write_text('{"content": "a"}\n{"content": "b", "text": " "}\n')
    with pytest.raises(BoundError, match="none of the 2 rows of s has a text") as caught:
        extract(tmp_path, tmp_path / "a.jsonl", max_failures=1)
    assert "the field 'text'" in str(caught.value)
    assert "fields: {text: NAME}}" in str(caught.value)


def test_identifiers_do_not_depend_on_where_a_file_lies_or_which_it_is(tmp_path: Path) -> None:
    """Also when it is called as other programs call their parts, and as ours do."""
    names = ["part-00000-x.jsonl", "part-00001-y.jsonl", "z.jsonl"]
    for name in names:
        write_jsonl(tmp_path / "1" / name, [{"text": text(name)}])
        write_jsonl(tmp_path / "2" / name, [{"text": text(name)}])
    write_jsonl(tmp_path / "2" / "a-new-one.jsonl", [{"text": text("new")}])

    def ids(folder: str) -> dict[str, str]:
        made = extract(tmp_path / folder, tmp_path / folder / "*.jsonl")
        return {row["text"]: row["id"] for row in rows(made.stage("extract"), "documents")}

    first, second = ids("1"), ids("2")
    assert len(set(second.values())) == 4
    assert first.items() <= second.items()


def test_fetched_and_local_files_of_one_name_have_the_same_identifiers(tmp_path: Path) -> None:
    from tests.server import Server

    line = (json.dumps({"text": text(1)}) + "\n").encode()
    (tmp_path / "a.jsonl").write_bytes(line)
    local = extract(tmp_path / "1", tmp_path / "a.jsonl")
    with Server({"a.jsonl": line}) as server:
        fetched = extract(tmp_path / "2", f"{server.url}a.jsonl")
    assert [row["id"] for row in rows(local.stage("extract"), "documents")] == [
        row["id"] for row in rows(fetched.stage("extract"), "documents")
    ]


def test_one_more_file_makes_one_more_shard(tmp_path: Path) -> None:
    for name in ("b", "c"):
        write_jsonl(tmp_path / f"{name}.jsonl", [{"text": text(name)}])
    extract(tmp_path, tmp_path / "*.jsonl")
    write_jsonl(tmp_path / "a.jsonl", [{"text": text("a")}])  # the first by its name
    progress = Recording()
    made = extract(tmp_path, tmp_path / "*.jsonl", progress)
    assert progress.made == {"crawl": 1, "extract": 1}
    assert progress.reused == {"crawl": 2, "extract": 2}
    assert texts(made) == [text(name) for name in "abc"]


def test_documents_of_two_builds_are_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.warc.gz").write_bytes(warc(html(3)))
    source = {"warc": f"{tmp_path}/a.warc.gz"}
    folders = [Path(extract(tmp_path / n, source).stage("extract").folder) for n in ("1", "2")]
    first, second = (digests(folder) for folder in folders)
    assert first == second
    assert len(first) == 3


def test_file_that_changes_while_it_is_read_stops_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"id": "1", "text": text(1)}])
    recipe = make_recipe({"a": path})

    def read_and_change(*arguments: Any, **settings: Any) -> Any:
        yield from documents_read(*arguments, **settings)
        write_jsonl(path, [{"id": "1", "text": text("another")}])

    documents_read = documents.read
    monkeypatch.setattr(documents, "read", read_and_change)
    with pytest.raises(InputError, match="changed since the build began"):
        run(recipe, tmp_path / "out")
    monkeypatch.undo()
    [row] = rows(run(recipe, tmp_path / "out").stage("extract"), "documents")
    assert row["text"] == text("another")

"""The writer of documents and drops: in order, in bounded files, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from corpus import document_writer, storage
from corpus.document import DOCUMENT_SCHEMA, DROP_SCHEMA, Document, Drop, DropReason, Place
from corpus.document_writer import DocumentWriter
from corpus.errors import OutputError
from corpus.manifest import Counts, Output, Shard

TEXT = "The cat sat on the mat and looked at the rain for a long time before it went to sleep."


def document(number: int, text: str = TEXT) -> Document:
    place = Place(warc_file="a.warc.gz", warc_offset=number)
    return Document(f"d{number}", f"https://x/{number}", "2026-01-02", None, text, place)


def drop(number: int, reason: DropReason = DropReason.MALFORMED) -> Drop:
    return Drop(f"x{number}", None, reason, f"line {number}", Place(dump="a.jsonl", page=number))


def write(folder: Path, items: list[Document | Drop]) -> Shard:
    with DocumentWriter(str(folder), "s", "part-00000") as writer:
        for item in items:
            writer.add(item)
        return writer.finish("key")


def read(folder: Path, outputs: list[Output]) -> list[dict[str, object]]:
    return [row for one in outputs for row in pq.read_table(folder / one.path).to_pylist()]


def test_documents_and_drops_are_written_in_order_with_their_places(tmp_path: Path) -> None:
    shard = write(tmp_path, [document(0), drop(0), document(1), drop(1, DropReason.REDIRECT)])
    assert shard.counts == Counts(4, 2, {"malformed": 1, "redirect": 1})
    assert (shard.name, shard.source, shard.key) == ("part-00000", "s", "key")
    assert shard.measures == {"text_bytes": 2 * len(TEXT)}
    documents = read(tmp_path, shard.all("documents"))
    assert [row["id"] for row in documents] == ["d0", "d1"]
    assert documents[1] == {
        "id": "d1",
        "source": "s",
        "url": "https://x/1",
        "date": "2026-01-02",
        "title": None,
        "text": TEXT,
        "language": "en",
        "language_score": documents[1]["language_score"],
        "warc_file": "a.warc.gz",
        "warc_offset": 1,
        "dump": None,
        "page": None,
    }
    drops = read(tmp_path, shard.all("dropped"))
    assert [(row["id"], row["reason"], row["detail"], row["page"]) for row in drops] == [
        ("x0", "malformed", "line 0", 0),
        ("x1", "redirect", "line 1", 1),
    ]
    outputs = shard.outputs
    assert pq.read_schema(tmp_path / outputs[0].path).equals(DOCUMENT_SCHEMA)
    assert pq.read_schema(tmp_path / outputs[1].path).equals(DROP_SCHEMA)
    assert storage.list_folder(f"{tmp_path}/s") == [
        "dropped-part-00000.parquet",
        "part-00000-0000.parquet",
    ]


def test_outputs_are_described_with_their_digests_and_rows(tmp_path: Path) -> None:
    shard = write(tmp_path, [document(0), drop(0), drop(1)])
    for output, rows in zip(shard.outputs, (1, 2), strict=True):
        assert (output.bytes, output.sha256) == storage.digest(f"{tmp_path}/{output.path}")
        assert output.rows == rows


@pytest.mark.parametrize("items", [[], [drop(0)]])
def test_input_without_documents_still_has_its_file(
    tmp_path: Path, items: list[Document | Drop]
) -> None:
    shard = write(tmp_path, items)
    assert read(tmp_path, shard.all("documents")) == []
    assert shard.counts.into == len(items)
    assert len(shard.all("documents")) == 1


def test_text_over_the_bound_goes_on_in_the_next_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_writer, "GROUP_BYTES", 100)
    monkeypatch.setattr(document_writer, "FILE_BYTES", 200)
    items: list[Document | Drop] = [document(i) for i in range(7)]
    shard = write(tmp_path, items)
    names = [output.path for output in shard.all("documents")]
    assert names == [f"s/part-00000-{i:04d}.parquet" for i in range(2)]
    assert [output.rows for output in shard.all("documents")] == [4, 3]
    assert [row["id"] for row in read(tmp_path, shard.all("documents"))] == [
        f"d{i}" for i in range(7)
    ]


def test_file_that_ends_exactly_at_the_bound_is_not_followed_by_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_writer, "GROUP_BYTES", 1)
    monkeypatch.setattr(document_writer, "FILE_BYTES", len(TEXT))
    shard = write(tmp_path, [document(0), document(1)])
    assert [output.rows for output in shard.all("documents")] == [1, 1]


def test_many_rows_are_written_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_writer, "GROUP_ROWS", 2)
    shard = write(tmp_path, [*(document(i) for i in range(5)), *(drop(i) for i in range(5))])
    for output in shard.outputs:
        file = pq.ParquetFile(tmp_path / output.path)
        groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        assert groups == [2, 2, 1]


def test_lone_surrogates_are_replaced_and_other_text_is_as_it_was(tmp_path: Path) -> None:
    odd = Document("d", "http://x/\ud800", None, "t\udfff", "café \ud800 \U0001f600", Place())
    lost = Drop("x", "http://x/\udc80", DropReason.NO_TEXT, "detail \ud812", Place())
    shard = write(tmp_path, [odd, lost])
    row = read(tmp_path, shard.all("documents"))[0]
    assert (row["url"], row["title"], row["text"]) == ("http://x/?", "t?", "café ? \U0001f600")
    row = read(tmp_path, shard.all("dropped"))[0]
    assert (row["url"], row["detail"]) == ("http://x/?", "detail ?")


def test_error_in_the_middle_publishes_nothing_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_writer, "GROUP_ROWS", 1)

    def fails() -> None:
        with DocumentWriter(str(tmp_path), "s", "part-00000") as writer:
            writer.add(document(0))
            writer.add(drop(0))
            raise KeyError("in the source")

    with pytest.raises(KeyError, match="in the source"):
        fails()
    assert storage.list_folder(f"{tmp_path}/s") == []


def test_output_that_cannot_be_written_is_an_output_error() -> None:
    with pytest.raises(OutputError), DocumentWriter("/sys", "s", "part-00000"):
        pass


def test_same_items_are_the_same_bytes(tmp_path: Path) -> None:
    items: list[Document | Drop] = [document(0), drop(0), document(1)]
    first, second = write(tmp_path / "1", items), write(tmp_path / "2", items)
    assert first == second

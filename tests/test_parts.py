"""Parts: documents with their verdicts, row by row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus import parts
from corpus.errors import InputError, IntegrityError
from corpus.manifest import Counts, Manifest, Output, Shard
from corpus.parts import Part, batches, kept_rows, read_columns, write_verdict


def write_part(folder: Path, count: int, kept: list[bool | None] | None = None) -> Part:
    path = folder / "part-00000-0000.parquet"
    table = pa.table(
        {"id": [f"d{i}" for i in range(count)], "text": ["x" * i for i in range(count)]}
    )
    pq.write_table(table, path, row_group_size=7)
    verdict = None
    if kept is not None:
        verdict = str(folder / "verdict.parquet")
        pq.write_table(pa.table({"kept": pa.array(kept, pa.bool_())}), verdict)
    return Part("a", path.stem, str(path), "ab", count, path.stat().st_size, verdict)


def verdict(kept: list[bool | None], reasons: list[str | None]) -> pa.Table:
    ids = [f"d{i}" for i in range(len(kept))]
    return pa.table(
        {"id": ids, "kept": pa.array(kept, pa.bool_()), "reason": pa.array(reasons, pa.string())}
    )


def manifest(stage: str, *shards: Shard) -> Manifest:
    return Manifest(f"/out/{stage}-1", stage, "f", {}, {}, shards)


def extract_shard(source: str, name: str, files: int) -> Shard:
    outputs = [
        Output("documents", f"{source}/{name}-{i:04d}.parquet", 10 + i, f"sha{i}", 5)
        for i in range(files)
    ]
    return Shard(name, source, "k", (*outputs, Output("dropped", "x", 1, "y")), Counts())


def verdict_shard(source: str, name: str) -> Shard:
    output = Output("verdict", f"{source}/{name}.parquet", 1, f"verdict-{name}", 5)
    return Shard(name, source, "k", (output,), Counts())


def test_parts_are_the_documents_files_of_all_sources_in_order() -> None:
    extract = manifest(
        "extract",
        extract_shard("b", "part-00000", 2),
        extract_shard("b", "part-00001", 1),
        extract_shard("a", "part-00000", 1),
    )
    found = parts.parts(extract, None)
    assert [(part.source, part.name) for part in found] == [
        ("b", "part-00000-0000"),
        ("b", "part-00000-0001"),
        ("b", "part-00001-0000"),
        ("a", "part-00000-0000"),
    ]
    assert found[1] == Part(
        "b",
        "part-00000-0001",
        "/out/extract-1/b/part-00000-0001.parquet",
        "sha1",
        5,
        11,
        None,
        "",
    )


def test_parts_carry_the_last_verdict_of_their_own_source() -> None:
    extract = manifest(
        "extract", extract_shard("a", "part-00000", 1), extract_shard("b", "part-00000", 1)
    )
    last = manifest(
        "dedup", verdict_shard("b", "part-00000-0000"), verdict_shard("a", "part-00000-0000")
    )
    found = parts.parts(extract, last)
    assert [part.verdict for part in found] == [
        "/out/dedup-1/a/part-00000-0000.parquet",
        "/out/dedup-1/b/part-00000-0000.parquet",
    ]
    assert found[0].verdict_sha256 == "verdict-part-00000-0000"


def test_part_without_a_verdict_is_an_integrity_error() -> None:
    extract = manifest("extract", extract_shard("a", "part-00000", 2))
    last = manifest("dedup", verdict_shard("a", "part-00000-0000"))
    with pytest.raises(IntegrityError, match="dedup has no verdict for a/part-00000-0001"):
        parts.parts(extract, last)


def test_rows_that_are_still_in_are_those_kept_and_neither_dropped_nor_gone(tmp_path: Path) -> None:
    assert kept_rows(write_part(tmp_path, 3)).tolist() == [True] * 3
    part = write_part(tmp_path, 4, [True, False, None, True])
    assert kept_rows(part).tolist() == [True, False, False, True]
    assert kept_rows(write_part(tmp_path, 0, [])).tolist() == []


@pytest.mark.parametrize("count", [0, 1, 5, 20])
def test_batches_are_all_rows_in_order_with_their_numbers(
    tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "BATCH_ROWS", 3)
    seen: list[str] = []
    for row, batch in batches(write_part(tmp_path, count), ["id"]):
        assert row == len(seen)
        assert batch.schema.names == ["id"]
        seen += batch.column("id").to_pylist()
    assert seen == [f"d{i}" for i in range(count)]


def test_batch_does_not_go_beyond_a_row_group(tmp_path: Path) -> None:
    """A row group is 8 MB of text or one longer document, and 1,024 of these fit nowhere."""
    assert [len(one) for _, one in batches(write_part(tmp_path, 20), ["id"])] == [7, 7, 6]


def test_documents_with_other_rows_than_the_manifest_says_are_an_integrity_error(
    tmp_path: Path,
) -> None:
    part = write_part(tmp_path, 5)
    wrong = Part(part.source, part.name, part.documents, part.sha256, 6, part.bytes)
    with pytest.raises(IntegrityError, match="the file has 5 rows, the manifest says 6") as caught:
        list(batches(wrong, ["id"]))
    assert caught.value.where == part.documents


def test_damaged_file_is_an_integrity_error_that_names_it(tmp_path: Path) -> None:
    part = write_part(tmp_path, 50)
    data = bytearray(Path(part.documents).read_bytes())
    data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    Path(part.documents).write_bytes(data)
    with pytest.raises(IntegrityError, match="the file is damaged") as caught:
        list(batches(part, ["id", "text"]))
    assert caught.value.where == part.documents
    for cut in (0, 10, 200):
        Path(part.documents).write_bytes(data[:cut])
        with pytest.raises(IntegrityError, match="the file is damaged"):
            read_columns(part.documents, ["id"])
        with pytest.raises(IntegrityError, match="the file is damaged"):
            list(batches(part, ["id"]))


def test_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_columns(str(tmp_path / "none.parquet"), ["id"])


def test_verdict_is_counted_by_reason_and_rows_that_were_gone_are_not(tmp_path: Path) -> None:
    part = write_part(tmp_path, 6)
    table = verdict([True, False, None, False, False, True], [None, "b", None, "a", "b", None])
    output, counts = write_verdict(str(tmp_path), part, table)
    assert counts == Counts(5, 2, {"a": 1, "b": 2})
    assert (output.role, output.rows, output.path) == ("verdict", 6, "a/part-00000-0000.parquet")
    assert pq.read_table(tmp_path / output.path).equals(table)
    assert kept_rows(
        Part("a", part.name, part.documents, "", 6, 1, str(tmp_path / output.path))
    ).tolist() == [True, False, False, False, False, True]


@pytest.mark.parametrize("kept", [[], [None, None], [True, True], [False, False]])
def test_verdict_of_one_kind_or_of_no_rows_balances(
    tmp_path: Path, kept: list[bool | None]
) -> None:
    part = write_part(tmp_path, len(kept))
    reasons = ["r" if one is False else None for one in kept]
    _, counts = write_verdict(str(tmp_path), part, verdict(kept, reasons))
    counts.check("here")
    assert counts.into == sum(one is not None for one in kept)
    assert counts.kept == sum(one is True for one in kept)


def test_verdict_with_other_rows_than_the_documents_is_refused(tmp_path: Path) -> None:
    part = write_part(tmp_path, 3)
    with pytest.raises(IntegrityError, match="2 verdicts for 3 documents"):
        write_verdict(str(tmp_path), part, verdict([True, True], [None, None]))


def test_kept_rows_are_a_mask(tmp_path: Path) -> None:
    assert kept_rows(write_part(tmp_path, 2, [True, None])).dtype == np.bool_
    assert kept_rows(write_part(tmp_path, 2)).dtype == np.bool_


def test_row_groups_without_a_wanted_row_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "BATCH_ROWS", 3)
    table = pa.table({"id": [f"{i}" for i in range(20)]})
    path = tmp_path / "d.parquet"
    pq.write_table(table, path, row_group_size=5)
    part = Part("s", "p", str(path), "", 20, 0)
    found = [
        (row, batch.column("id").to_pylist())
        for row, batch in batches(part, ["id"], np.array([6, 7, 15]))
    ]
    assert found == [
        (5, ["5", "6", "7"]),
        (8, ["8", "9"]),
        (15, ["15", "16", "17"]),
        (18, ["18", "19"]),
    ]

"""The exchange of dedup: every connected document comes to its bucket with its own shingles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus import exchange, parts, storage
from corpus.config import DedupScheme
from corpus.exchange import EXCHANGE, ExchangeTask, VisitTask
from corpus.parts import Part, write_table

SCHEME = DedupScheme(threshold=0.5, words="word", shingle=1, bands=2, rows=1)


def make_part(folder: Path, source: str, texts: list[str]) -> Part:
    path = folder / f"{source}.parquet"
    pq.write_table(pa.table({"text": pa.array(texts, pa.large_string())}), path)
    return Part(source, "part-00000-0000", str(path), "", len(texts), 1)


def sign(folder: Path, part: Part, bands: dict[int, list[int]]) -> str:
    path = folder / f"{part.source}-signatures.parquet"
    column = pa.FixedSizeListArray.from_arrays(
        pa.array([key for keys in bands.values() for key in keys], pa.uint64()), 2
    )
    pq.write_table(pa.table({"row": pa.array(list(bands), pa.int64()), "bands": column}), path)
    return str(path)


def name_candidates(folder: Path, part: Part, rows: list[tuple[int, int, int, int, int]]) -> None:
    names = ["row", "document", "component", "rank", "bucket"]
    columns = list(zip(*rows, strict=True)) or [[]] * len(names)
    table = pa.table([pa.array(list(c), pa.int64()) for c in columns], names)
    write_table(str(folder), exchange.candidates_path(part), table, "exchange")


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_candidates_of_all_parts_meet_in_their_buckets_and_are_visited_by_rank(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(parts, "BATCH_ROWS", batch)
    one = make_part(tmp_path, "one", ["nobody", "a b c d", "p q r s", "gone", "a b c x"])
    two = make_part(tmp_path, "two", ["p q r t", "a b c d e", "alone"])
    # Rows 1 and 4 of one and row 1 of two are a component in bucket 0; the others one in bucket 1.
    name_candidates(tmp_path, one, [(1, 11, 5, 2, 0), (2, 12, 6, 0, 1), (4, 14, 5, 3, 0)])
    name_candidates(tmp_path, two, [(0, 20, 6, 1, 1), (1, 21, 5, 1, 0)])
    signatures = {
        "one": sign(tmp_path, one, {0: [1, 1], 1: [7, 8], 2: [9, 9], 4: [7, 3]}),
        "two": sign(tmp_path, two, {0: [9, 2], 1: [7, 8], 2: [4, 4]}),
    }
    for part in (one, two):
        exchange.exchange_part(ExchangeTask(str(tmp_path), part, signatures[part.source], SCHEME))
    for bucket in (0, 1):
        exchange.visit_components(VisitTask(str(tmp_path), bucket, 0.5))
    documents, keepers, jaccard = exchange.read_found(str(tmp_path))
    found = sorted(zip(documents.tolist(), keepers.tolist(), jaccard.tolist(), strict=True))
    # 21 comes first: 11 has 4 of its 5 words, 14 has 3 of 6; 20 has 3 of 5 of 12.
    assert found == [(11, 21, 0.8), (14, 21, 0.5), (20, 12, 0.6)]


def test_documents_of_two_components_in_one_bucket_are_not_compared(tmp_path: Path) -> None:
    part = make_part(tmp_path, "one", ["a b", "a b"])
    name_candidates(tmp_path, part, [(0, 0, 1, 0, 0), (1, 1, 2, 1, 0)])
    signatures = sign(tmp_path, part, {0: [1, 1], 1: [1, 1]})
    exchange.exchange_part(ExchangeTask(str(tmp_path), part, signatures, SCHEME))
    exchange.visit_components(VisitTask(str(tmp_path), 0, 0.5))
    assert len(exchange.read_found(str(tmp_path))[0]) == 0


def test_part_without_candidates_writes_nothing(tmp_path: Path) -> None:
    part = make_part(tmp_path, "one", ["a b", "a b"])
    name_candidates(tmp_path, part, [])
    signatures = sign(tmp_path, part, {0: [1, 1], 1: [1, 1]})
    exchange.exchange_part(ExchangeTask(str(tmp_path), part, signatures, SCHEME))
    assert storage.list_folder(f"{tmp_path}/{EXCHANGE}") == ["candidates"]


def test_nothing_found_is_three_empty_columns(tmp_path: Path) -> None:
    documents, keepers, jaccard = exchange.read_found(str(tmp_path))
    assert (documents.dtype, keepers.dtype, jaccard.dtype) == (np.int64, np.int64, np.float64)
    assert len(documents) == len(keepers) == len(jaccard) == 0

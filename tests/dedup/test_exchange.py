"""Files in which each reader finds its own rows: every row comes to one reader, whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from corpus.dedup import exchange
from corpus.errors import IntegrityError


def test_rows_of_a_partition_are_read_in_their_order(tmp_path: Path) -> None:
    table = pa.table({"a": pa.array([[1], [], [2, 3], [4]], pa.large_list(pa.uint64()))})
    partition = np.array([7, 2, 7, 2])
    output = exchange.write(str(tmp_path), "x/y.arrow", table, partition, "shingles")
    assert (output.path, output.rows, output.role) == ("x/y.arrow", 4, "shingles")
    path = str(tmp_path / "x/y.arrow")
    assert exchange.read(path, 7, 8)["a"].to_pylist() == [[1], [2, 3]]
    assert exchange.read(path, 0, 9)["a"].to_pylist() == [[], [4], [1], [2, 3]]
    assert exchange.read(path, 3, 7).num_rows == 0


def test_file_without_rows_is_read_as_such(tmp_path: Path) -> None:
    table = pa.table({"a": pa.array([], pa.int64())})
    exchange.write(str(tmp_path), "y.arrow", table, np.empty(0, np.int64), "edges")
    found = exchange.read(str(tmp_path / "y.arrow"), 0, 10)
    assert (found.num_rows, found.schema) == (0, table.schema)


@pytest.mark.parametrize("bits", [0, 1, 3, 5, 9])
def test_every_row_comes_to_the_one_reader_of_its_first_bits(tmp_path: Path, bits: int) -> None:
    """Whether the files were written by more bits or by fewer."""
    draw = np.random.default_rng(5)
    paths, written = [], []
    for number, own_bits in enumerate((0, 3, 7)):
        keys = draw.integers(0, 2**64, 500, dtype=np.uint64)
        table = pa.table({"key": keys, "row": np.arange(500)})
        name = f"part-{number}.bands.{own_bits}.arrow"
        exchange.write(str(tmp_path), name, table, exchange.by_hash(keys, own_bits), "bands")
        paths.append(str(tmp_path / name))
        written += [(number, row, key) for row, key in enumerate(keys.tolist())]
    found = []
    for partition in range(1 << bits):
        for number, table in exchange.read_hashes(paths, "key", partition, bits):
            keys = table["key"].to_numpy()
            assert (exchange.by_hash(keys, bits) == partition).all()
            found += [
                (number, row, key)
                for row, key in zip(table["row"].to_pylist(), keys.tolist(), strict=True)
            ]
    assert sorted(found) == sorted(written)


@pytest.mark.parametrize(
    ("rows", "each", "bits"), [(0, 4, 0), (4, 4, 0), (5, 4, 1), (8, 4, 1), (9, 4, 2), (4096, 4, 10)]
)
def test_groups_are_about_as_large_as_asked(rows: int, each: int, bits: int) -> None:
    assert exchange.bits(rows, each) == bits


def test_damaged_file_is_an_error_of_integrity(tmp_path: Path) -> None:
    path = tmp_path / "a.bands.0.arrow"
    table = pa.table({"a": [1, 2]})
    exchange.write(str(tmp_path), path.name, table, np.zeros(2, np.int64), "bands")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(IntegrityError, match="damaged"):
        exchange.read(str(path), 0, 1)


def test_rows_of_a_few_hashes_are_found_and_no_others(tmp_path: Path) -> None:
    hashes = np.random.default_rng(3).integers(0, 2**64, 5000, dtype=np.uint64)
    table = pa.table({"key": hashes, "position": np.arange(5000)})
    output = exchange.write(
        str(tmp_path), "a.bands.4.arrow", table, exchange.by_hash(hashes, 4), "bands"
    )
    path = str(tmp_path / output.path)
    wanted = np.array([hashes[7], hashes[4999], hashes[7] + np.uint64(1)])
    found = exchange.read_keys(path, "key", wanted)
    assert sorted(found["position"].to_pylist()) == [7, 4999]
    assert len(exchange.read_keys(path, "key", wanted[:0])) == 0

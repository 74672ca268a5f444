"""Tiers: the merging of sorted files, and where a group is cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from corpus.dedup import components, exchange, tiers
from corpus.dedup.order import Scope, visiting_order
from corpus.dedup.tiers import TiersTask, cut_tiers, merged

SCOPE = Scope("all", ("a", "b"), (True, True))
BLOCK = 4


def ranked(folder: Path, seed: int = 1) -> tuple[tuple[tuple[str, int], ...], pa.Table]:
    """Return files of documents of three groups, sorted each by itself, and all of them sorted."""
    draw = np.random.default_rng(seed)
    tables, files = [], []
    for number, rows in enumerate((37, 0, 8, 55)):
        table = pa.table(
            {
                "document": 100 * number + np.arange(rows),
                "component": draw.choice([3, 7, 20], rows),
                "size": draw.integers(1, 30, rows),
                "source": draw.integers(0, 2, rows),
                "score": draw.choice([0.5, 0.25, np.nan], rows),
                "length": draw.integers(0, 3, rows),
                "id": pa.array([f"{one:03d}" for one in draw.integers(0, 500, rows)], pa.string()),
                "pile": np.full(rows, number),
            }
        )
        table = table.take(pa.array(in_order(table)))
        tables.append(table)
        blocks = np.arange(rows) // BLOCK
        exchange.write(str(folder), f"{number}.arrow", table, blocks, "ranked")
        files.append((str(folder / f"{number}.arrow"), -(-rows // BLOCK)))
    every = pa.concat_tables(tables)
    return tuple(files), every.take(pa.array(in_order(every)))


def in_order(table: pa.Table) -> np.ndarray:
    group = table["component"].to_numpy()
    return visiting_order(group, SCOPE.priority(table["source"].to_numpy()), table)


def test_sorted_files_are_merged_in_the_order_of_visits(tmp_path: Path) -> None:
    files, every = ranked(tmp_path)
    pieces = list(merged(files, SCOPE))
    assert len(pieces) > 5
    assert max(map(len, pieces)) <= 4 * BLOCK
    assert pa.concat_tables(pieces)["document"].to_pylist() == every["document"].to_pylist()


@pytest.mark.parametrize("rows", [5, 1000])
def test_tiers_are_cut_by_shingles_whatever_is_read_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """Also where one document has more shingles than a tier."""
    monkeypatch.setattr(tiers, "SORTED_ROWS", rows)
    files, every = ranked(tmp_path)
    task = TiersTask("tiers", "every", "key", 1, files, SCOPE, bucket=9, tier_shingles=25)
    shard = cut_tiers(replace(task, folder=str(tmp_path)))
    wanted, sizes, first = {}, [], 9
    for group in (3, 7, 20):
        own = every.filter(pa.array(every["component"].to_numpy() == group))
        tier = components.cut(own["size"].to_numpy(), 25)
        wanted |= dict(zip(own["document"].to_pylist(), (first + tier).tolist(), strict=True))
        sizes.append(np.bincount(tier, weights=own["size"].to_numpy()).tolist())
        first += len(sizes[-1])
    assert shard.details["tiers"] == sizes
    got: dict[int, int] = {}
    for number in range(4):
        for output in shard.outputs:
            table = exchange.read(str(tmp_path / output.path), number, number + 1)
            assert set(table["document"].to_numpy() // 100) <= {number}
            got |= dict(
                zip(table["document"].to_pylist(), table["bucket"].to_pylist(), strict=True)
            )
    assert got == wanted
    assert len(shard.outputs) > 1 or rows == 1000

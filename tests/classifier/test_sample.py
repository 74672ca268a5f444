"""The sample: which documents are in it, which are held out, and near copies between the two."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.classifier.sample import NearCopies, Sample, SampleFile, bound
from corpus.classifier.scored import OTHER
from corpus.text import quality
from tests.made import text


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> str:
    """Write a file of the step `sample`."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.parquet"
    table = pa.table(
        {
            "id": pa.array([row["id"] for row in rows], pa.string()),
            "url": pa.array([row.get("url") for row in rows], pa.string()),
            "language": pa.array(["en"] * len(rows), pa.string()),
            "text": pa.array([row["text"] for row in rows], pa.large_string()),
            "draw": quality.draws(
                pa.array([row["id"] for row in rows]), seed=1, purpose="classifier"
            ),
        }
    )
    pq.write_table(table, path)
    return str(path)


def sample_of(folder: Path, files: dict[str, tuple[int, list[dict[str, Any]]]], **k: Any) -> Sample:
    listed = [
        SampleFile(write(folder, name, rows), name.split("-")[0], label)
        for name, (label, rows) in files.items()
    ]
    return Sample(listed, **{"documents": 10_000, "seed": 1, "held_out": 0.5, **k})


def drawn(sample: Sample) -> dict[str, bool]:
    """Return for each document of the sample whether it is held out."""
    return {
        identifier: bool(aside)
        for batch in sample.batches()
        for identifier, aside in zip(
            batch.columns.column("id").to_pylist(), batch.held_out, strict=True
        )
    }


def pages(number: int, sites: int) -> list[dict[str, Any]]:
    return [
        {"id": f"p{i}", "url": f"https://site{i % sites}.example/{i}", "text": text(f"page {i}")}
        for i in range(number)
    ]


def test_sample_has_the_documents_with_the_smallest_draws_of_each_class(tmp_path: Path) -> None:
    rows = pages(3000, 50)
    good = [{"id": f"g{i}", "text": text(f"good {i}")} for i in range(40)]
    files = {"crawl-0": (0, rows[:1700]), "crawl-1": (0, rows[1700:]), "good-0": (1, good)}
    found = drawn(sample_of(tmp_path, files, documents=100))
    draws = quality.draws(pa.array([r["id"] for r in rows]), seed=1, purpose="classifier")
    smallest = {rows[i]["id"] for i in np.argsort(draws)[:100]}
    assert set(found) == smallest | {row["id"] for row in good}


def test_sample_does_not_depend_on_how_documents_lie_in_files(tmp_path: Path) -> None:
    rows = pages(500, 40)
    one = sample_of(tmp_path / "a", {"crawl-0": (0, rows)}, documents=200)
    two = sample_of(
        tmp_path / "b", {"crawl-0": (0, rows[400:]), "crawl-1": (0, rows[:400])}, documents=200
    )
    assert drawn(one) == drawn(two)


def test_sample_holds_whole_sites_out_unless_a_site_is_most_of_its_source(tmp_path: Path) -> None:
    rows = pages(600, 60)
    for i in range(200):
        rows[i]["url"] = f"https://large.example/{i}"
    found = drawn(sample_of(tmp_path, {"crawl-0": (0, rows)}))
    sides: dict[str, set[bool]] = {}
    for row in rows:
        sides.setdefault(row["url"].split("/")[2], set()).add(found[row["id"]])
    assert sides.pop("large.example") == {True, False}
    assert all(len(side) == 1 for side in sides.values())
    assert {side for one in sides.values() for side in one} == {True, False}


def test_sample_keeps_equal_texts_without_a_site_on_one_side(tmp_path: Path) -> None:
    rows = [{"id": f"d{i}", "text": text(f"text {i % 30}")} for i in range(300)]
    found = drawn(sample_of(tmp_path, {"good-0": (1, rows)}))
    for i in range(30):
        assert len({found[f"d{j}"] for j in range(i, 300, 30)}) == 1
    assert set(found.values()) == {True, False}


def test_documents_of_neither_class_are_all_held_out(tmp_path: Path) -> None:
    found = drawn(sample_of(tmp_path, {"other-0": (OTHER, pages(50, 5))}))
    assert len(found) == 50
    assert all(found.values())


def test_bound_leaves_room_for_the_wanted_number() -> None:
    """Of a million draws, more than the wanted ones are under it, and not many more."""
    draws = quality.draws(pa.array([str(i) for i in range(1_000_000)]), seed=3)
    for documents in (20, 1000, 100_000):
        under = int((draws < bound(documents, 1_000_000)).sum())
        assert documents < under < documents + 13 * math.sqrt(documents) + 20
    assert bound(20, 10) == 1.0
    assert bound(20, 0) == 1.0


def test_near_copies_are_found_and_others_are_not() -> None:
    originals = [text(f"original {i}", 200) for i in range(50)]
    copies = NearCopies()
    copies.add(pa.array(originals[:25], pa.large_string()))
    copies.add(pa.array(originals[25:], pa.large_string()))
    changed = [original.replace(original.split()[7], "different", 1) for original in originals]
    assert copies.found(pa.array(changed, pa.large_string())).mean() > 0.9
    others = pa.array([text(f"another {i}", 200) for i in range(50)], pa.large_string())
    assert not copies.found(others).any()


@pytest.mark.parametrize("known", [[], ["one two"]])
def test_near_copies_of_nothing_and_of_short_texts_are_none(known: list[str]) -> None:
    copies = NearCopies()
    copies.add(pa.array(known, pa.large_string()))
    assert copies.found(pa.array(["one two", "", "three"], pa.large_string())).tolist() == [
        False,
        False,
        False,
    ]

"""How many documents dedup keeps at another size: exact where nothing is alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.planning.growth import FAR, Clusters, bounds, kept


def clusters_of(unit_sets: list[set[int]], units: int) -> Clusters:
    """Return the counts of clusters, each given by the units that it is in."""
    sizes = [len(units_in) for units_in in unit_sets]
    return Clusters(units, len(sizes), sum(sizes), sizes.count(1), sizes.count(2))


@given(st.integers(2, 50), st.integers(1, 10_000), st.floats(0.1, 1e7))
def test_documents_that_are_all_different_are_all_kept_at_any_size(
    units: int, documents: int, factor: float
) -> None:
    made = Clusters(units, documents, documents, documents, 0)
    assert kept(made, factor) == pytest.approx(documents * factor)
    assert bounds(made, factor)[1] == pytest.approx(documents * factor)


@given(
    st.integers(2, 40),
    st.integers(10, 5000),
    st.integers(0, 500),
    st.floats(0.1, 1e6),
    st.floats(1.0, 3.0),
)
def test_kept_documents_grow_with_the_corpus_and_never_faster_than_it(
    units: int, alone: int, pairs: int, factor: float, more: float
) -> None:
    made = Clusters(units, alone + pairs, alone + 2 * pairs, alone, pairs)
    less, larger = kept(made, factor), kept(made, factor * more)
    assert less <= larger * (1 + 1e-9)
    assert larger <= less * more * (1 + 1e-9)
    low, high = bounds(made, factor)
    assert low * (1 - 1e-9) <= less <= high * (1 + 1e-9)


def test_of_the_sample_itself_what_was_kept_is_kept() -> None:
    made = Clusters(16, 900, 1000, 820, 60)
    assert kept(made, 1.0) == 900


@pytest.mark.parametrize("factor", [0.25, 0.5, 2.0, 3.0, 4.0])
def test_duplicates_of_a_made_corpus_are_foretold_from_a_sample_of_its_files(
    factor: float,
) -> None:
    """A corpus of 64 files has 30 % pairs and 10 % triples, each copy in a file drawn at random."""
    draw = np.random.Generator(np.random.Philox(5))
    files, sampled = 64, 16
    sizes = draw.choice([1, 2, 3], 60_000, p=[0.6, 0.3, 0.1])
    where = [set(draw.integers(0, files, size).tolist()) for size in sizes]
    sample = [inside for c in where if (inside := {u for u in c if u < sampled})]
    foretold = kept(clusters_of(sample, sampled), factor)
    there = sum(1 for c in where if any(u < sampled * factor for u in c))
    assert foretold == pytest.approx(there, rel=0.02)
    in_proportion = len(sample) * factor
    assert abs(foretold - there) < abs(in_proportion - there) / 3


def test_duplicates_within_a_file_grow_in_proportion() -> None:
    made = clusters_of([{n % 10} for n in range(500)], 10)  # whatever else of a cluster is in it
    assert kept(made, 50) == pytest.approx(25_000)


def test_far_from_the_sample_the_bounds_say_how_little_is_known() -> None:
    made = Clusters(16, 980, 1000, 960, 20)
    low, high = bounds(made, 1e6)
    assert low < kept(made, 1e6) < high
    assert high == pytest.approx(980e6)
    assert low < 1e-3 * high
    near = bounds(made, FAR)
    assert near[0] == near[1] == kept(made, FAR)
    assert kept(made, FAR * 1.0001) == pytest.approx(kept(made, FAR), rel=1e-3)

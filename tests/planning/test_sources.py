"""A source at its full size: exact when files are alike, and an interval that covers the rest."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.planning.constants import SourceConstants, Unit
from corpus.planning.sources import Estimate, amounts, half_interval, without


def unit(size: float, rows: int, kept: int, tokens: int) -> Unit:
    """Return a unit whose documents are all different."""
    stages = ("filter", "dedup", "decontaminate", "tokenize")
    into = {"extract": rows, "filter": rows, **dict.fromkeys(stages[1:], kept)}
    left = {"extract": rows, **dict.fromkeys(stages, kept)}
    return Unit(size, into, left, tokens, 0, 4 * tokens, 7 * rows, 0, 2 * tokens, {}, kept, kept)


def source_of(units: list[Unit]) -> SourceConstants:
    return SourceConstants("warc", 1, 1.0, 0.1, tuple(units), sum(u.alone for u in units))


@settings(deadline=None)  # the first one imports SciPy
@given(st.integers(2, 30), st.integers(1, 500), st.integers(1, 5000), st.floats(1, 1e6))
def test_a_source_of_equal_files_is_foretold_exactly_and_without_error(
    count: int, rows: int, tokens: int, factor: float
) -> None:
    made = source_of([unit(1000, rows, rows // 2, tokens)] * count)
    whole = amounts(made, factor, foreign={})
    assert whole.kept["extract"] == pytest.approx(rows * count * factor)
    assert whole.documents == pytest.approx(rows // 2 * count * factor)
    assert whole.tokens == pytest.approx(tokens * count * factor)
    assert whole.disk == pytest.approx((7 * rows + 2 * tokens) * count * factor)
    size = factor * made.measured_bytes
    left = [without(made, at) for at in range(count)]
    others = [amounts(o, size / o.measured_bytes, foreign={}).tokens for o in left]
    error = half_interval(others, whole.tokens, 1 / factor)
    assert error == pytest.approx(0, abs=1e-6 * whole.tokens)


def test_the_interval_covers_the_truth_in_nearly_as_many_draws_as_it_says() -> None:
    """200 samples of 16 of 200 files, whose sizes and tokens differ widely."""
    draw = np.random.Generator(np.random.Philox(11))
    sizes = draw.integers(500, 2000, 200)
    tokens = (sizes * draw.gamma(4, 1, 200)).astype(int)
    files = [
        unit(float(s), int(s) // 10, int(s) // 20, int(t))
        for s, t in zip(sizes, tokens, strict=True)
    ]
    inside = 0
    for _ in range(200):
        made = source_of([files[i] for i in draw.choice(200, 16, replace=False)])
        size = float(sizes.sum())
        factor = size / made.measured_bytes
        value = amounts(made, factor, foreign={}).tokens
        left = [without(made, at) for at in range(16)]
        others = [amounts(o, size / o.measured_bytes, foreign={}).tokens for o in left]
        error = half_interval(others, value, 1 / factor)
        assert error is not None
        inside += abs(value - int(tokens.sum())) <= error
    assert 170 <= inside < 200


def test_of_one_file_the_error_is_not_known_and_of_all_files_there_is_none() -> None:
    assert half_interval([], 5.0, 0.1) is None
    assert half_interval([], 5.0, 1.0) == 0
    assert half_interval([4.0, 6.0], 5.0, 1.0) == 0
    assert (Estimate(1, 3) + Estimate(2, 4)) == Estimate(3, 5)
    assert (Estimate(1, 3) + Estimate(2, None)).error is None


def test_without_a_unit_clusters_are_as_if_it_had_never_been() -> None:
    """Clusters {0}, {1}, {0, 1}, {1, 2}, {0, 1, 2}: without unit 0 all but the first are left."""
    counts = [  # clusters, alone, pairs, triples of each unit
        (3, 1, 1, 1),
        (4, 1, 2, 1),
        (2, 0, 1, 1),
    ]
    units = [
        Unit(1.0, {"dedup": c[0]}, clusters=c[0], alone=c[1], pairs=c[2], triples=c[3])
        for c in counts
    ]
    left = without(SourceConstants("warc", 3, 3.0, 1.0, tuple(units), distinct=5), 0)
    # {1}, {1}, {1, 2}, {1, 2}
    assert left.distinct == 4
    assert sum(u.clusters for u in left.units) == 6
    assert sum(u.alone for u in left.units) == 2
    assert sum(u.pairs for u in left.units) / 2 == 2
    assert sum(u.triples for u in left.units) == 0


def test_copies_of_another_source_grow_with_that() -> None:
    own = dataclasses.replace(unit(1000, 100, 90, 500), foreign={"b": 10})
    made = dataclasses.replace(source_of([own]), distinct=80)
    same = amounts(made, 1.0, foreign={"b": 1.0}).documents
    more = amounts(made, 1.0, foreign={"b": 2.0}).documents
    assert more == pytest.approx(same * (1 - 10 / 80))

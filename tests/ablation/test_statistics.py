"""Intervals over seeds: against tables of Student's t, and how often they hold the truth."""

from __future__ import annotations

import random

import pytest

from corpus.ablation.statistics import difference, mean


def test_interval_is_that_of_the_textbook() -> None:
    """Three values 1, 2, 3: sd 1, t(2, .975) = 4.3027, half width 4.3027 / sqrt(3)."""
    found = mean([1.0, 2.0, 3.0])

    assert (found.value, found.n) == (2.0, 3)
    assert found.high - found.value == pytest.approx(4.302653 / 3**0.5, abs=1e-5)
    assert found.value - found.low == pytest.approx(found.high - found.value)


def test_interval_holds_the_true_mean_19_times_in_20() -> None:
    generator = random.Random(5)
    hits = 0
    for _ in range(2000):
        found = mean([generator.gauss(7.0, 2.0) for _ in range(3)])
        hits += found.low <= 7.0 <= found.high

    assert 0.935 < hits / 2000 < 0.965  # 3 standard errors


def test_what_both_builds_share_by_seed_cancels() -> None:
    """Seeds that differ by 10 and builds that differ by about 1: only pairs show it."""
    base = [10.0, 20.0, 30.0]

    found = difference([8.9, 19.1, 29.0], base)

    assert found.value == pytest.approx(-1.0)
    assert found.high < 0
    assert not mean([8.9, 19.1, 29.0]).high < mean(base).low


@pytest.mark.parametrize("values", [[], [1.0]])
def test_one_value_has_no_interval(values: list[float]) -> None:
    with pytest.raises(ValueError, match="no interval"):
        mean(values)


def test_values_of_other_seeds_are_not_compared() -> None:
    with pytest.raises(ValueError, match="argument 2 is longer"):
        difference([1.0, 2.0], [1.0, 2.0, 3.0])

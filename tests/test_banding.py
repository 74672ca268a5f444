"""The shape of bands for a threshold, against the definition of the optimum."""

from __future__ import annotations

import numpy as np
import pytest

from corpus.config import Dedup
from corpus.config.banding import optimal_bands


def error(threshold: float, bands: int, rows: int) -> float:
    """Return what is proposed below the threshold and what is missed above it, as areas."""
    similarity = np.linspace(0, 1, 20_001)
    proposed = 1 - (1 - similarity**rows) ** bands
    wrong = np.where(similarity < threshold, proposed, 1 - proposed)
    return float(np.trapezoid(wrong, similarity))


@pytest.mark.parametrize(
    ("threshold", "permutations"),
    [(0.05, 64), (0.3, 10), (0.3, 64), (0.5, 128), (0.7, 64), (0.8, 128), (0.9, 64)],
)
def test_no_shape_has_a_smaller_error(threshold: float, permutations: int) -> None:
    bands, rows = optimal_bands(threshold, permutations)
    assert bands * rows <= permutations
    least = min(
        error(threshold, b, r)
        for b in range(1, permutations + 1)
        for r in range(1, permutations // b + 1)
    )
    assert error(threshold, bands, rows) <= least + 2e-3


def test_permutations_of_a_recipe_become_bands_of_its_threshold() -> None:
    scheme = Dedup(preset="strict", threshold=0.8, permutations=128).scheme()
    assert (scheme.bands, scheme.rows) == optimal_bands(0.8, 128) == (9, 13)
    assert scheme.words == "word"


@pytest.mark.parametrize("beside", [{"bands": 3}, {"rows": 3}, {"bands": 3, "rows": 3}])
def test_permutations_beside_bands_or_rows_are_refused(beside: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="either permutations, or bands and rows"):
        Dedup(permutations=64, **beside)


def test_permutations_for_a_single_band_are_refused() -> None:
    with pytest.raises(ValueError, match="8 permutations are too few for this threshold"):
        Dedup(permutations=8, threshold=0.95)

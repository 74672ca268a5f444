"""The shape of bands for a threshold, against datasketch."""

from __future__ import annotations

import pytest
from datasketch import MinHashLSH

from corpus.banding import optimal_bands
from corpus.config import Dedup


@pytest.mark.parametrize(
    ("threshold", "permutations"),
    [(0.05, 64), (0.3, 10), (0.3, 64), (0.5, 10), (0.5, 128), (0.7, 64), (0.8, 128), (0.9, 64)],
)
def test_optimum_is_that_of_datasketch(threshold: float, permutations: int) -> None:
    oracle = MinHashLSH(threshold=threshold, num_perm=permutations)
    assert optimal_bands(threshold, permutations) == (oracle.b, oracle.r)


def test_optimum_of_one_permutation_is_one_band() -> None:
    assert optimal_bands(0.5, 1) == (1, 1)


def test_permutations_of_a_recipe_become_bands_of_its_threshold() -> None:
    scheme = Dedup(preset="strict", threshold=0.8, permutations=128).scheme()
    assert (scheme.bands, scheme.rows) == optimal_bands(0.8, 128) == (9, 13)
    assert scheme.words == "word"


@pytest.mark.parametrize("beside", [{"bands": 3}, {"rows": 3}, {"bands": 3, "rows": 3}])
def test_permutations_beside_bands_or_rows_are_refused(beside: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="either permutations, or bands and rows"):
        Dedup(permutations=64, **beside)

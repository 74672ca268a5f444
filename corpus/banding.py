"""How many bands, of how many rows: the optimum for a threshold and a number of permutations.

The same choice as datasketch's `MinHashLSH(threshold, num_perm)` with equal weights. A pair of
similarity s is proposed with probability ``1 - (1 - s^rows)^bands``; of all shapes that need no
more permutations, the one is taken whose integral of that below the threshold, and of what is
missing to 1 above it, have the least sum. Pure Python, so that a recipe is read without NumPy.
"""

from __future__ import annotations

import functools

# Of the numerical integral (Simpson's rule, which is exact to the sixth digit here).
_STEPS = 200


@functools.cache
def optimal_bands(threshold: float, permutations: int) -> tuple[int, int]:
    """Return bands and rows.

    Args:
        threshold: The Jaccard index from which pairs shall be found, above 0 and at most 1.
        permutations: Length of a signature, at least 1; bands times rows is no more.
    """
    shapes = (
        (bands, rows)
        for bands in range(1, permutations + 1)
        for rows in range(1, permutations // bands + 1)
    )
    return min(shapes, key=lambda shape: _error(threshold, *shape))


def _error(threshold: float, bands: int, rows: int) -> float:
    """Return the integral of what is proposed below the threshold, and of what is not above it."""
    below = threshold - _missed(0.0, threshold, bands, rows)
    return below + _missed(threshold, 1.0, bands, rows)


def _missed(start: float, end: float, bands: int, rows: int) -> float:
    """Integrate the probability that a pair is not proposed over its similarity."""
    step = (end - start) / _STEPS
    total = 0.0
    for i in range(_STEPS + 1):
        weight = 1 if i in (0, _STEPS) else 4 if i % 2 else 2
        total += weight * (1.0 - (start + i * step) ** rows) ** bands
    return total * step / 3

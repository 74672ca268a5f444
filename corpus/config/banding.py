"""How many bands, of how many rows: datasketch's optimum for a threshold and a length."""

from __future__ import annotations

import functools


@functools.cache
def optimal_bands(threshold: float, permutations: int) -> tuple[int, int]:
    """Return bands and rows, as datasketch's `MinHashLSH` chooses them.

    A pair of similarity s is proposed with probability ``1 - (1 - s^rows)^bands``; of all shapes
    that need no more permutations, the one is taken whose integral of that below the threshold, and
    of what is missing to 1 above it, have the least sum.

    Args:
        threshold: The Jaccard index from which pairs shall be found, above 0 and at most 1.
        permutations: Length of a signature, at least 2; bands times rows is no more.

    Raises:
        ValueError: So few permutations would make a single band.
    """
    from datasketch import MinHashLSH  # its import takes as long as all others of a small recipe

    lsh = MinHashLSH(threshold=threshold, num_perm=permutations)
    return int(lsh.b), int(lsh.r)

"""What several seeds say about a measure: means, differences and how far they can be trusted.

In: one value for each seed. Out: a mean with its 95 % interval by Student's t, which holds for a
few values that scatter like a normal distribution. Two builds are compared seed by seed: the same
seed gives both the same first weights, so that what they share cancels.

The interval is over seeds: it says what another run of the training would give, and nothing about
other text than that which was evaluated (each model's `results.json` has that interval).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from corpus.metering.intervals import student


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean of n values and its 95 % interval.

    Attributes:
        value: The mean.
        low: Lower end of the interval.
        high: Upper end.
        n: Number of values.
    """

    value: float
    low: float
    high: float
    n: int


def mean(values: Sequence[float]) -> Mean:
    """Return the mean of two or more values.

    Raises:
        ValueError: There are fewer than two.
    """
    n = len(values)
    if n < 2:
        raise ValueError(f"{n} values have no interval")
    middle = math.fsum(values) / n
    variance = math.fsum((value - middle) ** 2 for value in values) / (n - 1)
    half = student(variance / n, n)
    return Mean(middle, middle - half, middle + half, n)


def difference(values: Sequence[float], base: Sequence[float]) -> Mean:
    """Return the mean of the differences of two builds, seed by seed.

    Raises:
        ValueError: They are not of the same seeds, or of fewer than two.
    """
    return mean([value - other for value, other in zip(values, base, strict=True)])

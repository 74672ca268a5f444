"""Processor time of a step from what its tasks have cost: start-up, each task, each unit of work.

In: the sums of a step's tasks, by source. Out: a `Cost`: the coefficients of the linear regression
`seconds = task + first + rate[source] * weight`, with the variance of what it predicts. A term that
the tasks cannot tell from the others, or that would be negative, is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from corpus.metering.meter import Sums

_CONDITION = 1e6  # of the scaled normal equations: terms that are told apart
_ROUNDING = 1e-9  # of the largest term: less than nothing by so little is nothing
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cost:
    """What a step costs.

    Attributes:
        task: Seconds of each task.
        first: Seconds of the first task in each process, beyond that.
        rates: Seconds of each unit of weight, by source.
        variance: Of the seconds of one task about the line; None with no task to spare.
        terms: Which columns were fitted: 0 for `task`, 1 for `first`, 2 and more for rates.
        inverse: Of their normal equations.
    """

    task: float
    first: float
    rates: Mapping[str, float]
    variance: float | None
    terms: tuple[int, ...]
    inverse: Floats

    def predict(
        self, tasks: float, firsts: float, weights: Mapping[str, float]
    ) -> tuple[float, float | None]:
        """Return seconds of processor time and their variance.

        Args:
            tasks: How many tasks.
            firsts: How many of them are the first in their process.
            weights: Of all tasks, by source; of the sources that were fitted.
        """
        seconds = self.task * tasks + self.first * firsts
        seconds += sum(self.rates[name] * weight for name, weight in weights.items())
        if self.variance is None:
            return seconds, None
        row = np.array([tasks, firsts, *(weights.get(name, 0.0) for name in self.rates)])
        row = row[list(self.terms)]
        return seconds, self.variance * (float(row @ self.inverse @ row) + tasks)


def fit(sums: Mapping[str, Sums]) -> Cost:
    """Fit a step's cost to its tasks.

    Args:
        sums: The sums of its tasks by source.
    """
    gram, target = _normal_equations(list(sums.values()))
    tasks = sum(own.tasks for own in sums.values())
    rates = list(range(2, len(gram)))
    all_first = sum(own.firsts for own in sums.values()) == tasks
    # When every task was the first of its process, what they have in common is the start.
    choices = [[1, *rates], rates] if all_first else [[0, 1, *rates], [1, *rates], [0, *rates]]
    total = sum(own.cpu_squares for own in sums.values())
    for terms in [*choices, rates]:
        found = _solve(gram, target, terms)
        if found is None or len(terms) > tasks:
            continue
        values, inverse = found
        rest = total - float(values @ target[terms])
        spare = tasks - len(terms)
        variance = max(0.0, rest) / spare if spare else None
        full = np.zeros(len(gram))
        full[terms] = values
        named = dict(zip(sums, map(float, full[2:]), strict=True))
        return Cost(float(full[0]), float(full[1]), named, variance, tuple(terms), inverse)
    ratios = {name: own.cpu / own.weight if own.weight else 0.0 for name, own in sums.items()}
    return Cost(0.0, 0.0, ratios, None, (), np.zeros((0, 0)))


def _normal_equations(sums: Sequence[Sums]) -> tuple[Floats, Floats]:
    """Return the normal equations of all terms, (2 + n, 2 + n) and (2 + n,)."""
    gram = np.zeros((2 + len(sums), 2 + len(sums)))
    target = np.zeros(2 + len(sums))
    for at, own in enumerate(sums, start=2):
        gram[0, 0] += own.tasks
        gram[0, 1] += own.firsts
        gram[1, 1] += own.firsts
        gram[0, at], gram[1, at] = own.weight, own.weight_firsts
        gram[at, at] = own.weight_squares
        target[0] += own.cpu
        target[1] += own.cpu_firsts
        target[at] = own.cpu_weight
    upper = np.triu(gram, 1)
    return gram + upper.T, target


def _solve(gram: Floats, target: Floats, terms: list[int]) -> tuple[Floats, Floats] | None:
    """Return coefficients and inverse; None when some are negative or cannot be told apart."""
    part = gram[np.ix_(terms, terms)]
    scale = np.sqrt(np.diag(part))
    if not scale.all():
        return None
    scaled = part / np.outer(scale, scale)
    if np.linalg.cond(scaled) > _CONDITION:
        return None
    inverse = np.linalg.inv(scaled) / np.outer(scale, scale)
    values = inverse @ target[terms]
    shares = values * scale  # in one unit, whatever that of the weight is
    if shares.min() < -_ROUNDING * abs(shares).max():
        return None
    return np.maximum(values, 0.0), inverse

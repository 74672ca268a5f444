"""How good predictions are: what was predicted and what is true in, measures with intervals out.

Intervals are of 95 %: Wilson's for the accuracy, else the bootstrap's percentiles over the examples
of the split, with a seed. They say how much the split's size leaves open, and nothing of how much
another seed of the training would change. Every measure is given for the majority baseline too,
which predicts the most frequent training label always.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.metering.intervals import wilson

RESAMPLES = 1000
_CELLS = 4_000_000  # of resampled confusion tables that are held at a time

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure with its 95 % interval, and what the majority baseline has."""

    value: float
    low: float
    high: float
    baseline: float


def confusion(true: Ints, predicted: Ints, classes: int) -> Ints:
    """Return how many examples of each class (rows) were predicted to be of each (columns)."""
    counts = np.bincount(true * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def macro_f1(tables: NDArray[Any]) -> Floats:
    """Return the mean F1 of the classes that occur, for confusion tables [..., K, K].

    A class that is neither in the truth nor predicted has no F1 and is left out of the mean.
    """
    hits = np.diagonal(tables, axis1=-2, axis2=-1).astype(np.float64)
    sizes = tables.sum(axis=-1) + tables.sum(axis=-2)  # 2 tp + fn + fp
    occurs = sizes > 0
    each = np.divide(2 * hits, sizes, out=np.zeros_like(hits), where=occurs)
    mean: Floats = each.sum(axis=-1) / occurs.sum(axis=-1)
    return mean


def matthews(tables: NDArray[Any]) -> Floats:
    """Return Matthews' correlation of confusion tables [..., K, K] (Gorodkin 2004).

    It is 0 where the truth or the predictions are all of one class.
    """
    tables = tables.astype(np.float64)
    true, predicted = tables.sum(axis=-1), tables.sum(axis=-2)
    total = true.sum(axis=-1)
    right = np.trace(tables, axis1=-2, axis2=-1)
    covariance = right * total - (true * predicted).sum(axis=-1)
    spread = np.sqrt(total**2 - (predicted**2).sum(axis=-1)) * np.sqrt(
        total**2 - (true**2).sum(axis=-1)
    )
    shares: Floats = np.divide(covariance, spread, out=np.zeros_like(covariance), where=spread > 0)
    return shares


def pearson(true: Floats, predicted: Floats) -> float:
    """Return Pearson's correlation; 0 where either is constant."""
    a, b = true - true.mean(), predicted - predicted.mean()
    spread = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / spread if spread > 0 else 0.0


def of_choices(true: Ints, predicted: Ints, majority: int) -> dict[str, Measure]:
    """Return the accuracy."""
    right, total = int((true == predicted).sum()), len(true)
    baseline = int((true == majority).sum()) / total
    return {"accuracy": Measure(right / total, *wilson(right, total), baseline)}


def of_classes(
    true: Ints, predicted: Ints, *, classes: int, majority: int, seed: int
) -> dict[str, Measure]:
    """Return accuracy, macro-F1 and Matthews' correlation."""
    table = confusion(true, predicted, classes)
    always = confusion(true, np.full_like(true, majority), classes)
    found = of_choices(true, predicted, majority)
    measures: tuple[tuple[str, Callable[[NDArray[Any]], Floats]], ...] = (
        ("macro_f1", macro_f1),
        ("matthews", matthews),
    )
    for name, measure in measures:
        low, high = _interval(_resampled(table, measure, seed))
        found[name] = Measure(float(measure(table)), low, high, float(measure(always)))
    return found


def _resampled(table: Ints, measure: Callable[[NDArray[Any]], Floats], seed: int) -> Floats:
    """Return a measure of the tables of resampled examples.

    Examples that are drawn with replacement are a multinomial draw of the table's cells.
    """
    draw = np.random.Generator(np.random.Philox(seed))
    shares = table.ravel() / table.sum()
    at_once = max(1, _CELLS // table.size)
    values = []
    for first in range(0, RESAMPLES, at_once):
        count = min(at_once, RESAMPLES - first)
        drawn = draw.multinomial(int(table.sum()), shares, size=count)
        values.append(measure(drawn.reshape(count, *table.shape)))
    return np.concatenate(values)


def of_scores(true: Floats, predicted: Floats, *, mean: float, seed: int) -> dict[str, Measure]:
    """Return Pearson's correlation and the root of the mean squared error.

    Args:
        true: The scores.
        predicted: What was predicted.
        mean: The mean of the training scores, which is the baseline.
        seed: Seed of the bootstrap.
    """
    draw = np.random.Generator(np.random.Philox(seed))

    def error(a: Floats, b: Floats | float) -> float:
        return math.sqrt(float(np.mean((a - b) ** 2)))

    correlations, errors = np.empty(RESAMPLES), np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        rows = draw.integers(len(true), size=len(true))
        correlations[number] = pearson(true[rows], predicted[rows])
        errors[number] = error(true[rows], predicted[rows])
    return {
        "pearson": Measure(pearson(true, predicted), *_interval(correlations), 0.0),
        "rmse": Measure(error(true, predicted), *_interval(errors), error(true, mean)),
    }


def _interval(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def per_class(true: Ints, predicted: Ints, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return number of examples, precision, recall and F1 of each class; null where undefined."""
    table = confusion(true, predicted, len(labels))
    rows: list[dict[str, Any]] = []
    for number, label in enumerate(labels):
        hits, size = int(table[number, number]), int(table[number].sum())
        claimed = int(table[:, number].sum())
        rows.append(
            {
                "label": label,
                "examples": size,
                "precision": hits / claimed if claimed else None,
                "recall": hits / size if size else None,
                "f1": 2 * hits / (claimed + size) if claimed + size else None,
            }
        )
    return rows

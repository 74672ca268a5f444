"""Fit alpha, the one number of the quality filter, to the scores of the reference corpus.

Scores of reference documents and of crawl documents go in; the alpha comes out with which what is
kept of the crawl scores most like the reference (GPT-3 paper, Appendix A). Of any number of crawl
documents `ScoreCounts` keeps a million numbers.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from corpus.errors import InputError
from corpus.text import quality

_SMALLEST_ALPHA, _LARGEST_ALPHA = 0.05, 200.0
_STEPS = 1_000_000  # between 0 and 1, of the scores that are counted


class ScoreCounts:
    """How often each score was seen, to a millionth, in memory that does not grow: 8 MB."""

    def __init__(self) -> None:
        self._counts = np.zeros(_STEPS + 1, np.int64)

    def add(self, scores: NDArray[np.float64]) -> None:
        """Count some more scores, from 0 to 1."""
        steps = np.rint(scores * _STEPS).astype(np.int64)
        self._counts += np.bincount(steps, minlength=_STEPS + 1)

    @property
    def documents(self) -> int:
        """Scores that were added."""
        return int(self._counts.sum())

    def scores(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the scores that were seen, in rising order, and how often each was."""
        seen = np.flatnonzero(self._counts)
        return seen / _STEPS, self._counts[seen]


def fit_alpha(
    reference_scores: NDArray[np.float64],
    crawl_scores: NDArray[np.float64],
    crawl_counts: NDArray[np.int64] | None = None,
) -> float:
    """Return the alpha with which the kept crawl scores most like the reference corpus.

    "α was chosen to match the distribution of scores from our classifier on WebText" (GPT-3 paper,
    Appendix A). Each crawl document counts with its probability of being kept, so that nothing is
    drawn; the distance of the two distributions is the earth mover's: the area between them.

    Args:
        reference_scores: Of documents of the reference corpus, best ones not trained on.
        crawl_scores: Of unfiltered crawl documents, best ones not trained on.
        crawl_counts: How many documents have each of these scores; one by default.

    Returns:
        alpha, rounded to hundredths so that it can be written into a recipe.

    Raises:
        InputError: There are no scores of one kind, or no alpha of the range matches best: the
            distance still falls at an end of it.
        ValueError: A score is not from 0 to 1.
    """
    if not (reference_scores.size and crawl_scores.size):
        kind = "crawl" if reference_scores.size else "reference"
        raise InputError(
            f"alpha cannot be fitted without {kind} documents",
            where="filter.alpha",
            fix="Give alpha as a number; the paper has 9",
        )
    if crawl_counts is None:
        crawl_counts = np.ones(crawl_scores.size, np.int64)
    distance = _Distance(reference_scores, crawl_scores, crawl_counts)
    grid = np.geomspace(_SMALLEST_ALPHA, _LARGEST_ALPHA, 120)
    best = int(np.argmin([distance.at(float(alpha)) for alpha in grid]))
    if best in (0, len(grid) - 1):
        why = (
            "The crawl scores as high as the reference does, whatever is dropped"
            if best == 0
            else "Even the best of the crawl scores lower than the reference does"
        )
        raise InputError(
            "no alpha makes the kept crawl score like the reference",
            where="filter.alpha",
            why=why,
            fix="Give alpha as a number; the paper has 9",
        )
    return round(_golden_section(distance, float(grid[best - 1]), float(grid[best + 1])), 2)


class _Distance:
    """The earth mover's distance of the reference's scores from those of the kept crawl."""

    def __init__(
        self,
        reference: NDArray[np.float64],
        crawl: NDArray[np.float64],
        counts: NDArray[np.int64],
    ) -> None:
        order = np.argsort(crawl, kind="stable")
        reference, self._crawl, self._counts = np.sort(reference), crawl[order], counts[order]
        points = np.union1d(reference, self._crawl)
        self._gaps = np.diff(points)
        self._reference = np.searchsorted(reference, points[:-1], side="right") / reference.size
        self._index = np.searchsorted(self._crawl, points[:-1], side="right")

    def at(self, alpha: float) -> float:
        weights = self._counts * quality.keep_probability(self._crawl, alpha=alpha)
        below = np.concatenate([[0.0], np.cumsum(weights)])
        gap = np.abs(self._reference - below[self._index] / below[-1])
        return float((gap * self._gaps).sum())


def _golden_section(distance: _Distance, low: float, high: float) -> float:
    """Return where the distance is least between two alphas, to less than a hundredth."""
    ratio = (math.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = distance.at(left), distance.at(right)
    while high - low > 1e-3:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = distance.at(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = distance.at(right)
    return (low + high) / 2

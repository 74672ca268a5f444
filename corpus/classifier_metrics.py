"""What a quality classifier does to labelled documents, as numbers that a person can judge.

A model, texts and labels go in; areas under curves, calibration, a forecast of what each alpha
keeps, and scores by length come out. scikit-learn is imported where it is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from corpus.errors import InputError
from corpus.text import quality
from corpus.text.quality import LinearModel

ALPHAS = tuple(range(1, 13))  # of the forecast; The Pile's table 6 has 1 to 9
_BINS = 10
_NEAR_CONSTANT = 0.01  # standard deviation of scores under which alpha cannot tell documents apart


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """The documents with a score from `lower` to `upper`: how many of them are of the reference."""

    lower: float
    upper: float
    documents: int
    mean_score: float | None
    positive_share: float | None


@dataclass(frozen=True, slots=True)
class KeepRate:
    """The share of each class that is expected to be kept at an alpha."""

    alpha: float
    positives: float
    negatives: float


@dataclass(frozen=True, slots=True)
class LengthDecile:
    """A tenth of the documents by length: a score that climbs with the length is no quality."""

    longest_characters: int
    documents: int
    mean_score: float


@dataclass(frozen=True, slots=True)
class Metrics:
    """What a classifier does to labelled documents.

    Attributes:
        positives, negatives: Number of documents of each class that were scored.
        trained_on: Number of documents that it was fitted to; 0 when that is not known.
        roc_auc, average_precision: Areas under the curves, 0 to 1.
        f1: F1 of the positives at a threshold of 0.5.
        mean_positive_score, mean_negative_score: Means by class.
        calibration: Ten bins of the score.
        keep_rates: Forecast for each alpha of `ALPHAS`.
        length_deciles: From the shortest documents to the longest.
        warning: What a person should know before use, or None.
    """

    positives: int
    negatives: int
    trained_on: int
    roc_auc: float
    average_precision: float
    f1: float
    mean_positive_score: float
    mean_negative_score: float
    calibration: tuple[CalibrationBin, ...]
    keep_rates: tuple[KeepRate, ...]
    length_deciles: tuple[LengthDecile, ...]
    warning: str | None


def evaluate(
    model: LinearModel, texts: pa.Array, labels: NDArray[np.bool_], *, trained_on: int = 0
) -> Metrics:
    """Say what a classifier does to labelled documents.

    Args:
        model: The classifier.
        texts: n documents.
        labels: bool, (n,); true for a document of the reference.
        trained_on: Number of documents that it was fitted to, for the record.

    Raises:
        InputError: All documents are of one class.
    """
    from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

    if labels.all() or not labels.any():
        raise InputError(
            "a classifier cannot be evaluated on documents of one class",
            where="filter.classifier",
            why=f"{int(labels.sum())} of {len(labels)} documents are of the reference",
            fix="Name sources of both classes",
        )
    scores = quality.scores(texts, model)
    keep = [quality.keep_probability(scores, alpha=alpha) for alpha in ALPHAS]
    return Metrics(
        positives=int(labels.sum()),
        negatives=int((~labels).sum()),
        trained_on=trained_on,
        roc_auc=float(roc_auc_score(labels, scores)),
        average_precision=float(average_precision_score(labels, scores)),
        f1=float(f1_score(labels, scores >= 0.5)),
        mean_positive_score=float(scores[labels].mean()),
        mean_negative_score=float(scores[~labels].mean()),
        calibration=_calibration(scores, labels),
        keep_rates=tuple(
            KeepRate(float(alpha), float(kept[labels].mean()), float(kept[~labels].mean()))
            for alpha, kept in zip(ALPHAS, keep, strict=True)
        ),
        length_deciles=_length_deciles(scores, texts),
        warning=_warning(scores),
    )


def _calibration(
    scores: NDArray[np.float64], labels: NDArray[np.bool_]
) -> tuple[CalibrationBin, ...]:
    bins = np.minimum((scores * _BINS).astype(np.int64), _BINS - 1)
    result = []
    for index in range(_BINS):
        inside = bins == index
        documents = int(inside.sum())
        result.append(
            CalibrationBin(
                lower=index / _BINS,
                upper=(index + 1) / _BINS,
                documents=documents,
                mean_score=float(scores[inside].mean()) if documents else None,
                positive_share=float(labels[inside].mean()) if documents else None,
            )
        )
    return tuple(result)


def _length_deciles(scores: NDArray[np.float64], texts: pa.Array) -> tuple[LengthDecile, ...]:
    lengths = pc.utf8_length(texts).to_numpy(zero_copy_only=False)
    parts = np.array_split(np.argsort(lengths, kind="stable"), 10)
    return tuple(
        LengthDecile(int(lengths[part].max()), len(part), float(scores[part].mean()))
        for part in parts
        if len(part)
    )


def _warning(scores: NDArray[np.float64]) -> str | None:
    spread = float(scores.std())
    if spread >= _NEAR_CONSTANT:
        return None
    return (
        f"The scores are nearly constant (standard deviation {spread:.4f}): the filter would drop "
        "documents almost at random. Train on more documents or with less regularisation."
    )

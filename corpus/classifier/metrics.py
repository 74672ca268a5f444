"""What a quality classifier does to labelled documents, as numbers that a person can judge.

The records of areas under curves, calibration, a forecast of what each alpha keeps, and scores by
length and group; `corpus.classifier.measuring` fills them.
"""

from __future__ import annotations

from dataclasses import dataclass

ALPHAS = tuple(range(1, 13))  # of the forecast; The Pile's table 6 has 1 to 9
PAPERS_ALPHA = 9.0
QUANTILES = 1000


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """The documents with a score from `lower` to `upper`, and how many of them are positives.

    The share counts both classes the same, as training does.
    """

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
class Group:
    """The documents of one source, language or other kind.

    Attributes:
        kind: "source", "language", or what the caller calls it.
        name: The source or language.
        positives, negatives, others: Documents by class; others are of neither.
        mean_score: Mean of all of them.
        kept: Share of them that alpha 9 is expected to keep.
        roc_auc: Positives against negatives of the group if it has both; else the group against all
            documents of the other class (the negatives, for documents of neither).
    """

    kind: str
    name: str
    positives: int
    negatives: int
    others: int
    mean_score: float
    kept: float
    roc_auc: float


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One point of the learning curve: what a model trained on fewer documents does."""

    documents: int
    roc_auc: float
    f1: float


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
        calibration_error: Mean distance of score and share over the bins, both classes the same.
        keep_rates: Forecast for each alpha of `ALPHAS`.
        length_deciles: From the shortest documents to the longest, both classes.
        length_slopes: What a doubling of the length adds to the score of a positive, of a negative.
        auc_without_marks: ROC-AUC when words without a letter or a digit are taken out of the
            texts; None when that was not measured.
        groups: By source, by language, and so on.
        positive_quantiles: 1,001 quantiles of the positives' scores, to fit alpha to.
        learning_curve: From few training documents to all.
        warnings: What a person should know before use, each with its remedy.
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
    calibration_error: float
    keep_rates: tuple[KeepRate, ...]
    length_deciles: tuple[LengthDecile, ...]
    length_slopes: tuple[float, float]
    auc_without_marks: float | None
    groups: tuple[Group, ...]
    positive_quantiles: tuple[float, ...]
    learning_curve: tuple[CurvePoint, ...]
    warnings: tuple[str, ...]

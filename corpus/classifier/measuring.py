"""Measuring a quality classifier: scored and labelled documents in, `Metrics` out.

scikit-learn is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpus.classifier.metrics import (
    ALPHAS,
    PAPERS_ALPHA,
    QUANTILES,
    CalibrationBin,
    CurvePoint,
    Group,
    KeepRate,
    LengthDecile,
    Metrics,
)
from corpus.classifier.scored import OTHER, Floats, Scored, score
from corpus.errors import InputError
from corpus.text import quality
from corpus.text.quality import LinearModel

_BINS = 10
_NEAR_CONSTANT = 0.01  # standard deviation of scores under which alpha cannot tell documents apart
# What a doubling of the length adds to the score in both classes that is worth a word. Gururangan
# et al. 2022 found 0.09. More text is more evidence, which draws the two classes apart: a slope
# that goes up in one and down in the other is no bias.
_LENGTH_BIAS = 0.02
_MARKUP_BIAS = 0.02  # of ROC-AUC, lost when words without a letter or digit are taken out
_GROUP_DOCUMENTS = 20  # smaller groups are left out
_GROUPS = 12  # of a kind, the largest


def evaluate(
    model: LinearModel, texts: pa.Array, labels: NDArray[np.bool_], *, trained_on: int = 0
) -> Metrics:
    """Say what a classifier does to labelled documents that fit into memory.

    Args:
        model: The classifier.
        texts: n documents.
        labels: bool, (n,); true for a document of the reference.
        trained_on: Number of documents that it was fitted to, for the record.

    Raises:
        InputError: All documents are of one class.
    """
    return measure(score(model, texts, labels, marks=True), trained_on=trained_on)


def measure(
    scored: Scored, *, trained_on: int = 0, learning_curve: tuple[CurvePoint, ...] = ()
) -> Metrics:
    """Say what a classifier does to documents that it has scored.

    Raises:
        InputError: There are not documents of both classes.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    ours = scored.labels != OTHER
    labels, scores = scored.labels[ours] == 1, scored.scores[ours]
    if labels.all() or not labels.any():
        raise InputError(
            "a classifier cannot be evaluated on documents of one class",
            where="filter.classifier",
            why=f"{int(labels.sum())} of {len(labels)} documents are of the reference",
            fix="Name sources of both classes",
        )
    keep = [quality.keep_probability(scores, alpha=alpha) for alpha in ALPHAS]
    calibration = tuple(_calibration(scores, labels))
    lengths = scored.lengths[ours]
    slopes = (_slope(scores[labels], lengths[labels]), _slope(scores[~labels], lengths[~labels]))
    roc_auc = float(roc_auc_score(labels, scores))
    unmarked = None
    if scored.without_marks is not None:
        unmarked = float(roc_auc_score(labels, scored.without_marks[ours]))
    return Metrics(
        positives=int(labels.sum()),
        negatives=int((~labels).sum()),
        trained_on=trained_on,
        roc_auc=roc_auc,
        average_precision=float(average_precision_score(labels, scores)),
        f1=f1(scores, labels),
        mean_positive_score=float(scores[labels].mean()),
        mean_negative_score=float(scores[~labels].mean()),
        calibration=calibration,
        calibration_error=_calibration_error(scores, labels),
        keep_rates=tuple(
            KeepRate(float(alpha), float(kept[labels].mean()), float(kept[~labels].mean()))
            for alpha, kept in zip(ALPHAS, keep, strict=True)
        ),
        length_deciles=_length_deciles(scores, lengths),
        length_slopes=slopes,
        auc_without_marks=unmarked,
        groups=tuple(_groups(scored)),
        positive_quantiles=tuple(
            float(q) for q in np.quantile(scores[labels], np.linspace(0, 1, QUANTILES + 1)).round(6)
        ),
        learning_curve=learning_curve,
        warnings=tuple(_warnings(scores, slopes, roc_auc, unmarked)),
    )


def f1(scores: Floats, labels: NDArray[np.bool_]) -> float:
    """Return F1 of the positives at a threshold of 0.5: 2 TP / (2 TP + FP + FN)."""
    taken = scores >= 0.5
    right = int((taken & labels).sum())
    return 2 * right / max(int(taken.sum()) + int(labels.sum()), 1)


def _weights(labels: NDArray[np.bool_]) -> Floats:
    """Return weights that add up to one half for each class."""
    weights: Floats = np.where(labels, 0.5 / labels.sum(), 0.5 / (~labels).sum())
    return weights


def _calibration(scores: Floats, labels: NDArray[np.bool_]) -> Iterator[CalibrationBin]:
    bins = np.minimum((scores * _BINS).astype(np.int64), _BINS - 1)
    weights = _weights(labels)
    for index in range(_BINS):
        inside = bins == index
        documents = int(inside.sum())
        mass = weights[inside].sum()
        yield CalibrationBin(
            lower=index / _BINS,
            upper=(index + 1) / _BINS,
            documents=documents,
            mean_score=float((scores * weights)[inside].sum() / mass) if documents else None,
            positive_share=float(weights[inside & labels].sum() / mass) if documents else None,
        )


def _calibration_error(scores: Floats, labels: NDArray[np.bool_]) -> float:
    bins = np.minimum((scores * _BINS).astype(np.int64), _BINS - 1)
    gap = np.bincount(bins, _weights(labels) * (scores - labels), _BINS)
    return float(np.abs(gap).sum())


def _length_deciles(scores: Floats, lengths: NDArray[np.int64]) -> tuple[LengthDecile, ...]:
    parts = np.array_split(np.argsort(lengths, kind="stable"), 10)
    return tuple(
        LengthDecile(int(lengths[part].max()), len(part), float(scores[part].mean()))
        for part in parts
        if len(part)
    )


def _slope(scores: Floats, lengths: NDArray[np.int64]) -> float:
    """Return what a doubling of the length adds to the score, by least squares; 0 for a few."""
    doublings = np.log2(1 + lengths)
    if scores.size < _GROUP_DOCUMENTS or doublings.std() == 0:
        return 0.0
    return float(np.cov(doublings, scores, bias=True)[0, 1] / doublings.var())


def _groups(scored: Scored) -> Iterator[Group]:
    from sklearn.metrics import roc_auc_score

    kept = quality.keep_probability(scored.scores, alpha=PAPERS_ALPHA)
    for kind, names in scored.groups.items():
        known = np.array([name is not None for name in names], np.bool_)
        values, counts = np.unique(names[known].astype(str), return_counts=True)
        largest = sorted(zip(-counts, values, strict=True))[: None if kind == "source" else _GROUPS]
        for negated, name in largest:
            if -negated < _GROUP_DOCUMENTS and kind != "source":
                continue
            inside = names == name
            labels = scored.labels[inside]
            first, second = inside & (scored.labels == 1), inside & (scored.labels == 0)
            if not (first.any() and second.any()):
                first = inside if not second.any() else scored.labels == 1
                second = inside if second.any() else scored.labels == 0
            both = np.concatenate([scored.scores[first], scored.scores[second]])
            truth = np.repeat([True, False], [first.sum(), second.sum()])
            yield Group(
                kind=kind,
                name=str(name),
                positives=int((labels == 1).sum()),
                negatives=int((labels == 0).sum()),
                others=int((labels == OTHER).sum()),
                mean_score=float(scored.scores[inside].mean()),
                kept=float(kept[inside].mean()),
                roc_auc=float(roc_auc_score(truth, both)),
            )


def _warnings(
    scores: Floats, slopes: tuple[float, float], roc_auc: float, unmarked: float | None
) -> Iterator[str]:
    spread = float(scores.std())
    if spread < _NEAR_CONSTANT:
        yield (
            f"The scores are nearly constant (standard deviation {spread:.4f}): the filter would "
            "drop documents almost at random. Train on more documents, or with a larger "
            "inverse_regularisation."
        )
    if min(map(abs, slopes)) >= _LENGTH_BIAS and slopes[0] * slopes[1] > 0:
        yield (
            f"In both classes the score goes with the length of a document ({slopes[0]:+.3f} and "
            f"{slopes[1]:+.3f} for twice the length): it judges length along with quality. Train "
            "with `norm: l2`, and with a truncate_characters that makes the documents of both "
            "classes about as long."
        )
    if unmarked is not None and roc_auc - unmarked >= _MARKUP_BIAS:
        yield (
            f"Without words that have no letter or digit, such as bars and bullets, the ROC-AUC "
            f"falls from {roc_auc:.3f} to {unmarked:.3f}: it judges how a text is written down. "
            "Extract the sources of both classes in the same way, or leave out those that are not "
            "plain prose."
        )

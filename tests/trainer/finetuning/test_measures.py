"""Measures against scikit-learn and scipy, and intervals against what is known of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score, matthews_corrcoef, precision_recall_fscore_support

from corpus.metering.intervals import wilson
from corpus.trainer.finetuning import measures


def made(seed: int, *, classes: int, size: int = 200) -> tuple[measures.Ints, measures.Ints]:
    draw = np.random.default_rng(seed)
    true = draw.integers(0, classes, size=size)
    wrong = draw.random(size) < 0.4
    return true, np.where(wrong, draw.integers(0, classes, size=size), true)


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("seed", [1, 2])
def test_f1_and_matthews_are_those_of_scikit_learn(classes: int, seed: int) -> None:
    true, predicted = made(seed, classes=classes)

    # One class more than there is: it is in neither and must not count.
    found = measures.of_classes(true, predicted, classes=classes + 1, majority=0, seed=1)

    assert found["macro_f1"].value == pytest.approx(f1_score(true, predicted, average="macro"))
    assert found["matthews"].value == pytest.approx(matthews_corrcoef(true, predicted))
    assert found["accuracy"].value == (true == predicted).mean()
    rows = measures.per_class(true, predicted, [str(n) for n in range(classes)])
    expected = precision_recall_fscore_support(true, predicted)
    for name, values in zip(("precision", "recall", "f1", "examples"), expected, strict=True):
        assert [row[name] for row in rows] == pytest.approx(values.tolist())


def test_a_constant_prediction_has_no_correlation() -> None:
    true = np.array([0, 0, 1, 1, 1])
    found = measures.of_classes(true, np.ones_like(true), classes=2, majority=1, seed=1)

    assert found["matthews"].value == 0
    assert found["accuracy"].value == found["accuracy"].baseline == 0.6
    assert found["macro_f1"].value == found["macro_f1"].baseline == pytest.approx(0.75 / 2)


@pytest.mark.parametrize(("right", "total"), [(0, 10), (7, 10), (10, 10), (480, 500)])
def test_the_interval_of_the_accuracy_is_wilsons(right: int, total: int) -> None:
    expected = stats.binomtest(right, total).proportion_ci(method="wilson")

    assert wilson(right, total) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_bootstrap_intervals_are_those_of_examples_drawn_one_by_one() -> None:
    true, predicted = made(3, classes=3, size=150)
    found = measures.of_classes(true, predicted, classes=3, majority=0, seed=1)
    draw = np.random.default_rng(9)
    plain = []
    for _ in range(1000):
        rows = draw.integers(150, size=150)
        plain.append(matthews_corrcoef(true[rows], predicted[rows]))

    interval = (found["matthews"].low, found["matthews"].high)
    assert interval == pytest.approx(np.quantile(plain, (0.025, 0.975)).tolist(), abs=0.012)
    assert measures.of_classes(true, predicted, classes=3, majority=0, seed=1) == found
    assert measures.of_classes(true, predicted, classes=3, majority=0, seed=2) != found


def test_scores_have_pearsons_correlation_and_the_error_of_the_mean() -> None:
    draw = np.random.default_rng(1)
    true = draw.normal(size=120)
    predicted = true + draw.normal(size=120)

    found = measures.of_scores(true, predicted, mean=0.5, seed=1)

    expected = stats.pearsonr(true, predicted)
    interval = expected.confidence_interval()
    assert found["pearson"].value == pytest.approx(expected.statistic)
    assert found["pearson"].low == pytest.approx(interval.low, abs=0.05)
    assert found["pearson"].high == pytest.approx(interval.high, abs=0.05)
    assert found["rmse"].baseline == pytest.approx(np.sqrt(np.mean((true - 0.5) ** 2)))
    assert measures.pearson(true, np.ones(120)) == 0

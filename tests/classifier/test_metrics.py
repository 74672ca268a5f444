"""Measures of a classifier whose values are known beforehand, and the warnings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from corpus import classifier
from corpus.classifier.alpha import ScoreCounts, fit_alpha
from corpus.classifier.contributions import explain
from corpus.classifier.measuring import measure
from corpus.classifier.metrics import Metrics
from corpus.classifier.scored import Scored, joined, without_marks
from corpus.classifier.training import TrainingRows, sample_weights
from corpus.text import quality
from corpus.text.quality import Features, LinearModel


def scored(**changes: Any) -> Scored:
    """Return 300 documents of each class with unrelated scores and lengths."""
    rng = np.random.default_rng(4)
    labels = np.repeat([1, 0], 300).astype(np.int8)
    values: dict[str, Any] = {
        "scores": np.clip(np.where(labels == 1, 0.7, 0.3) + rng.normal(0, 0.1, 600), 0, 1),
        "labels": labels,
        "lengths": rng.integers(100, 10_000, 600),
        "without_marks": None,
        "groups": {},
    }
    return Scored(**{**values, **changes})


def measured(**changes: Any) -> Metrics:
    return measure(scored(**changes))


def test_scores_that_rise_with_length_in_both_classes_are_a_warning() -> None:
    assert measured().warnings == ()
    doublings = np.random.default_rng(1).uniform(7, 14, 600)
    rising = np.clip(scored().scores * 0.5 + 0.05 * (doublings - 7), 0, 1)
    metrics = measured(scores=rising, lengths=(2**doublings).astype(np.int64))
    assert metrics.length_slopes == pytest.approx((0.05, 0.05), abs=0.01)
    assert len(metrics.warnings) == 1
    assert "length" in metrics.warnings[0]
    assert "norm: l2" in metrics.warnings[0]


def test_length_that_draws_the_classes_apart_is_no_warning() -> None:
    doublings = np.random.default_rng(1).uniform(7, 14, 600)
    away = 0.5 + np.repeat([1, -1], 300) * 0.05 * (doublings - 7)
    metrics = measured(scores=away, lengths=(2**doublings).astype(np.int64))
    assert metrics.length_slopes == pytest.approx((0.05, -0.05), abs=0.001)
    assert metrics.warnings == ()


def test_classifier_that_needs_the_marks_is_a_warning() -> None:
    random = np.random.default_rng(2).random(600)
    metrics = measured(without_marks=random)
    assert metrics.auc_without_marks is not None
    assert metrics.auc_without_marks < 0.6
    assert len(metrics.warnings) == 1
    assert "bullets" in metrics.warnings[0]


def test_marks_are_words_without_letter_or_digit() -> None:
    texts = pa.array(["| a | | b-c ** 1. — \n- d", "| | |", "é 漢 -", "a", ""])
    left = [t.split() for t in without_marks(texts).to_pylist()]
    assert left == [["a", "b-c", "1.", "d"], [], ["é", "漢"], ["a"], []]


def test_groups_are_counted_and_compared_with_the_other_class() -> None:
    """Languages of both classes by themselves, a source of one class against all of the other."""
    base = scored()
    source = np.where(base.labels == 1, "good", "crawl").astype(np.object_)
    language = np.array(["en", "de"] * 300, np.object_)
    language[:30] = None
    groups = {"source": source, "language": language}
    other = Scored(
        np.full(25, 0.9),
        np.full(25, -1, np.int8),
        np.full(25, 500),
        None,
        {"source": np.full(25, "third", np.object_)},
    )
    metrics = measure(joined([scored(groups=groups), other]))
    assert (metrics.positives, metrics.negatives) == (300, 300)
    by_name = {(g.kind, g.name): g for g in metrics.groups}
    assert set(by_name) == {
        ("source", "good"),
        ("source", "crawl"),
        ("source", "third"),
        ("language", "en"),
        ("language", "de"),
    }
    assert by_name["source", "good"].roc_auc == by_name["source", "crawl"].roc_auc
    assert by_name["source", "good"].roc_auc == pytest.approx(metrics.roc_auc)
    third = by_name["source", "third"]
    assert (third.positives, third.negatives, third.others) == (0, 0, 25)
    assert third.mean_score == pytest.approx(0.9)
    assert third.kept == pytest.approx(1.1**-9)
    assert third.roc_auc == pytest.approx((base.scores[base.labels == 0] < 0.9).mean())
    english = by_name["language", "en"]
    assert (english.positives, english.negatives) == (135, 150)


def test_f1_and_quantiles_are_those_of_scikit_learn_and_numpy() -> None:
    from sklearn.metrics import f1_score

    base, metrics = scored(), measured()
    assert metrics.f1 == pytest.approx(f1_score(base.labels, base.scores >= 0.5))
    positives = base.scores[base.labels == 1]
    assert len(metrics.positive_quantiles) == 1001
    assert metrics.positive_quantiles[0] == pytest.approx(positives.min(), abs=1e-6)
    assert metrics.positive_quantiles[500] == pytest.approx(np.median(positives), abs=1e-6)


def test_alpha_fitted_to_quantiles_and_counts_is_that_of_the_scores() -> None:
    rng = np.random.default_rng(6)
    crawl, reference = rng.beta(1, 3, 50_000), rng.beta(6, 3, 3000)
    counts = ScoreCounts()
    for part in np.array_split(crawl, 7):
        counts.add(part)
    assert counts.documents == 50_000
    quantiles = np.quantile(reference, np.linspace(0, 1, 1001))
    assert fit_alpha(quantiles, *counts.scores()) == pytest.approx(
        fit_alpha(reference, crawl), abs=0.05
    )


@pytest.mark.parametrize("norm", ["l2", "none"])
@pytest.mark.parametrize("ngrams", [1, 2])
def test_contributions_add_up_to_the_log_odds(ngrams: int, norm: str) -> None:
    rng = np.random.default_rng(3)
    model = LinearModel(Features(1 << 14, ngrams, norm), rng.normal(size=1 << 14), 0.4)
    found = explain("The cat saw the CAT and the dog | é", model)
    assert found.words == 10
    total = model.intercept + sum(one.log_odds for one in found.contributions)
    assert found.score == pytest.approx(1 / (1 + math.exp(-total)), abs=1e-9)
    assert {one.words: one.count for one in found.contributions}["the"] == 3
    odds = [one.log_odds for one in found.contributions]
    assert odds == sorted(odds, reverse=True)
    assert explain("", model).contributions == ()


def test_pieces_of_a_document_are_spread_over_it() -> None:
    rows = TrainingRows(Features(256, 1, "none"), 100, pieces=4)
    pieces, documents = rows._pieces(pa.array(["a" * 450 + "b" * 50, "c" * 99, "d" * 250]))
    assert documents.tolist() == [0, 0, 0, 0, 1, 2, 2]
    assert [len(piece) for piece in pieces] == [100, 100, 100, 100, 99, 100, 100]
    assert pieces[0] == "a" * 100
    assert pieces[3] == "a" * 51 + "b" * 49  # a third of 400 is rounded down
    assert set(pieces[4]) == {"c"}


def test_sample_weights_balance_classes_or_their_sources() -> None:
    labels = np.array([True] * 10 + [False] * 30)
    sources = np.array(["a"] * 9 + ["b"] + ["c"] * 30, np.object_)
    weights = sample_weights(labels, sources, "classes")
    assert weights[labels].sum() == pytest.approx(weights[~labels].sum()) == pytest.approx(20)
    weights = sample_weights(labels, sources, "sources")
    assert weights[:9].sum() == pytest.approx(weights[9]) == pytest.approx(10)
    assert weights[~labels].sum() == pytest.approx(20)
    with pytest.raises(ValueError, match="balance"):
        sample_weights(labels, sources, "words")


def test_rows_of_a_learning_curve_are_nested_and_the_last_is_all_of_them() -> None:
    rng = np.random.default_rng(0)
    rows = TrainingRows(Features(1 << 10, 1, "l2"), None)
    for positive, word in ((True, "good"), (False, "bad")):
        texts = [f"{word} " + " ".join(rng.choice(list("abcdefgh"), 5)) for _ in range(100)]
        rows.add(pa.array(texts), positive=positive, source="s", draws=rng.random(100))
    found = rows.fit(inverse_regularisation=1.0, balance="classes", shares=(0.5, 0.1))
    assert [share for share, _, _ in found] == [0.1, 0.5, 1.0]
    assert [number for _, number, _ in found] == [20, 100, 200]
    good, bad = quality.scores(pa.array(["good", "bad"]), found[-1][2])
    assert good > 0.5 > bad


def test_evaluate_measures_marks_too() -> None:
    model = LinearModel(Features(1 << 10, 1, "l2"), np.zeros(1 << 10), 0.0)
    metrics = classifier.evaluate(model, pa.array(["a -", "b"]), np.array([True, False]))
    assert metrics.auc_without_marks == 0.5

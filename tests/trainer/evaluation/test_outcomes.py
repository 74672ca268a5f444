"""Shares, means and ratios with their intervals, against values worked out by hand."""

from __future__ import annotations

import json
import math

import pytest

from corpus.trainer.evaluation.outcomes import Outcome, estimates, mean, ratio, share


def test_share_has_wilsons_interval() -> None:
    """8 of 10: the interval that statistics books print is 0.4902 to 0.9433."""
    found = share("accuracy", [1.0] * 8 + [0.0] * 2)
    assert found.value == 0.8
    assert found.error == pytest.approx(math.sqrt(0.8 * 0.2 / 10))
    assert (found.low, found.high) == (
        pytest.approx(0.4902, abs=1e-4),
        pytest.approx(0.9433, abs=1e-4),
    )


def test_share_of_none_and_of_all_stays_between_0_and_1() -> None:
    none, every = share("a", [0.0] * 20), share("a", [1.0] * 20)
    assert none.low == 0
    assert none.high == pytest.approx(0.1611, abs=1e-4)
    assert (every.low, every.high) == (pytest.approx(1 - 0.1611, abs=1e-4), 1)


def test_mean_has_the_error_of_its_sample() -> None:
    found = mean("f1", [1.0, 2.0, 3.0, 4.0])
    assert found.value == 2.5
    assert found.error == pytest.approx(math.sqrt(5 / 3 / 4))


def test_ratio_of_equal_units_is_a_mean_and_of_one_document_has_no_error() -> None:
    assert ratio([2.0, 4.0, 6.0, 8.0], [2, 2, 2, 2]) == (2.5, pytest.approx(math.sqrt(5 / 3 / 4)))
    assert ratio([3.0], [2]) == (1.5, None)


def outcome(nats: float, words: int) -> Outcome:
    units = {"word": words, "character": 5 * words, "byte": 6 * words, "token": 2 * words}
    return Outcome(id="a", place="f:1", nats=nats, units=units)


def test_perplexity_is_of_the_sum_over_all_words_and_not_a_mean_of_documents() -> None:
    found = {one.metric: one for one in estimates([outcome(30.0, 10), outcome(10.0, 30)])}
    assert found["word_perplexity"].value == pytest.approx(math.exp(1))
    assert found["bits_per_character"].value == pytest.approx(40 / 200 / math.log(2))
    assert found["bits_per_byte"].value == pytest.approx(40 / 240 / math.log(2))
    assert found["token_perplexity"].value == pytest.approx(math.exp(0.5))
    high, low = found["word_perplexity"].high, found["word_perplexity"].low
    assert high is not None
    assert low is not None
    assert low * high == pytest.approx(math.exp(2))


def test_hopeless_perplexity_is_still_a_number() -> None:
    found = estimates([outcome(1e6, 1)])
    assert math.isfinite(found[0].value)


def test_outcome_is_read_as_it_was_written() -> None:
    one = Outcome("a", "f:1", 3, 2, {"accuracy": 0.5}, {"f1": 0.1}, 2.5, {"word": 1}, {"gold": 1})
    assert Outcome.from_json(json.loads(json.dumps(one.to_json()))) == one

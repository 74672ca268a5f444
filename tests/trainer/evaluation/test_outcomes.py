"""Shares, means and ratios with their intervals, against values worked out by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from corpus.trainer.evaluation.example import Example
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


def test_metric_is_over_the_outcomes_that_have_it() -> None:
    every = {"exact_match": 1.0}
    outcomes = [
        Outcome("a", "f:1", right={**every, "has_answer_exact_match": 1.0}, means={"f1": 1.0}),
        Outcome("b", "f:2", right={"exact_match": 0.0, "no_answer_exact_match": 0.0}),
        Outcome("c", "f:3", right={**every, "no_answer_exact_match": 1.0}, means={"f1": 0.5}),
    ]
    found = {one.metric: (one.value, one.n) for one in estimates(outcomes)}
    assert found == {
        "exact_match": (pytest.approx(2 / 3), 3),
        "has_answer_exact_match": (1.0, 1),
        "no_answer_exact_match": (0.5, 2),
        "f1": (0.75, 2),
    }


def test_turns_of_one_conversation_count_as_one_observation() -> None:
    """Two conversations, all right and all wrong: the error is that of two values, not of six."""
    outcomes = [
        Outcome(str(n), "f", right={"accuracy": float(n < 3)}, means={"f1": float(n < 3)})
        for n in range(6)
    ]
    grouped = [replace(one, group="one" if int(one.id) < 3 else "two") for one in outcomes]
    for alone, together in zip(estimates(outcomes), estimates(grouped), strict=True):
        assert (alone.value, alone.n) == (together.value, together.n) == (0.5, 6)
        assert together.error == pytest.approx(0.5)  # of the mean of 1 and 0
        assert alone.error is not None
        assert alone.error < 0.25


def test_group_is_right_where_all_of_it_is() -> None:
    shares = {"a": [1.0, 1.0], "b": [1.0, 0.0], "c": [0.5, 0.5], "": [1.0]}
    outcomes = [
        Outcome(f"{group}{n}", "f", together={"exact_match": share}, group=group)
        for group, own in shares.items()
        for n, share in enumerate(own)
    ]
    (found,) = estimates(outcomes)
    assert (found.metric, found.value, found.n) == ("exact_match", (1 + 0 + 0.25 + 1) / 4, 4)


def test_ratio_adds_up_before_it_divides() -> None:
    pairs = [(2.0, 2.0), (0.0, 1.0), (0.0, 0.0)]
    outcomes = [Outcome(str(n), "f", ratios={"f1a": pair}) for n, pair in enumerate(pairs)]
    (found,) = estimates(outcomes)
    assert (found.value, found.n) == (pytest.approx(2 / 3), 3)
    (none,) = estimates(outcomes[2:])
    assert (none.value, none.error) == (0.0, None)


def test_outcome_without_what_only_some_tasks_have_is_written_without_it() -> None:
    plain = Outcome("a", "f:1", right={"accuracy": 1.0}).to_json()
    assert not {"ratios", "together", "ngrams", "part_of", "group"} & set(plain)
    assert {"means", "nats", "units", "details"} < set(plain)
    parts = [replace(Example((), own="c1"), part=n) for n in range(2)]
    written = [Outcome.of(one, together={"exact_match": 0.0}).to_json() for one in parts]
    assert [(one["id"], one["part_of"], one["group"]) for one in written] == [
        ("c1#0", "c1", "c1"),
        ("c1#1", "c1", "c1"),
    ]
    assert Outcome.from_json(json.loads(json.dumps(written[0]))).to_json() == written[0]


def test_outcome_is_read_as_it_was_written() -> None:
    one = Outcome("a", "f:1", 3, 2, {"accuracy": 0.5}, {"f1": 0.1}, 2.5, {"word": 1}, {"gold": 1})
    assert Outcome.from_json(json.loads(json.dumps(one.to_json()))) == one

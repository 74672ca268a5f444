"""What answers are worth: each task's own rules, where they are more than exact match and F1."""

from __future__ import annotations

import pytest

from corpus.trainer.evaluation import marks
from corpus.trainer.evaluation.example import Example


def accepted(*answers: str) -> Example:
    return Example((("", " x"),), answers=answers)


@pytest.mark.parametrize(
    ("answer", "answers", "name", "expected"),
    [
        ("Unanswerable.", ("unanswerable",), "no_answer", 1.0),
        ("", ("unanswerable",), "no_answer", 1.0),
        ("cat", ("unanswerable",), "no_answer", 0.0),
        ("unanswerable", ("cat",), "has_answer", 0.0),
        ("the cat", ("cat", "dog"), "has_answer", 1.0),
        ("the", ("cat", "..."), "has_answer", 0.0),  # an accepted answer without words is none
        ("", ("...",), "no_answer", 1.0),
    ],
)
def test_squad2_knows_that_there_may_be_no_answer(
    answer: str, answers: tuple[str, ...], name: str, expected: float
) -> None:
    found = marks.squad2(answer, accepted(*answers))
    assert found["right"] == {"exact_match": expected, f"{name}_exact_match": expected}
    assert found["means"] == {"f1": expected, f"{name}_f1": expected}


def test_coqa_leaves_each_persons_answer_out() -> None:
    found = marks.coqa("blue", accepted("blue", "it is blue", "navy blue"))
    # Without the first: 2/3 with "navy blue"; without another: 1.
    assert found["means"] == {
        "exact_match": pytest.approx(2 / 3),
        "f1": pytest.approx((2 / 3 + 1 + 1) / 3),
    }


def test_quac_counts_the_questions_on_which_people_agree() -> None:
    assert marks.quac("cat", accepted("cat", "the cat"))["means"] == {"f1": 1.0, "f1_of_all": 1.0}
    # Nobody agrees with anybody: the question is left out of F1, and leaving out "cat" costs it.
    apart = marks.quac("cat", accepted("cat", "dog", "red fox"))["means"]
    assert apart == {"f1_of_all": pytest.approx(2 / 3)}
    assert marks.quac("CANNOTANSWER", accepted("CANNOTANSWER", "cat"))["means"]["f1"] == 1


def test_drop_is_read_as_one_span_and_as_the_list_that_prompts_show() -> None:
    example = Example((("", " x"),), answers=("Ann, Bo",), lists=(("Ann", "Bo"),))
    found = marks.spans("Bo, Ann", example)
    assert found["right"] == {"exact_match": 0.0, "exact_match_of_spans": 1.0}
    assert found["means"] == {"f1": 0.33, "f1_of_spans": 1.0}


@pytest.mark.parametrize("label", [True, False])
def test_wsc_is_right_where_the_noun_is_written_if_and_only_if_it_is_the_one(label: bool) -> None:
    example = Example((("", " mr. moore"),), answers=("mr. moore",), label=label)
    assert marks.referent("Mr. Moore", example)["right"] == {"accuracy": float(label)}
    assert marks.referent("Ann", example)["right"] == {"accuracy": float(not label)}


@pytest.mark.parametrize(
    ("gold", "values", "accuracy", "f1a"),
    [
        (0, [-1.0, -2.0], 1.0, (2.0, 2.0)),  # called true, and is
        (1, [-1.0, -2.0], 0.0, (0.0, 1.0)),
        (0, [-2.0, -1.0], 0.0, (0.0, 1.0)),
        (1, [-2.0, -1.0], 1.0, (0.0, 0.0)),
        (0, [-1.0, -1.0], 0.5, (1.0, 1.5)),  # a tie is half called true
    ],
)
def test_statement_is_called_true_or_false(
    gold: int, values: list[float], accuracy: float, f1a: tuple[float, float]
) -> None:
    found = marks.statement(Example((), gold), {"token": values, "sum": [0.0, 1.0]}, "token")
    assert found["right"]["accuracy"] == accuracy
    assert found["right"]["accuracy_by_sum"] == float(gold == 1)
    assert found["together"] == {"exact_match": accuracy}
    assert found["ratios"] == {"f1a": f1a}


def test_entity_is_compared_as_an_answer_is() -> None:
    example = Example((), 0, answers=("Donald Trump", "Trump"), options=("Trump", "Ivana Trump"))
    found = marks.entity(example, {"token": [-2.0, -1.0], "sum": [-1.0, -1.0]}, "token")
    assert found["right"] == {
        "accuracy": 0.0,
        "accuracy_by_token": 0.0,
        "accuracy_by_sum": 0.5,  # in a tie the mean over both
    }
    assert found["means"] == {"f1": pytest.approx(2 / 3)}


@pytest.mark.parametrize(
    ("values", "gold", "expected"),
    [([1.0, 2.0], 1, 1.0), ([1.0, 2.0], 0, 0.0), ([2.0, 2.0 + 1e-7, 1.0], 0, 0.5)],
)
def test_credit_is_shared_in_a_tie(values: list[float], gold: int, expected: float) -> None:
    assert marks.credit(values, gold) == expected

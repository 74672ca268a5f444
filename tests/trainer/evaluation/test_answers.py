"""Written answers against the accepted ones."""

from __future__ import annotations

import pytest

from corpus.trainer.evaluation import answers


@pytest.mark.parametrize(
    ("answer", "accepted", "normalized", "expected"),
    [
        ("The  Beatles!", ["beatles"], True, 1.0),
        ("Ringo", ["John", "ringo."], True, 1.0),
        ("a Beatle", ["Beatles"], True, 0.0),
        ("143", ["143"], False, 1.0),
        ("1,43", ["143"], False, 0.0),
        ("143 ", ["143"], False, 1.0),
        ("", ["x"], True, 0.0),
    ],
)
def test_exact_match(answer: str, accepted: list[str], normalized: bool, expected: float) -> None:
    assert answers.exact_match(answer, accepted, normalized=normalized) == expected


@pytest.mark.parametrize(
    ("answer", "accepted", "expected"),
    [
        ("the red cat", ["red cat"], 1.0),
        ("red red cat", ["red dog"], 2 * 1 / 5),
        ("dog", ["cat", "the dog ran"], 2 / 3),
        ("", ["cat"], 0.0),
    ],
)
def test_f1(answer: str, accepted: list[str], expected: float) -> None:
    assert answers.f1(answer, accepted) == pytest.approx(expected)


def test_answer_is_the_first_line() -> None:
    assert answers.written(" 143\n\nQ: What") == "143"
    assert answers.written("\nnext") == ""


@pytest.mark.parametrize(
    ("answer", "accepted", "exact", "f1"),
    [
        # SQuAD 2.0: without a word left, both or none.
        ("", [""], 1.0, 1.0),
        ("the", [""], 1.0, 1.0),
        ("cat", [""], 0.0, 0.0),
        ("", ["cat", "the"], 1.0, 1.0),
        # Only marks of ASCII are taken off; words are split at any white space.
        ("Ärger\u00a0“x”", ["ärger x"], 0.0, 0.5),
        ("U.S.-led", ["usled"], 1.0, 1.0),
        ("a an the", ["..."], 1.0, 1.0),
    ],
)
def test_edges_of_normalization(answer: str, accepted: list[str], exact: float, f1: float) -> None:
    assert answers.exact_match(answer, accepted, normalized=True) == exact
    assert answers.f1(answer, accepted) == pytest.approx(f1)


def test_leaving_one_out_compares_with_the_others_alone() -> None:
    """Two people say "red cat", one "dog": leaving "dog" out or a "red cat", a cat is there."""
    accepted = ["red cat", "red cat", "dog"]
    assert answers.leave_one_out(answers.f1, "red cat", accepted) == 1
    # "dog" is there but for where it is left out.
    assert answers.leave_one_out(answers.f1, "dog", accepted) == pytest.approx(2 / 3)
    assert answers.leave_one_out(answers.f1, "cat", accepted) == pytest.approx(2 / 3)
    assert answers.leave_one_out(answers.f1, "dog", ["dog"]) == 1


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        (["a", "b", "CANNOTANSWER"], ["a", "b"]),
        (["a", "CANNOTANSWER"], ["CANNOTANSWER"]),
        (["CANNOTANSWER"], ["CANNOTANSWER"]),
        (["a"], ["a"]),
    ],
)
def test_most_people_say_whether_there_is_an_answer(
    accepted: list[str], expected: list[str]
) -> None:
    assert answers.agreed(accepted) == expected


@pytest.mark.parametrize(
    ("answer", "accepted", "expected"),
    [
        ("CANNOTANSWER", ["CANNOTANSWER"], 1.0),
        ("cannotanswer", ["CANNOTANSWER"], 0.0),
        ("", ["CANNOTANSWER"], 0.0),
        ("CANNOTANSWER", ["cannotanswer here"], 2 / 3),  # a span is compared as words
        ("the", ["the"], 0.0),  # unlike SQuAD, no shared word is no overlap
        ("born in 1960", ["1960", "in 1960"], 0.8),
    ],
)
def test_quac_f1(answer: str, accepted: list[str], expected: float) -> None:
    assert answers.quac_f1(answer, accepted) == pytest.approx(expected)


def test_human_f1_is_each_answer_against_the_best_of_the_others() -> None:
    assert answers.human_f1(["alone"]) == 1
    assert answers.human_f1(["red cat", "cat", "dog"]) == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


@pytest.mark.parametrize(
    ("answer", "referent", "expected"),
    [
        ("The  old Dog", "a dog", True),
        ("dog", "the old dog", True),
        ("Bob", "Bob's hat", False),
        ("hat", "Bob's hat", False),  # but for the apostrophe, some of its words
        ("Bob's", "Bob's hat", True),
        ("cat", "dog", False),
        ("the old cat", "old dog", False),
        ("", "dog", False),
        ("his", "dog", False),
    ],
)
def test_referent_is_named_by_some_of_its_words(answer: str, referent: str, expected: bool) -> None:
    assert answers.names_it(answer, referent) is expected

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

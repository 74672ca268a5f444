"""DROP's exact match and F1: values worked out by hand from the rules of its script."""

from __future__ import annotations

import pytest

from corpus.trainer.evaluation import drop


@pytest.mark.parametrize(
    ("answer", "accepted", "exact", "f1"),
    [
        (["3"], [["3"]], 1.0, 1.0),
        (["3.0"], [["3"]], 1.0, 1.0),
        (["3,000"], [["3000"]], 1.0, 1.0),  # punctuation goes, then it is a number
        (["-3"], [["3"]], 1.0, 1.0),  # a hyphen parts words
        (["3 yards"], [["3"]], 0.0, 0.67),  # rounded, as the script does
        (["4 yards"], [["3 yards"]], 0.0, 0.0),  # another number: nothing
        (["yards"], [["3 yards"]], 0.0, 0.0),
        (["three"], [["3"], ["three"]], 1.0, 1.0),  # the best of the accepted
        (["The Two-Door car"], [["two door car"]], 1.0, 1.0),
        (["red red cat"], [["red cat"]], 0.0, 1.0),  # words as a set
        (["Ann", "Bo"], [["bo", "ann"]], 1.0, 1.0),  # spans in any order
        (["Ann Bo"], [["Ann", "Bo"]], 0.0, 0.33),  # 2/3 for one of two spans
        (["Ann"], [["Ann", "Bo"]], 0.0, 0.5),
        (["Ann", "Ann"], [["Ann"]], 0.0, 0.5),
        (["Ann Lee", "Bo"], [["Bo", "Lee"]], 0.0, 0.83),  # (1 + 2/3) / 2
        ([""], [["Ann"]], 0.0, 0.0),
        (["the"], [["a"]], 1.0, 1.0),  # without a word both, as the script has it
        (["Ann"], [[" "], ["Bo"]], 0.0, 0.0),
        ([" "], [[" "]], 0.0, 0.0),  # a blank accepted answer counts nothing
        (["７"], [["7"]], 1.0, 1.0),  # a digit of another script is a number to Python
        (["Ærø"], [["ærø"]], 1.0, 1.0),
    ],
)
def test_score(answer: list[str], accepted: list[list[str]], exact: float, f1: float) -> None:
    assert drop.score(answer, accepted) == (exact, f1)


def test_spans_are_paired_so_that_the_sum_is_highest() -> None:
    """Taking the best pair first, "a b" with "a b", would leave nothing for the others."""
    answer, accepted = ["red blue", "red"], ["red blue", "blue"]
    # Pairs: (red blue, red blue) 1 + (red, blue) 0, or (red blue, blue) 2/3 + (red, red blue) 2/3.
    assert drop.score(answer, [accepted]) == (0.0, 0.67)

"""The ten tests of arithmetic: what is asked, and that the answers are right."""

from __future__ import annotations

import re

import pytest

from corpus.trainer.evaluation.arithmetic import TESTS, questions

WORDS = {"plus": "+", "minus": "-", "times": "*"}


def test_there_are_the_ten_of_the_paper() -> None:
    assert len(TESTS) == len(set(TESTS)) == 10


@pytest.mark.parametrize("test", TESTS)
def test_answers_are_right_and_numbers_of_the_size(test: str) -> None:
    found = list(questions(test, seed=1, first=0, count=300))
    digits = {"single": 1, "two": 2, "three": 3, "four": 4, "five": 5}[test.split("_")[0]]
    seen = set()
    for example in found:
        ((context, completion),) = example.pairs
        asked = re.fullmatch(r"Q: What is (.*)\?\n\nA:", context)
        assert asked
        formula = re.sub("plus|minus|times", lambda word: WORDS[word[0]], asked[1])
        assert re.fullmatch(r"[\d +*()-]+", formula)
        assert completion == f" {eval(formula)}"
        seen |= {int(number) for number in re.findall(r"\d+", asked[1])}
    assert max(seen) < 10**digits
    assert max(seen) >= 9 * 10 ** (digits - 1)


def test_question_depends_on_seed_and_number_alone() -> None:
    def of(seed: int, first: int, count: int) -> list[str]:
        made = questions("two_digit_addition", seed=seed, first=first, count=count)
        return [example.solved for example in made]

    assert of(1, 0, 20)[5:] == of(1, 5, 15)
    assert of(1, 0, 20) != of(2, 0, 20)

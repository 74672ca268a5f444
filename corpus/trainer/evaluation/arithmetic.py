"""GPT-3's ten tests of arithmetic, made anew: section 3.9.1, in the form of the released files.

A name, a number of questions and a seed in; examples out. A question is a function of the seed, the
name and its number, so more of them are the same ones and then others.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from corpus.mix import permutation
from corpus.trainer.evaluation.example import Example, writing

_DIGITS = {"two": 2, "three": 3, "four": 4, "five": 5}
_OPERATIONS = {"plus": lambda a, b: a + b, "minus": lambda a, b: a - b, "times": lambda a, b: a * b}
_SIGNS = {"+": "plus", "-": "minus", "*": "times"}

# Operands are uniform in [0, 10^digits), as the paper says.
TESTS = (
    *(f"{size}_digit_{kind}" for size in _DIGITS for kind in ("addition", "subtraction")),
    "two_digit_multiplication",
    "single_digit_three_ops",
)


def questions(test: str, *, seed: int, first: int, count: int) -> Iterator[Example]:
    """Yield questions of one test.

    Args:
        test: One of `TESTS`.
        seed: Seed.
        first: Number of the first one.
        count: How many.
    """
    for number in range(first, first + count):
        draws = np.arange(5, dtype=np.uint64) + np.uint64(permutation.key(seed, test, number))
        question, answer = _question(test, [int(word) for word in permutation.mix(draws)])
        yield writing(f"Q: What is {question}?\n\nA:", (str(answer),), own=f"{test}:{number}")


def _question(test: str, words: list[int]) -> tuple[str, int]:
    """Return a question and its answer from random words of 64 bits."""
    if test == "single_digit_three_ops":  # "with parentheses around the last two"
        a, b, c = (word % 10 for word in words[:3])
        outer, inner = (tuple(_SIGNS)[word % 3] for word in words[3:])
        answer = _OPERATIONS[_SIGNS[outer]](a, _OPERATIONS[_SIGNS[inner]](b, c))
        return f"{a} {outer} ({b} {inner} {c})", answer
    size, _, kind = test.split("_")
    a, b = (word % 10 ** _DIGITS[size] for word in words[:2])
    word = {"addition": "plus", "subtraction": "minus", "multiplication": "times"}[kind]
    return f"{a} {word} {b}", _OPERATIONS[word](a, b)

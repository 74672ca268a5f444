"""SAT analogies as examples, from items and from the authors' lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from corpus.errors import InputError
from corpus.trainer.evaluation import sat
from corpus.trainer.evaluation.items import Item

PAIRS = [["lull", "trust"], ["balk", "fortitude"], ["betray", "loyalty"], ["cajole", "compliance"]]
HUB = {"stem": PAIRS[0], "choice": PAIRS[1:], "answer": 2, "prefix": "190 FROM REAL SATs"}
LINES = ["# made", "190 FROM REAL SATs", *(f"{' '.join(pair)} v:n" for pair in PAIRS), "c"]


def lines(*texts: str) -> Iterator[Item]:
    return (Item(f"f:{number}", text) for number, text in enumerate(texts, start=1))


@pytest.mark.parametrize("items", [lambda: iter([Item("f:1", HUB)] * 2), lambda: lines(*LINES * 2)])
def test_question_becomes_pairs_to_choose_from(items: Any) -> None:
    example, again = sat.examples(items())
    assert example.pairs == (
        ("lull is to trust as", " balk is to fortitude"),
        ("lull is to trust as", " betray is to loyalty"),
        ("lull is to trust as", " cajole is to compliance"),
    )
    assert example.gold == 2
    assert again == example


@pytest.mark.parametrize(
    ("items", "named", "where"),
    [
        (lines(*LINES[:-1]), "ends within a question", "f:2"),
        (lines(*LINES[:-1], "e"), "no choice 4", "f:7"),
        (lines(*LINES[:-1], "x"), "a letter from a to e", "f:7"),
        (lines(*LINES[:2], "lull", "balk fortitude", "a b", "a"), "a pair of words", "f:6"),
        (lines("a"), "at least two pairs", "f:1"),
        (iter([Item("f:1", {**HUB, "answer": -1})]), "no choice -1", "f:1"),
        (iter([Item("f:1", {"stem": ["a", "b"], "choice": []})]), "'choice' is no list", "f:1"),
        (iter([Item("f:1", {"choice": PAIRS})]), "no field 'stem'", "f:1"),
    ],
)
def test_question_that_is_not_whole_is_refused(
    items: Iterator[Item], named: str, where: str
) -> None:
    with pytest.raises(InputError, match=named) as caught:
        list(sat.examples(items))
    assert caught.value.where == where

"""DROP's exact match and F1, which know numbers and answers of several spans.

In: an answer, or its spans, and the accepted lists of spans. Out: numbers from 0 to 1, by the
script of DROP's authors: words are compared as sets, spans are paired so that the sum of their F1
is highest, and a span with numbers in it needs one of them.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_MARKS = str.maketrans("", "", string.punctuation)
_WORDS = re.compile(r" |-")


def score(answer: Sequence[str], accepted: Sequence[Sequence[str]]) -> tuple[float, float]:
    """Return the best exact match and the best F1 over the accepted answers.

    Args:
        answer: Spans.
        accepted: Lists of spans. One whose first span is blank counts nothing.
    """
    found = [_score(answer, spans) for spans in accepted if spans[0].strip()]
    exact, overlap = zip(*found, strict=True) if found else ((0.0,), (0.0,))
    return max(exact), max(overlap)


def _score(answer: Sequence[str], accepted: Sequence[str]) -> tuple[float, float]:
    own, other = [normalize(one) for one in answer], [normalize(one) for one in accepted]
    exact = float(set(own) == set(other) and len(own) == len(other))
    values = np.zeros((len(other), len(own)))
    for row, one in enumerate(other):
        for column, two in enumerate(own):
            values[row, column] = _f1(set(two.split()), set(one.split()))
    pairs = linear_sum_assignment(values, maximize=True)
    # Rounded, as the script does.
    return exact, round(float(values[pairs].sum()) / max(values.shape), 2)


def normalize(span: str) -> str:
    """Return a span in lower case, without articles and punctuation; numbers all in one form."""
    words = (_word(word) for word in _WORDS.split(span.lower()))
    return " ".join(word for word in words if word)


def _word(word: str) -> str:
    if not _is_number(word):
        word = word.translate(_MARKS)
    if _is_number(word):
        word = str(float(word))
    return " ".join(_ARTICLES.sub(" ", word).split())


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _f1(words: set[str], accepted: set[str]) -> float:
    numbers = {word for word in accepted if _is_number(word)}
    if numbers and not numbers & words:
        return 0.0
    shared = len(words & accepted)
    precision = shared / len(words) if words else 1.0
    recall = shared / len(accepted) if accepted else 1.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

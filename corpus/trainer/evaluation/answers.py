"""Written answers compared with the accepted ones: exact match and F1.

In: texts. Out: numbers from 0 to 1, the best over all accepted answers.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_MARKS = str.maketrans("", "", string.punctuation)


def written(generated: str) -> str:
    """Return the answer in what a model wrote: its first line."""
    return generated.strip(" \t").split("\n", 1)[0].strip()


def normalize(answer: str) -> str:
    """Return an answer in lower case, without punctuation, articles and extra white space.

    The rule of the scripts of SQuAD and TriviaQA.
    """
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_MARKS)).split())


def exact_match(answer: str, accepted: Sequence[str], *, normalized: bool) -> float:
    """Return 1 if the answer is one of the accepted ones, else 0."""
    change = normalize if normalized else str.strip
    return float(change(answer) in map(change, accepted))


def f1(answer: str, accepted: Sequence[str]) -> float:
    """Return the harmonic mean of precision and recall of the answer's words."""
    return max(_f1(normalize(answer).split(), normalize(one).split()) for one in accepted)


def _f1(words: list[str], accepted: list[str]) -> float:
    if not words or not accepted:
        return float(words == accepted)
    shared = sum((Counter(words) & Counter(accepted)).values())
    return 2 * shared / (len(words) + len(accepted))

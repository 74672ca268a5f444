"""Why a text scores as it does: which words moved its score, and by how much.

The log-odds of a text are the intercept and, for each word (and pair), its weight times its count,
divided by the text's norm. Written plainly, for one text at a time; `corpus.text.hashed_words` is
the same for millions.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import dataclass

import pyarrow as pa

from corpus.text import quality
from corpus.text.quality import LinearModel


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one word or pair of words adds to the log-odds of a text."""

    words: str
    count: int
    log_odds: float


@dataclass(frozen=True, slots=True)
class ScoredText:
    """One text's score and its words.

    Attributes:
        score: The probability that it is of the reference class.
        words: Words, with repetitions.
        contributions: From the one that raises the score most to the one that lowers it most. Words
            that share a bucket with others of the text have that bucket's weight all the same.
    """

    score: float
    words: int
    contributions: tuple[Contribution, ...]


def explain(text: str, model: LinearModel) -> ScoredText:
    """Return the score of a text and what each of its words adds to it."""
    from sklearn.utils import murmurhash3_32

    features = model.features
    words = text.lower().split()
    pairs = [" ".join(pair) for pair in itertools.pairwise(words)]
    terms = Counter(words + pairs if features.ngrams == 2 else words)
    buckets = {term: abs(murmurhash3_32(term, seed=0)) % features.count for term in terms}
    counts: Counter[int] = Counter()
    for term, count in terms.items():
        counts[buckets[term]] += count
    norm = 1.0
    if features.norm == "l2":
        norm = math.sqrt(sum(count * count for count in counts.values())) or 1.0
    found = [
        Contribution(term, count, float(model.weights[buckets[term]]) * count / norm)
        for term, count in terms.items()
    ]
    found.sort(key=lambda one: (-one.log_odds, one.words))
    score = float(quality.scores(pa.array([text], pa.large_string()), model)[0])
    return ScoredText(score, len(words), tuple(found))

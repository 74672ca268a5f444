"""Written answers compared with the accepted ones: exact match and F1.

In: texts. Out: numbers from 0 to 1, by the rules of the scripts that the authors of SQuAD, CoQA and
QuAC publish.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

CANNOT_ANSWER = "CANNOTANSWER"  # what QuAC's files have for a question without an answer

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_MARKS = str.maketrans("", "", string.punctuation)
# Words that say which one is meant and not what it is: those of T5's script for WSC.
_DETERMINERS = """
    a an few her his each every many much my our some that the their these this those which
    whose your
"""
DETERMINERS = frozenset(_DETERMINERS.split())


def written(generated: str) -> str:
    """Return the answer in what a model wrote: its first line."""
    return generated.strip(" \t").split("\n", 1)[0].strip()


def normalize(answer: str) -> str:
    """Return an answer in lower case, without punctuation, articles and extra white space.

    The rule of the scripts of SQuAD, CoQA, QuAC and ReCoRD.
    """
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_MARKS)).split())


def exact_match(answer: str, accepted: Sequence[str], *, normalized: bool) -> float:
    """Return 1 if the answer is one of the accepted ones, else 0."""
    change = normalize if normalized else str.strip
    return float(change(answer) in map(change, accepted))


def f1(answer: str, accepted: Sequence[str]) -> float:
    """Return the harmonic mean of precision and recall of the answer's words.

    The best over all accepted answers. Without any word, an answer is right if an accepted one has
    none either: that is how SQuAD 2.0 counts "no answer".
    """
    return max(_f1(normalize(answer).split(), normalize(one).split()) for one in accepted)


def _f1(words: list[str], accepted: list[str]) -> float:
    if not words or not accepted:
        return float(words == accepted)
    shared = sum((Counter(words) & Counter(accepted)).values())
    return 2 * shared / (len(words) + len(accepted))


def leave_one_out(
    score: Callable[[str, Sequence[str]], float], answer: str, accepted: Sequence[str]
) -> float:
    """Return the mean score over all ways to leave one of several accepted answers out.

    So CoQA and QuAC compare a model with people: each of these is compared with the others' answers
    alone.
    """
    if len(accepted) == 1:
        return score(answer, accepted)
    rests = ([*accepted[:n], *accepted[n + 1 :]] for n in range(len(accepted)))
    return sum(score(answer, rest) for rest in rests) / len(accepted)


def agreed(accepted: Sequence[str]) -> list[str]:
    """Return the answers of QuAC that count: most people's view on whether there is one."""
    spans = [one for one in accepted if one != CANNOT_ANSWER]
    return spans if len(spans) > len(accepted) - len(spans) else [CANNOT_ANSWER]


def quac_f1(answer: str, accepted: Sequence[str]) -> float:
    """Return the best F1; where there is no answer, 1 for exactly that and else 0."""
    return max(
        float(answer == one) if one == CANNOT_ANSWER else _overlap(answer, one) for one in accepted
    )


def human_f1(accepted: Sequence[str]) -> float:
    """Return how well people agree on an answer in QuAC: each one's F1 among the others, mean."""
    if len(accepted) == 1:
        return 1.0
    best = (
        max(_overlap(one, other) for m, other in enumerate(accepted) if m != n)
        for n, one in enumerate(accepted)
    )
    return sum(best) / len(accepted)


def _overlap(answer: str, accepted: str) -> float:
    """Return F1 as in the scripts without "no answer": 0 where no word is shared."""
    words, others = normalize(answer).split(), normalize(accepted).split()
    return _f1(words, others) if words and others else 0.0


def names_it(answer: str, referent: str) -> bool:
    """Say whether an answer names a referent of WSC, as T5's script for it does.

    All words of one are among those of the other, but for case and determiners; "Bob's hat" does
    not name Bob.
    """
    one, other = _content(answer), _content(referent)
    if not one or ("'" in " ".join(one)) != ("'" in " ".join(other)):
        return False
    return set(one) <= set(other) or set(other) <= set(one)


def _content(text: str) -> list[str]:
    return [word for word in text.lower().split() if word not in DETERMINERS]

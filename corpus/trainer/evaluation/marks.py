"""What an answer is worth, by the metrics of its task.

In: an example and what a model wrote, or the values of its choices. Out: `Marks`, which
`outcomes.estimates` adds up over examples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

from corpus.trainer.evaluation import answers, bleu, drop
from corpus.trainer.evaluation.example import Example

NO_ANSWER = "unanswerable"  # written where SQuAD 2.0 has none; the word is lm-eval's
SPANS = ", "  # between the spans of one answer of DROP

# Log-probabilities that differ by less are equal: padding moves them by about as much.
_TIE = 1e-5
# Questions of QuAC on which people agree less do not count in its script.
_LEAST_AGREEMENT = 0.4


class Marks(TypedDict, total=False):
    """Numbers by name, of one example.

    `right`: shares of right answers. `means`: other values that are averaged. `ratios`: what is
    above and below a line, each added up. `together`: shares that are right only where those of
    the whole group are. `ngrams`: counts of a BLEU (`bleu.counts`).
    """

    right: dict[str, float]
    means: dict[str, float]
    ratios: dict[str, tuple[float, float]]
    together: dict[str, float]
    ngrams: dict[str, list[int]]


Grade = Callable[[str, Example], Marks]
# The example, the values of its choices by the names of rules, and the rule that counts.
Choose = Callable[[Example, Mapping[str, Sequence[float]], str], Marks]


def literal(answer: str, example: Example) -> Marks:
    """Arithmetic, word scrambling: the answer as it is."""
    return {
        "right": {"exact_match": answers.exact_match(answer, example.answers, normalized=False)}
    }


def question(answer: str, example: Example) -> Marks:
    """TriviaQA, SQuAD 1.1 and others: without case, punctuation and articles."""
    return {
        "right": {"exact_match": _exact_match(answer, example.answers)},
        "means": {"f1": answers.f1(answer, example.answers)},
    }


def squad2(answer: str, example: Example) -> Marks:
    """SQuAD 2.0: the same, and by themselves the questions with and without an answer."""
    accepted = [one for one in example.answers if answers.normalize(one) not in ("", NO_ANSWER)]
    has_answer = bool(accepted)
    accepted = accepted or [""]
    answer = "" if answers.normalize(answer) == NO_ANSWER else answer
    exact, overlap = _exact_match(answer, accepted), answers.f1(answer, accepted)
    name = "has_answer" if has_answer else "no_answer"
    return {
        "right": {"exact_match": exact, f"{name}_exact_match": exact},
        "means": {"f1": overlap, f"{name}_f1": overlap},
    }


def coqa(answer: str, example: Example) -> Marks:
    """CoQA: the mean over leaving each person's answer out."""
    return {
        "means": {
            "exact_match": answers.leave_one_out(_exact_match, answer, example.answers),
            "f1": answers.leave_one_out(answers.f1, answer, example.answers),
        }
    }


def _exact_match(answer: str, accepted: Sequence[str]) -> float:
    return answers.exact_match(answer, accepted, normalized=True)


def quac(answer: str, example: Example) -> Marks:
    """QuAC: the same, over the questions on which people agree, and over all."""
    accepted = answers.agreed(example.answers)
    overlap = answers.leave_one_out(answers.quac_f1, answer, accepted)
    if answers.human_f1(accepted) < _LEAST_AGREEMENT:
        return {"means": {"f1_of_all": overlap}}
    return {"means": {"f1": overlap, "f1_of_all": overlap}}


def spans(answer: str, example: Example) -> Marks:
    """DROP: the answer as one span, as lm-eval takes it, and cut into the spans that it lists."""
    exact, overlap = drop.score([answer], example.lists)
    listed_exact, listed = drop.score(answer.split(SPANS), example.lists)
    return {
        "right": {"exact_match": exact, "exact_match_of_spans": listed_exact},
        "means": {"f1": overlap, "f1_of_spans": listed},
    }


def referent(answer: str, example: Example) -> Marks:
    """WSC: whether the noun that was written is the one that the item asks about."""
    named = answers.names_it(answer, example.answers[0])
    return {"right": {"accuracy": float(named == example.label)}}


def translation(answer: str, example: Example) -> Marks:
    """Counts of BLEU, by both tokenizations."""
    return {
        "ngrams": {name: bleu.counts(name, answer, example.answers) for name in bleu.TOKENIZATIONS}
    }


def choice(example: Example, rules: Mapping[str, Sequence[float]], rule: str) -> Marks:
    """Return whether the right choice has the highest value, by the rule and by the others."""
    by_rule = {
        f"accuracy_by_{name}": credit(values, example.gold) for name, values in rules.items()
    }
    return {"right": {"accuracy": credit(rules[rule], example.gold), **by_rule}}


def statement(example: Example, rules: Mapping[str, Sequence[float]], rule: str) -> Marks:
    """MultiRC: each answer by itself, F1 of those called true, and all answers of a question.

    The first choice is that the answer is true. In a tie both are half chosen.
    """
    called = credit(rules[rule], 0)
    true = float(example.gold == 0)
    marks = choice(example, rules, rule)
    marks["ratios"] = {"f1a": (2 * called * true, called + true)}
    marks["together"] = {"exact_match": credit(rules[rule], example.gold)}
    return marks


def entity(example: Example, rules: Mapping[str, Sequence[float]], rule: str) -> Marks:
    """ReCoRD: the chosen entity compared with the accepted ones, as a written answer is."""
    exact = [_exact_match(option, example.answers) for option in example.options]
    overlap = [answers.f1(option, example.answers) for option in example.options]
    right = {name: _mean(values, exact) for name, values in rules.items()}
    return {"right": _accuracies(right, rule), "means": {"f1": _mean(rules[rule], overlap)}}


def _accuracies(right: Mapping[str, float], rule: str) -> dict[str, float]:
    """Return what is right by the rule that counts, and by each."""
    by_rule = {f"accuracy_by_{name}": value for name, value in right.items()}
    return {"accuracy": right[rule], **by_rule}


def credit(values: Sequence[float], gold: int) -> float:
    """Return 1 if the right choice has the highest value, 0 if not, 1/n in a tie of n.

    So a model that sees no difference between n choices is right one time in n.
    """
    tied = _highest(values)
    return 1 / len(tied) if gold in tied else 0.0


def _mean(values: Sequence[float], worth: Sequence[float]) -> float:
    """Return what the choice with the highest value is worth, the mean over ties."""
    tied = _highest(values)
    return sum(worth[number] for number in tied) / len(tied)


def _highest(values: Sequence[float]) -> list[int]:
    best = max(values)
    return [number for number, value in enumerate(values) if best - value <= _TIE]

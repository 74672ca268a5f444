"""Each kind of task: who knows the answers gets all of them right, who knows nothing by chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from corpus.text import tokenizer
from corpus.text.tokenizer import Tokenizer
from corpus.trainer.evaluation import arithmetic
from corpus.trainer.evaluation.example import Example
from corpus.trainer.evaluation.items import Item
from corpus.trainer.evaluation.judge import Judge, answer_ends
from corpus.trainer.evaluation.outcomes import Outcome, estimates
from corpus.trainer.evaluation.prompts import Prompts
from corpus.trainer.evaluation.tasks import TASKS
from corpus.trainer.model import GPT
from tests.trainer.evaluation.rigged import knowing, scorer, uniform

NAMES = ["amber", "birch", "cedar", "delta", "ember", "flint", "grove", "haven"]


def items(task: str) -> list[dict[str, Any]]:
    """Return eight items of a task, each about another name."""
    made: dict[str, Callable[[int, str], dict[str, Any]]] = {
        "arc": lambda n, name: {
            "question": {
                "stem": f"What about {name}?",
                "choices": [{"text": f"{name} {c}", "label": c} for c in "ABCD"],
            },
            "answerKey": "ABCD"[n % 4],
        },
        "piqa": lambda n, name: {
            "goal": f"To paint {name}.",
            "sol1": f"Use oil on {name}.",
            "sol2": f"Use {name} in water and much more of it.",
            "label": n % 2,
        },
        "winogrande": lambda n, name: {
            "sentence": f"The {name} beat the other because _ was a strong {name} indeed.",
            "option1": f"first {name}",
            "option2": f"second {name}",
            "answer": str(n % 2 + 1),
        },
        "boolq": lambda n, name: {
            "passage": f"About {name}.",
            "question": f"is it {name}",
            "answer": n % 2 == 0,
        },
        "lambada": lambda n, name: {
            "text": f"They went to find the {name} and then found a {name}"
        },
        "triviaqa": lambda n, name: {
            "question": f"Which stone is {name}?",
            "answer": {"value": f"Stone {name}", "aliases": [name]},
        },
    }
    return [made[task](number, name) for number, name in enumerate(NAMES)]


def examples(task: str, *, shots: int = 0) -> list[Example]:
    if task in arithmetic.TESTS:
        return list(arithmetic.questions(task, seed=1, first=0, count=8))
    chosen = TASKS[task]
    parsed = chosen.examples(
        (Item("f", item) for item in items(task)), with_prompt=shots > 0, solved=False
    )
    return [replace(one, place=f"f:{number}") for number, one in enumerate(parsed)]


def judged(
    task: str, model: GPT, encoder: Tokenizer, *, shots: int = 0, beams: int = 4
) -> list[Outcome]:
    pool = examples(task, shots=shots)
    chosen = TASKS[task]
    prompts = Prompts(
        name=task,
        seed=1,
        pool=pool if shots else [],
        shots=shots,
        delimiter=chosen.delimiter,
        instruction=chosen.instruction,
        tokenizer=encoder,
        room=model.shape.context,
    )
    judge = Judge(chosen, prompts, scorer(model), encoder, beams, answer_ends(encoder))
    return list(judge(pool))


def value(outcomes: Sequence[Outcome], metric: str) -> float:
    return next(one.value for one in estimates(outcomes) if one.metric == metric)


CHOICES = {"arc": 1 / 4, "piqa": 1 / 2, "winogrande": 1 / 2, "boolq": 1 / 2}


@pytest.mark.parametrize("shots", [0, 2])
@pytest.mark.parametrize("task", CHOICES)
def test_who_knows_the_texts_chooses_right(encoder: Tokenizer, task: str, shots: int) -> None:
    model = knowing([one.solved for one in examples(task)], encoder)
    outcomes = judged(task, model, encoder, shots=shots)
    assert value(outcomes, "accuracy") == 1
    assert [one.details["chosen"] for one in outcomes] == [one.details["gold"] for one in outcomes]
    assert {one.shots for one in outcomes} == {shots}


@pytest.mark.parametrize("task", CHOICES)
def test_who_sees_no_difference_is_right_as_often_as_chance(encoder: Tokenizer, task: str) -> None:
    assert value(judged(task, uniform(), encoder), "accuracy") == CHOICES[task]


def test_sum_favours_short_answers_where_the_mean_does_not(encoder: Tokenizer) -> None:
    """The first solution of each pair is the shorter one, and right half of the time."""
    outcomes = judged("piqa", uniform(), encoder)
    assert [one.right["accuracy_by_sum"] for one in outcomes] == [1.0, 0.0] * 4
    assert [one.right["accuracy_by_token"] for one in outcomes] == [0.5] * 8


def test_answer_context_takes_out_what_is_likely_anyway(encoder: Tokenizer) -> None:
    """The model says B whatever is asked: that is no sign of B being right."""
    pairs = [one.pairs[1] for one in examples("arc")]
    texts = [
        f"{before}{completion}" for context, completion in pairs for before in (context, "Answer:")
    ]
    outcomes = judged("arc", knowing(texts, encoder), encoder)
    assert [one.right["accuracy_by_sum"] for one in outcomes] == [0.0, 1.0, 0.0, 0.0] * 2
    assert [one.right["accuracy"] for one in outcomes] == [1 / 4] * 8


@pytest.mark.parametrize("shots", [0, 2])
def test_last_word_by_who_knows_it(encoder: Tokenizer, shots: int) -> None:
    model = knowing([one.solved for one in examples("lambada", shots=shots)], encoder)
    outcomes = judged("lambada", model, encoder, shots=shots)
    metrics = ["accuracy", "accuracy_of_last_token"]
    if not shots:
        metrics += ["accuracy_of_search", "accuracy_with_stop_words"]
    assert [value(outcomes, metric) for metric in metrics] == [1.0] * len(metrics)
    assert value(outcomes, "word_perplexity") == pytest.approx(1, abs=1e-3)


def test_last_word_by_who_does_not(encoder: Tokenizer) -> None:
    outcomes = judged("lambada", uniform(), encoder)
    assert value(outcomes, "accuracy") == 0
    # Every word has five letters and a space before them.
    assert value(outcomes, "word_perplexity") == pytest.approx(257**6, rel=1e-4)


@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("shots", [0, 2])
@pytest.mark.parametrize("task", ["triviaqa", "two_digit_addition"])
def test_answer_is_written_by_who_knows_it(
    encoder: Tokenizer, task: str, shots: int, beams: int
) -> None:
    model = knowing([one.solved for one in examples(task)], encoder)
    outcomes = judged(task, model, encoder, shots=shots, beams=beams)
    assert value(outcomes, "exact_match") == 1


def test_answer_may_be_any_alias_and_f1_counts_its_words(encoder: Tokenizer) -> None:
    model = knowing(
        [f"{one.pairs[0][0]} {one.answers[1]}" for one in examples("triviaqa")], encoder
    )
    outcomes = judged("triviaqa", model, encoder)
    assert value(outcomes, "exact_match") == 1
    model = knowing(
        [f"{one.pairs[0][0]} {one.answers[0]} perhaps" for one in examples("triviaqa")], encoder
    )
    outcomes = judged("triviaqa", model, encoder)
    assert value(outcomes, "exact_match") == 0
    assert value(outcomes, "f1") == pytest.approx(2 * 2 / 5)


def test_answer_by_who_does_not_know_it_is_wrong(encoder: Tokenizer) -> None:
    assert value(judged("two_digit_addition", uniform(), encoder, beams=1), "exact_match") == 0


def test_prompt_that_does_not_fit_is_cut_and_counted(encoder: Tokenizer) -> None:
    outcomes = judged("piqa", uniform(context=40), encoder, shots=2)
    assert {one.shots for one in outcomes} == {0}
    assert all(one.cut > 0 for one in outcomes)
    outcomes = judged("triviaqa", uniform(context=40), encoder, shots=2, beams=1)
    assert all(one.cut > 0 for one in outcomes)


def test_answers_end_at_any_token_with_a_line_break(encoder: Tokenizer) -> None:
    assert answer_ends(encoder) == {10, 256}
    gpt2 = tokenizer.load("gpt2")
    ends = answer_ends(gpt2)
    assert {198, 628, 50256} <= ends  # a line break, two of them, end of text
    assert all(b"\n" in gpt2.decode_bytes([token]) for token in ends - {50256})


def test_every_task_has_one_format() -> None:
    assert all((task.parse is None) != (task.parse_all is None) for task in TASKS.values())

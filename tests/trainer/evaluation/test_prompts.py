"""Prompts: what is drawn, and how many examples the context holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from corpus.text.tokenizer import Tokenizer
from corpus.trainer.evaluation.example import Example, writing
from corpus.trainer.evaluation.judge import LongestOf
from corpus.trainer.evaluation.prompts import Prompts


def example(number: int) -> Example:
    return replace(writing(f"Q: {number:02d}?\n\nA:", (str(number),)), place=f"f:{number}")


def prompts(encoder: Tokenizer, *, shots: int, pool: int = 30, room: int = 2000) -> Prompts:
    return Prompts(
        name="task",
        seed=5,
        pool=[example(number) for number in range(pool)],
        shots=shots,
        delimiter="\n\n",
        instruction="Answer.\n\n",
        tokenizer=encoder,
        room=room,
    )


def text_of(made: Prompts, one: Example, encoder: Tokenizer) -> str:
    return made(one, longest=LongestOf(encoder, one, None)).text


def test_prompt_is_instruction_and_solved_examples(encoder: Tokenizer) -> None:
    made, one = prompts(encoder, shots=2), example(3)
    first, second = (made.pool[number].solved for number in made.drawn(one))
    assert text_of(made, one, encoder) == f"Answer.\n\n{first}\n\n{second}\n\n"


def test_prompt_without_shots_is_the_instruction(encoder: Tokenizer) -> None:
    assert text_of(prompts(encoder, shots=0), example(3), encoder) == "Answer.\n\n"


def test_draw_never_has_the_example_itself_nor_one_that_reads_the_same(encoder: Tokenizer) -> None:
    made = prompts(encoder, shots=29)
    copy = replace(made, pool=[*made.pool, *made.pool], shots=60)
    for number in range(30):
        assert sorted({*made.drawn(example(number)), number}) == list(range(30))
        assert number not in made.drawn(example(number))
        drawn = copy.drawn(example(number))
        assert len(drawn) == len(set(drawn)) == 58
        assert not {number, number + 30} & set(drawn)


def test_draw_depends_on_seed_task_and_example_alone(encoder: Tokenizer) -> None:
    made = prompts(encoder, shots=5)
    drawn = made.drawn(example(3))
    assert len(set(drawn)) == 5
    assert prompts(encoder, shots=5).drawn(example(3)) == drawn
    assert made.drawn(example(4)) != drawn
    assert replace(made, seed=6).drawn(example(3)) != drawn
    assert replace(made, name="other").drawn(example(3)) != drawn
    assert replace(made, shots=3).drawn(example(3)) == drawn[:3]


def test_every_example_is_drawn_as_often(encoder: Tokenizer) -> None:
    made = prompts(encoder, shots=1, pool=10)
    others = [replace(example(99), own=str(number)) for number in range(600)]
    counts = Counter(made.drawn(one)[0] for one in others)
    # 60 each; four standard deviations of a binomial draw are 29.
    assert all(31 <= counts[number] <= 89 for number in range(10))


@pytest.mark.parametrize("room", [40, 60, 100, 150, 250])
def test_as_many_examples_as_fit_are_taken(encoder: Tokenizer, room: int) -> None:
    made, one = prompts(encoder, shots=20, room=room), example(3)
    longest = LongestOf(encoder, one, 5)
    prompt = made(one, longest=longest)
    assert prompt.shots < 20
    assert longest(prompt.text) <= room
    drawn = made.drawn(one)[: prompt.shots + 1]
    assert longest(made.instruction + "".join(made.pool[n].solved + "\n\n" for n in drawn)) > room


def test_longest_request_leaves_room_for_the_answer(encoder: Tokenizer) -> None:
    one = Example((("ab", " c"), ("ab", " cde")))
    assert LongestOf(encoder, one, None)("xy") == len("xyab cde") - 1
    assert LongestOf(encoder, one, 10)("xy") == len("xyab") + 9

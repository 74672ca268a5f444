"""Beam search against all texts that there are, and against a plain search without a cache."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from corpus.trainer.beam_search import Beam, beam_search, length_penalty_of
from corpus.trainer.model import GPT
from corpus.trainer.presets import Architecture
from corpus.trainer.sampling import generate
from tests.trainer.test_model import shake

STOP = 4


@pytest.fixture
def tiny(shape: Architecture) -> GPT:
    made = GPT.create(replace(shape, vocabulary_size=5, window=3), dropout=0.0, seed=2)
    return shake(made).eval()


@torch.no_grad()
def log_probability(model: GPT, prompt: list[int], text: list[int]) -> float:
    logs = torch.log_softmax(model(torch.tensor([prompt + text])).double(), dim=-1)[0]
    return sum(float(logs[len(prompt) - 1 + t, token]) for t, token in enumerate(text))


def every_text(model: GPT, prompt: list[int], tokens: int, alpha: float) -> list[Beam]:
    """Score all texts that end by STOP within `tokens`, or have `tokens` tokens without it."""
    texts = []
    for length in range(1, tokens + 1):
        for text in map(list, itertools.product(range(4), repeat=length - 1)):
            texts.append((text, [STOP], True))
            if length == tokens:
                texts += [(text, [last], False) for last in range(4)]
    found = [
        Beam(
            text if finished else text + last,
            log_probability(model, prompt, text + last) / length_penalty_of(len(text) + 1, alpha),
            finished,
        )
        for text, last, finished in texts
    ]
    return sorted(found, key=lambda beam: -beam.score)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.5])
def test_a_search_as_wide_as_all_texts_finds_the_best_of_all(tiny: GPT, alpha: float) -> None:
    expected = every_text(tiny, [0, 3, 1], 4, alpha)[:12]

    found = beam_search(tiny, [0, 3, 1], beams=4**4, length_penalty=alpha, tokens=4, stop=STOP)[:12]

    assert [(beam.tokens, beam.finished) for beam in found] == [
        (beam.tokens, beam.finished) for beam in expected
    ]
    assert [beam.score for beam in found] == pytest.approx([beam.score for beam in expected])


def plain_search(
    model: GPT, prompt: list[int], beams: int, alpha: float, tokens: int
) -> list[Beam]:
    """Search without a cache and without an early end, as the definition has it."""
    live: list[tuple[float, list[int]]] = [(0.0, [])]
    found: list[Beam] = []
    for length in range(1, tokens + 1):
        continued = sorted(
            (
                (log_probability(model, prompt, [*text, token]), [*text, token])
                for _, text in live
                for token in range(5)
            ),
            key=lambda pair: -pair[0],
        )[: 2 * beams]
        ending = [pair for pair in continued if pair[1][-1] == STOP]
        live = [pair for pair in continued if pair[1][-1] != STOP][:beams]
        penalty = length_penalty_of(length, alpha)
        found += [Beam(text[:-1], value / penalty, True) for value, text in ending]
    found += [Beam(text, value / penalty, False) for value, text in live]
    return sorted(found, key=lambda beam: -beam.score)[:beams]


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
@pytest.mark.parametrize("beams", [1, 2, 4])
def test_search_equals_a_plain_one(shape: Architecture, beams: int, alpha: float) -> None:
    differs = False
    for seed in range(6):
        made = GPT.create(replace(shape, vocabulary_size=5), dropout=0.0, seed=seed)
        model = shake(made).eval()
        with torch.no_grad():
            model.wte.weight.mul_(0.3)  # less sure of itself, so that the beams compete
        expected = plain_search(model, [2, seed % 4], beams, alpha, 7)

        found = beam_search(
            model, [2, seed % 4], beams=beams, length_penalty=alpha, tokens=7, stop=STOP
        )

        assert [beam.tokens for beam in found] == [beam.tokens for beam in expected]
        assert [beam.score for beam in found] == pytest.approx([beam.score for beam in expected])
        greedy = generate(model, [2, seed % 4], tokens=7, temperature=0.0, seed=0, stop=STOP)
        differs |= found[0].tokens != greedy
    assert differs or beams == 1


def test_of_equally_likely_texts_those_of_smaller_ids_come_first(shape: Architecture) -> None:
    model = GPT.create(shape, dropout=0.0, seed=0).eval()
    with torch.no_grad():
        model.wte.weight.zero_()  # every token is as likely as any other

    found = beam_search(model, [5], beams=3, tokens=2, stop=())

    assert [beam.tokens for beam in found] == [[0, 0], [0, 1], [0, 2]]


def test_one_beam_is_the_likeliest_token_each_time(tiny: GPT) -> None:
    greedy = generate(tiny, [0, 1], tokens=9, temperature=0.0, seed=0)

    (found,) = beam_search(tiny, [0, 1], beams=1, length_penalty=0.0, tokens=9, stop=())

    assert found.tokens == greedy
    assert not found.finished


def test_length_penalty_is_that_of_wu_et_al() -> None:
    assert length_penalty_of(1, 0.6) == 1.0
    assert length_penalty_of(7, 0.6) == pytest.approx(2**0.6)
    assert length_penalty_of(9, 0.0) == 1.0


def test_a_long_prompt_loses_its_beginning_and_not_the_room_for_the_answer(tiny: GPT) -> None:
    prompt = [0, 1, 2, 3] * 9

    # 4 tokens are searched, of which 3 are read: 13 of the prompt fit into the context of 16.
    long = beam_search(tiny, prompt, tokens=4, stop=STOP)

    assert long == beam_search(tiny, prompt[-13:], tokens=4, stop=STOP)
    assert long != beam_search(tiny, prompt[-12:], tokens=4, stop=STOP)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prompt": []}, "empty prompt"),
        ({"beams": 0}, "0 beams"),
        ({"length_penalty": -1.0}, "length penalty of -1.0"),
        ({"tokens": 17}, "17 tokens leave no room"),
    ],
)
def test_search_refuses_what_makes_no_sense(
    tiny: GPT, settings: dict[str, object], message: str
) -> None:
    given: dict[str, object] = {"prompt": [1], "tokens": 2, "stop": STOP} | settings
    with pytest.raises(ValueError, match=message):
        beam_search(tiny, **given)  # type: ignore[arg-type]

"""Sampling: what may be drawn, how often, and from what."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from corpus.trainer.model import GPT
from corpus.trainer.presets import Architecture
from corpus.trainer.sampling import generate, generate_batch, keep_most_likely
from tests.trainer.test_model import shake

LOGITS = torch.log(torch.tensor([0.1, 0.4, 0.05, 0.3, 0.15]))


def kept(logits: torch.Tensor) -> list[int]:
    return torch.nonzero(torch.isfinite(logits)).flatten().tolist()


@pytest.mark.parametrize(
    ("top_k", "top_p", "expected"),
    [
        (None, None, [0, 1, 2, 3, 4]),
        (1, None, [1]),
        (3, None, [1, 3, 4]),
        (9, None, [0, 1, 2, 3, 4]),
        (None, 0.2, [1]),  # the likeliest stays, however small the share
        (None, 0.5, [1, 3]),
        (None, 0.8, [1, 3, 4]),
        (None, 1.0, [0, 1, 2, 3, 4]),
        (2, 0.5, [1]),  # 0.4 of 0.7 is more than half already
    ],
)
def test_keep_most_likely_keeps_the_smallest_set(
    top_k: int | None, top_p: float | None, expected: list[int]
) -> None:
    assert expected == kept(keep_most_likely(LOGITS, top_k=top_k, top_p=top_p))


def test_generate_without_temperature_takes_the_likeliest_token_each_time(model: GPT) -> None:
    text = [3, 1, 4]
    for _ in range(30):  # longer than the context of 16: only its last tokens are seen
        text.append(int(model(torch.tensor([text[-16:]]))[0, -1].argmax()))

    assert text[3:] == generate(model, [3, 1, 4], tokens=30, temperature=0.0, seed=0)


@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_prompts_of_different_lengths_give_together_what_each_gives_alone(
    shape: Architecture, window: int | None, temperature: float
) -> None:
    """Beyond the context of 16 too, where the windows of the longer ones slide first."""
    model = shake(GPT.create(replace(shape, window=window), dropout=0.0, seed=7))
    prompts = [[3], [1, 4, 1, 5, 9], [2, 6], list(range(20))]

    together = generate_batch(model, prompts, tokens=20, temperature=temperature, seed=5)

    for row, prompt in enumerate(prompts):
        alone = generate(model, prompt, tokens=20, temperature=temperature, seed=5 + row)
        assert alone == together[row]


def test_a_token_is_computed_once_while_there_is_room(
    model: GPT, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    hidden = GPT.hidden

    def counted(self: GPT, tokens: torch.Tensor, **more: Any) -> torch.Tensor:
        read.append(tokens.shape[1])
        return hidden(self, tokens, **more)

    monkeypatch.setattr(GPT, "hidden", counted)
    generate(model, [1, 2, 3, 4], tokens=15, temperature=0.0, seed=0)

    assert read == [4] + [1] * 12 + [16, 16]


def test_a_stop_token_ends_a_text_and_is_not_part_of_it(model: GPT) -> None:
    def drawn(stop: int | list[int]) -> list[list[int]]:
        return generate_batch(
            model, [[3, 1, 4], [1, 5]], tokens=30, temperature=1.0, seed=0, stop=stop
        )

    first, second = drawn([])
    assert (len(first), len(second)) == (30, 30)
    early, late = first[4], first[11]
    assert early not in first[:4]

    assert drawn(early)[0] == first[:4]
    assert drawn([late, early])[0] == first[:4]
    assert drawn(late)[0] == first[: first.index(late)]
    assert drawn(early)[1] == (second[: second.index(early)] if early in second else second)


def test_generate_with_a_shorter_window_sees_that_many_tokens(model: GPT) -> None:
    whole = [9, 9, 9, 9, 3, 1, 4]

    seen = generate(model, whole, tokens=1, temperature=0.0, seed=0, context=3)

    assert seen == generate(model, [3, 1, 4], tokens=1, temperature=0.0, seed=0)


def test_generate_draws_tokens_as_often_as_the_model_says(model: GPT) -> None:
    with torch.no_grad():
        model.wte.weight.mul_(10)  # far from uniform, or any sampler would pass
        logits = model(torch.tensor([[5]]))[0, -1]
    expected = torch.softmax(logits / 2.0, dim=0)
    counts = torch.zeros(61)
    for seed in range(1000):
        counts[generate(model, [5], tokens=1, temperature=2.0, seed=seed)[0]] += 1

    assert expected.max() > 0.1
    assert (torch.softmax(logits, dim=0) - expected).abs().max() > 0.2  # the temperature matters
    # 1000 draws: a frequency is known to 0.016; 0.06 is almost four times that.
    assert torch.allclose(expected, counts / 1000, atol=0.06)


def test_generate_is_a_function_of_its_seed_and_leaves_no_trace(model: GPT) -> None:
    model.train()
    state = torch.get_rng_state()

    first = generate(model, [1], tokens=12, temperature=1.0, seed=1)

    assert first == generate(model, [1], tokens=12, temperature=1.0, seed=1)
    assert first != generate(model, [1], tokens=12, temperature=1.0, seed=2)
    assert model.training
    assert torch.equal(state, torch.get_rng_state())


def test_generate_refuses_an_empty_prompt(model: GPT) -> None:
    with pytest.raises(ValueError, match="empty prompt"):
        generate(model, [], tokens=1, temperature=1.0, seed=0)


@pytest.mark.parametrize(
    "settings",
    [{"temperature": -1.0}, {"temperature": math.nan}, {"top_k": 0}, {"top_p": 0.0}],
    ids=str,
)
def test_generate_refuses_what_leaves_no_token_to_draw(
    model: GPT, settings: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"temperature of|no token to draw"):
        generate(model, [1], tokens=2, seed=1, **{"temperature": 1.0, **settings})


def test_the_smallest_share_of_the_tokens_is_the_likeliest_one(model: GPT) -> None:
    likeliest = generate(model, [1], tokens=5, temperature=0, seed=1)

    assert generate(model, [1], tokens=5, temperature=1.0, top_p=1e-12, seed=1) == likeliest

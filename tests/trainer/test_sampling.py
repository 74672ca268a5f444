"""Sampling: what may be drawn, how often, and from what."""

from __future__ import annotations

import pytest
import torch

from corpus.trainer.model import GPT
from corpus.trainer.sampling import generate, keep_most_likely

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

"""The optimizer against AdamW by hand, and the schedule against Appendix B."""

from __future__ import annotations

import pytest
import torch

from corpus.trainer.model import GPT
from corpus.trainer.optimizer import adamw, decay_groups, learning_rate, set_learning_rate
from corpus.trainer.presets import Architecture

GPT3 = {"highest": 6e-4, "lowest": 6e-5, "warmup_tokens": 375_000_000, "cosine_tokens": 260 * 10**9}


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (0, 0.0),
        (187_500_000, 3e-4),
        (375_000_000, 6e-4),
        ((375_000_000 + 260 * 10**9) // 2, 3.3e-4),  # half way down a cosine is half the height
        (260 * 10**9, 6e-5),
        (300 * 10**9, 6e-5),
    ],
)
def test_learning_rate_follows_appendix_b(tokens: int, expected: float) -> None:
    assert learning_rate(tokens, **GPT3) == pytest.approx(expected)


def test_learning_rate_without_warmup_starts_at_the_top() -> None:
    rate = learning_rate(0, highest=1.0, lowest=0.1, warmup_tokens=0, cosine_tokens=100)

    assert rate == 1.0


def test_weight_decay_is_on_matrices_and_embeddings_only(model: GPT) -> None:
    decayed, plain = decay_groups(model)

    assert {"wte.weight", "wpe.weight", "h.1.mlp.c_proj.weight"} <= set(decayed)
    assert all(name.endswith("bias") or "ln_" in name for name in plain)
    assert not any("ln_" in name or name.endswith("bias") for name in decayed)
    assert len(decayed) + len(plain) == len(list(model.parameters()))


def test_steps_are_those_of_adam_with_decoupled_decay(shape: Architecture) -> None:
    """Two steps by the formulas of Kingma & Ba and Loshchilov & Hutter, in float64."""
    model = GPT.create(shape, dropout=0.0, seed=0).double()
    optimizer = adamw(model, weight_decay=0.1, beta1=0.9, beta2=0.95, epsilon=1e-8)
    decayed = set(decay_groups(model)[0])
    values = {name: p.detach().clone() for name, p in model.named_parameters()}
    mean = {name: torch.zeros_like(p) for name, p in values.items()}
    square = {name: torch.zeros_like(p) for name, p in values.items()}

    for step, rate in ((1, 1e-3), (2, 5e-4)):
        generator = torch.Generator().manual_seed(step)
        set_learning_rate(optimizer, rate)
        for name, parameter in model.named_parameters():
            gradient = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.grad = gradient
            mean[name] = 0.9 * mean[name] + 0.1 * gradient
            square[name] = 0.95 * square[name] + 0.05 * gradient**2
            update = mean[name] / (1 - 0.9**step)
            update = update / (torch.sqrt(square[name] / (1 - 0.95**step)) + 1e-8)
            decay = 0.1 * values[name] if name in decayed else 0.0
            values[name] = values[name] - rate * (update + decay)
        optimizer.step()

    for name, parameter in model.named_parameters():
        assert torch.allclose(values[name], parameter, rtol=0, atol=1e-12), name

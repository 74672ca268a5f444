"""The whole trainer against a plain loop of its own: the same weights, bytes and losses.

The loop below shares nothing with the trainer but the first weights and the positions of the mix:
attention by an explicit softmax, Adam by its formulas, the batches one after the other.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from corpus.trainer.loop import train
from corpus.trainer.model import GPT
from corpus.trainer.presets import Architecture
from corpus.trainer.sequences import MixtureSequences
from tests.trainer.test_loop import quietly, recipe, rows

STEPS, BATCH, LENGTH, HEADS, SEED = 200, 4, 16, 2, 3
RATE, WARMUP, COSINE = 3e-3, 1280, 11_000


def attention(p: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    B, T, C = x.shape
    qkv = x @ p[f"{name}.c_attn.weight"].T + p[f"{name}.c_attn.bias"]
    q, k, v = (
        part.reshape(B, T, HEADS, C // HEADS).permute(0, 2, 1, 3) for part in qkv.chunk(3, dim=-1)
    )
    scores = q @ k.transpose(-1, -2) / math.sqrt(C // HEADS)
    scores = scores.masked_fill(torch.ones(T, T).triu(1).bool(), -math.inf)
    weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
    y = (weights @ v).permute(0, 2, 1, 3).reshape(B, T, C)
    return y @ p[f"{name}.c_proj.weight"].T + p[f"{name}.c_proj.bias"]


def normalized(p: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
    return scaled * p[f"{name}.weight"] + p[f"{name}.bias"]


def feed_forward(p: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    u = x @ p[f"{name}.c_fc.weight"].T + p[f"{name}.c_fc.bias"]
    u = 0.5 * u * (1 + torch.tanh(math.sqrt(2 / math.pi) * (u + 0.044715 * u**3)))
    return u @ p[f"{name}.c_proj.weight"].T + p[f"{name}.c_proj.bias"]


def loss_of(p: dict[str, Tensor], tokens: Tensor) -> Tensor:
    x = p["wte.weight"][tokens[:, :-1]] + p["wpe.weight"][:LENGTH]
    for block in ("h.0", "h.1"):
        x = x + attention(p, f"{block}.attn", normalized(p, f"{block}.ln_1", x))
        x = x + feed_forward(p, f"{block}.mlp", normalized(p, f"{block}.ln_2", x))
    logits = normalized(p, "ln_f", x) @ p["wte.weight"].T
    chances = logits.log_softmax(-1).gather(-1, tokens[:, 1:].unsqueeze(-1))
    return -chances.mean()


def rate_after(tokens: int) -> float:
    if tokens < WARMUP:
        return RATE * tokens / WARMUP
    done = min(1.0, (tokens - WARMUP) / (COSINE - WARMUP))
    return RATE * (0.1 + 0.9 * (1 + math.cos(math.pi * done)) / 2)


def plain_losses(data: MixtureSequences) -> list[float]:
    shape = Architecture(2, HEADS, 32, LENGTH, data.vocabulary_size)
    model = GPT.create(shape, dropout=0.0, seed=SEED)
    p = {name: value.detach().requires_grad_() for name, value in model.named_parameters()}
    mean = {name: torch.zeros_like(value) for name, value in p.items()}
    square = {name: torch.zeros_like(value) for name, value in p.items()}
    losses = []
    for step in range(1, STEPS + 1):
        positions = np.arange((step - 1) * BATCH, step * BATCH)
        loss = loss_of(p, torch.from_numpy(data.read(positions).astype(np.int64)))
        gradients = dict(zip(p, torch.autograd.grad(loss, list(p.values())), strict=True))
        norm = math.sqrt(sum(float(gradient.pow(2).sum()) for gradient in gradients.values()))
        rate = rate_after(step * BATCH * LENGTH)
        losses.append(loss.item())
        with torch.no_grad():
            for name, value in p.items():
                gradient = gradients[name] * min(1.0, 1.0 / norm)
                mean[name] = 0.9 * mean[name] + 0.1 * gradient
                square[name] = 0.95 * square[name] + 0.05 * gradient**2
                size = (square[name] / (1 - 0.95**step)).sqrt() + 1e-8
                decay = 0.1 * value if value.dim() == 2 else 0.0
                value -= rate * (mean[name] / (1 - 0.9**step) / size + decay)
    return losses


def test_losses_are_those_of_a_plain_loop_over_200_steps(mix: str, tmp_path: Path) -> None:
    settings = {
        "steps": STEPS,
        "batch_sequences": BATCH,
        "dropout": 0.0,
        "micro_batch": 3,
        "optimizer": {"learning_rate": RATE, "warmup_tokens": WARMUP, "cosine_tokens": COSINE},
        "validation": {"every": 100, "sequences": 1},
        "checkpoint": {"every": 1000},
        "report_every": 50,
        "sample": {"tokens": 1},
    }
    expected = plain_losses(MixtureSequences.open(mix))

    train(recipe(mix, tmp_path / "run", **settings), report=quietly)

    found = [row["loss"] for row in rows(tmp_path / "run")]
    assert expected[-1] < expected[0] / 2
    assert found == pytest.approx(expected, abs=1e-3)
    assert found[:20] == pytest.approx(expected[:20], abs=1e-5)

"""One step: learning at all, accumulation, clipping, and validation without side effects."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from corpus.errors import RecipeError
from corpus.trainer.device import choose_device, to_device
from corpus.trainer.model import GPT
from corpus.trainer.optimizer import adamw, set_learning_rate
from corpus.trainer.presets import Architecture
from corpus.trainer.step import optimizer_step
from corpus.trainer.validation import validation_loss

BATCH = torch.randint(0, 61, (5, 17), generator=torch.Generator().manual_seed(0))


def prepared(shape: Architecture, rate: float) -> tuple[GPT, torch.optim.AdamW]:
    model = GPT.create(shape, dropout=0.0, seed=1)
    optimizer = adamw(model, weight_decay=0.0, beta1=0.9, beta2=0.95, epsilon=1e-8)
    set_learning_rate(optimizer, rate)
    return model, optimizer


def test_one_batch_is_learned_by_heart(shape: Architecture) -> None:
    """Random tokens can only be predicted by remembering them, and 0.05 nats is remembering."""
    model, optimizer = prepared(shape, 1e-2)

    for _ in range(200):
        loss, _ = optimizer_step(model, optimizer, BATCH, micro_batch=8, clip=1.0)

    assert loss.item() < 0.05


@pytest.mark.parametrize("micro_batch", [1, 2, 4])
def test_a_batch_in_parts_gives_the_step_of_the_whole_one(
    shape: Architecture, micro_batch: int
) -> None:
    """Five sequences in parts of two or four leave a part that must count for less."""
    whole, part = prepared(shape, 0.1), prepared(shape, 0.1)
    whole[0].double()
    part[0].double()

    loss, norm = optimizer_step(*whole, BATCH, micro_batch=5, clip=0.01)
    other_loss, other_norm = optimizer_step(*part, BATCH, micro_batch=micro_batch, clip=0.01)

    assert torch.allclose(loss, other_loss, rtol=1e-6)
    assert torch.allclose(norm, other_norm)
    for one, other in zip(whole[0].parameters(), part[0].parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_the_gradient_is_clipped_by_its_global_norm(shape: Architecture) -> None:
    """Plain descent at rate 1 moves the weights by the clipped gradient itself."""
    model, _ = prepared(shape, 0.0)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    descent = torch.optim.SGD(model.parameters(), lr=1.0)

    _, norm = optimizer_step(model, descent, BATCH, micro_batch=8, clip=0.25)

    moved = torch.cat(
        [(a - b).flatten() for a, b in zip(before, model.parameters(), strict=True)]
    ).norm()
    assert norm.item() > 0.25
    assert moved.item() == pytest.approx(0.25, rel=1e-3)


def test_the_loss_of_a_step_is_that_before_its_update(shape: Architecture) -> None:
    model, optimizer = prepared(shape, 0.1)
    with torch.no_grad():
        expected = model.loss(BATCH[:, :-1], BATCH[:, 1:]).item()

    loss, _ = optimizer_step(model, optimizer, BATCH, micro_batch=8, clip=1.0)

    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_validation_is_the_mean_over_sequences_without_dropout(shape: Architecture) -> None:
    model = GPT.create(shape, dropout=0.5, seed=1).train()
    sequences = BATCH.numpy().astype(np.uint16)
    random_state = torch.get_rng_state()

    loss = validation_loss(model, sequences, micro_batch=2)

    assert torch.equal(random_state, torch.get_rng_state())
    plain = GPT.create(shape, dropout=0.0, seed=1)
    with torch.no_grad():
        expected = plain.loss(BATCH[:, :-1], BATCH[:, 1:]).item()
    assert loss == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_tokens_keep_their_values_on_the_way_to_the_device(dtype: type) -> None:
    batch = np.array([[0, 1, 32_768], [50_256, 65_499, 7]], dtype=dtype)

    tokens = to_device(batch, torch.device("cpu"))

    assert tokens.dtype == torch.int64
    assert tokens.tolist() == batch.tolist()


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    with pytest.raises(RecipeError, match="device: a GPU is asked for, and torch finds none"):
        choose_device("cuda")
    assert choose_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda")
    assert choose_device("cpu") == torch.device("cpu")

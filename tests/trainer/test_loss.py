"""The loss without its logits: the value and the gradients of the plain layer, in little memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from corpus.trainer.loss import IGNORED, cross_entropy

N, C, V = 37, 24, 301


def made(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(N, C, generator=generator).to(dtype).requires_grad_()
    weight = (0.2 * torch.randn(V, C, generator=generator)).to(dtype).requires_grad_()
    return hidden, weight, torch.randint(0, V, (N,), generator=generator)


def plain(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    logits = F.linear(hidden, weight)
    exact = torch.promote_types(logits.dtype, torch.float32)
    return F.cross_entropy(logits.to(exact), targets)


@pytest.mark.parametrize("positions", [1, 8, 36, 37, 1000, None])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("ignored", [0, 5])
def test_value_and_gradients_are_those_of_the_plain_layer(
    positions: int | None, dtype: torch.dtype, ignored: int
) -> None:
    """In parts that end evenly and not, and with the weighting of a part of a batch."""
    tolerance = 1e-6 if dtype == torch.float32 else 1e-13
    results = []
    for chunked in (False, True):
        hidden, weight, targets = made(dtype)
        targets[:ignored] = IGNORED
        if chunked:
            loss = cross_entropy(hidden, weight, targets, positions=positions)
        else:
            loss = plain(hidden, weight, targets)
        (loss * 0.25).backward()
        results.append((loss.detach(), hidden.grad, weight.grad))

    for one, other in zip(*results, strict=True):
        assert one.dtype == other.dtype
        assert (one - other).abs().max() <= tolerance * max(1.0, one.abs().max().item())


def test_huge_logits_neither_overflow_nor_vanish() -> None:
    hidden, weight, targets = made()
    hidden = (hidden.detach() * 1e4).requires_grad_()

    loss = cross_entropy(hidden, weight, targets, positions=8)
    loss.backward()

    assert torch.allclose(loss, plain(hidden, weight, targets))
    assert hidden.grad is not None
    assert torch.isfinite(hidden.grad).all()


def test_a_batch_without_targets_teaches_nothing() -> None:
    hidden, weight, targets = made()

    loss = cross_entropy(hidden, weight, torch.full_like(targets, IGNORED))
    loss.backward()

    assert loss.item() == 0
    assert hidden.grad is not None
    assert not hidden.grad.any()


def test_bfloat16_is_summed_in_float32() -> None:
    """As under autocast on a GPU: the products in bfloat16, the loss as exact as they allow."""
    hidden, weight, targets = made()
    with torch.autocast("cpu", torch.bfloat16):
        loss = cross_entropy(hidden, weight, targets, positions=8)
        expected = plain(hidden, weight, targets)
    (gradient,) = torch.autograd.grad(loss, weight)
    (wanted,) = torch.autograd.grad(expected, weight)

    assert loss.dtype == gradient.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert (gradient - wanted).abs().max() < 0.02 * wanted.abs().max()


def place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


class Largest(TorchDispatchMode):
    """Notes the largest tensor that any operation makes; a view of another is none."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given = {place(leaf) for leaf in tree_leaves(args) if isinstance(leaf, Tensor)}
        made = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        sizes = [leaf.numel() for leaf in made if place(leaf) not in given]
        self.numel = max([self.numel, *sizes])
        return out


@pytest.mark.parametrize("training", [True, False])
def test_the_logits_are_never_there_at_once(training: bool) -> None:
    hidden, weight, targets = made()
    with Largest() as plainly, torch.set_grad_enabled(training):
        plain(hidden, weight, targets)
    with Largest() as chunked, torch.set_grad_enabled(training):
        loss = cross_entropy(hidden, weight, targets, positions=4)
        if training:
            loss.backward()

    assert plainly.numel == N * V
    # The gradient of the weights; without one, as in a validation, the logits of 4 positions.
    assert chunked.numel == (V * C if training else 4 * V)

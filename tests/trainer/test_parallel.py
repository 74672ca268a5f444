"""What is laid around a model changes its memory and speed, and not its losses."""

from __future__ import annotations

import functools
import shutil
from dataclasses import replace

import pytest
import torch
from torch._dynamo.utils import counters

from corpus.errors import RecipeError
from corpus.trainer.model import GPT
from corpus.trainer.parallel import Trainable, prepare, require_compiler
from corpus.trainer.presets import Architecture
from corpus.trainer.world import ALONE

TOKENS = torch.randint(0, 61, (2, 17), generator=torch.Generator().manual_seed(3))


def prepared(shape: Architecture, *, checkpoints: bool) -> tuple[GPT, Trainable]:
    model = GPT.empty(shape, dropout=0.2)
    trainable = prepare(
        model,
        ALONE,
        seed=4,
        way="none",
        compile_blocks=False,
        checkpoint_activations=checkpoints,
    )
    return model, trainable


def test_computing_activations_twice_gives_the_same_bits_with_dropout(shape: Architecture) -> None:
    results = []
    for checkpoints in (False, True):
        model, trainable = prepared(shape, checkpoints=checkpoints)
        trainable.train()
        kept = 0

        def count(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal kept
            kept += tensor.numel()
            return tensor

        torch.manual_seed(8)
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            loss = trainable.loss(TOKENS[:, :-1], TOKENS[:, 1:])
        loss.backward()
        gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
        results.append((loss.detach(), gradients, kept))

    (loss, gradients, kept), (same, others, fewer) = results
    assert torch.equal(loss, same)
    assert gradients.keys() == others.keys()
    for name, gradient in gradients.items():
        assert gradient is not None
        assert torch.equal(gradient, others[name]), name  # type: ignore[arg-type]
    assert fewer < kept / 2


def test_compilation_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)

    with pytest.raises(RecipeError, match=r"compile: torch.compile needs a C\+\+ compiler"):
        require_compiler(torch.device("cpu"))

    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    require_compiler(torch.device("cpu"))
    monkeypatch.setattr("torch.utils._triton.has_triton", lambda: False)
    with pytest.raises(RecipeError, match="needs Triton"):
        require_compiler(torch.device("cuda"))


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # what torch.compile asks itself
@pytest.mark.parametrize("checkpoints", [False, True])
def test_blocks_are_compiled_one_by_one_and_once_for_all(
    shape: Architecture, monkeypatch: pytest.MonkeyPatch, checkpoints: bool
) -> None:
    """Traced and not compiled: that takes a minute. Also inside of activation checkpoints."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    monkeypatch.setattr("corpus.trainer.parallel.require_compiler", lambda device: None)
    deep = replace(shape, n_layer=12)
    plain = GPT.create(deep, dropout=0.0, seed=4).loss(TOKENS[:, :-1], TOKENS[:, 1:])
    torch._dynamo.reset()
    counters.clear()

    trainable = prepare(
        GPT.empty(deep, dropout=0.0),
        ALONE,
        seed=4,
        way="none",
        compile_blocks=True,
        checkpoint_activations=checkpoints,
    )
    loss = trainable.loss(TOKENS[:, :-1], TOKENS[:, 1:])
    loss.backward()

    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]
    assert torch.allclose(loss, plain)

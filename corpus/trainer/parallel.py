"""What is laid around a model to train it: activation checkpoints, compilation, DDP or FSDP2.

In: an empty `GPT` and a seed. Out: something with the same `loss`, with its first weights on the
device, whose gradients after the backward pass are the mean over all processes. The names of the
parameters stay those of the `GPT`, so that a checkpoint is the same whatever it was made by.

With FSDP2 parameters are DTensors: each process holds some rows of each (`part_of`), from the first
moment on, and no process ever holds the whole model. For a file the parts are passed on in turn
(`parts_in_turn`).
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from corpus.errors import RecipeError
from corpus.trainer.model import GPT
from corpus.trainer.world import World

# Shapes that blocks are compiled for: 8 in torch, too few for a model with bands whose last parts
# of a batch and of validation are shorter. Behind them it computes uncompiled, with a warning.
_SHAPES = 16


class Trainable(Protocol):
    """What an optimizer step needs of a model."""

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Return the mean cross-entropy in nats of `targets` [B, T] after `tokens`."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return what is trained."""

    def train(self, mode: bool = True) -> Any:
        """Turn dropout on."""


class Replica(DistributedDataParallel):
    """A whole model in each process, the gradients averaged while they are computed (DDP)."""

    def __init__(self, model: GPT) -> None:
        super().__init__(_Loss(model))

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """See `GPT.loss`."""
        out: Tensor = self(tokens, targets)
        return out


class _Loss(nn.Module):
    """A model whose forward pass is its loss: DDP averages what comes from `forward` alone."""

    def __init__(self, model: GPT) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        return self.model.loss(tokens, targets)


def choose_way(wanted: str, world: World) -> str:
    """Return `none`, `ddp` or `fsdp` for what a recipe says.

    Raises:
        RecipeError: Several processes are there, and nothing is to be shared.
    """
    if world.size == 1:
        return "none"  # whatever is asked for: there is nobody to share with
    if wanted == "none":
        raise RecipeError(
            f"{world.size} processes were started, and parallel is none",
            where="parallel",
            why="Each of them would train the same model into the same folder",
            fix="Set parallel: ddp or fsdp, or start one process",
        )
    return "ddp" if wanted == "auto" else wanted


def prepare(
    model: GPT,
    world: World,
    *,
    seed: int,
    way: str,
    compile_blocks: bool,
    checkpoint_activations: bool,
) -> Trainable:
    """Put an empty model on its device with its first weights, and lay around it what is asked for.

    The model itself is changed too: its parameters are those that are trained.
    """
    if compile_blocks:
        limits = torch._dynamo.config
        limits.recompile_limit = max(limits.recompile_limit, _SHAPES)
        for block in model.h:
            # Each alone: they are equal, so one compilation serves all of them. And inside of the
            # activation checkpoint, into which torch.compile does not look.
            block.forward = torch.compile(block.forward)
    if checkpoint_activations:
        for block in model.h:
            _compute_twice(block)
    if way == "fsdp":
        mesh = init_device_mesh(world.device.type, (world.size,))
        for block in model.h:
            fully_shard(block, mesh=mesh)
        fully_shard(model, mesh=mesh)
        register_fsdp_forward_method(model, "loss")
        register_fsdp_forward_method(model, "next_logits")
    model.to_empty(device=world.device)
    for name, parameter in model.named_parameters():
        rows, part = part_of(parameter.detach())
        values_of_a_row = math.prod(parameter.shape[1:])
        model.initialize(name, part, seed=seed, first=rows.start * values_of_a_row)
    return Replica(model) if way == "ddp" else model


def _compute_twice(block: nn.Module) -> None:
    """Let a block keep its input alone; random states are set back for the second time."""
    forward: Callable[..., Tensor] = block.forward
    block.forward = functools.partial(checkpoint, forward, use_reentrant=False)


def require_compiler(device: torch.device) -> None:
    """Check that torch.compile can work.

    Raises:
        RecipeError: It cannot.
    """
    if device.type == "cuda":
        from torch.utils._triton import has_triton

        if has_triton():
            return
        lacks, fix = "Triton", "Install triton, which comes with the CUDA build of torch"
    else:
        if shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++"):
            return
        lacks, fix = "a C++ compiler", "Install g++, or name one in CXX"
    raise RecipeError(
        f"torch.compile needs {lacks}, and there is none",
        where="compile",
        fix=f"{fix}; or set compile: false",
    )


@contextlib.contextmanager
def gradients_shared(model: Trainable, shared: bool) -> Iterator[None]:
    """Average gradients over the processes in the backward passes of this block, or only add them.

    Of the parts of a batch only the last one needs what is common.
    """
    if isinstance(model, DistributedDataParallel) and not shared:
        with model.no_sync():
            yield
        return
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(shared)
    yield


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor with all its parts; every process has to ask."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def part_of(tensor: Tensor) -> tuple[slice, Tensor]:
    """Return what this process holds of a tensor, behind the rows that it is; all if it is whole.

    It is the memory of the tensor itself.
    """
    if not isinstance(tensor, DTensor):
        return slice(0, tensor.shape[0] if tensor.dim() else 0), tensor
    return _rows(tensor, tensor.device_mesh.get_local_rank()), tensor.to_local()


def _rows(tensor: DTensor, rank: int) -> slice:
    """Return the rows that a process holds.

    FSDP2 gives the first processes as many rows each as it takes for all to have some, and the last
    ones what is left, which may be none.
    """
    rows = tensor.shape[0]
    each = -(-rows // tensor.device_mesh.size())
    return slice(min(rank * each, rows), min((rank + 1) * each, rows))


def parts_in_turn(tensor: Tensor) -> Iterator[Tensor]:
    """Yield what each process holds of a tensor, first rows first; one thing if it is whole.

    Every process has to take all of them. One is there at a time: the whole would be too much, and
    Gloo puts it together in as much memory again.
    """
    if not isinstance(tensor, DTensor):
        yield tensor
        return
    group, own = tensor.device_mesh.get_group(), tensor.to_local()
    for rank in range(dist.get_world_size(group)):
        rows = _rows(tensor, rank)
        if rows.start == rows.stop:
            return
        size = (rows.stop - rows.start, *tensor.shape[1:])
        part = own.contiguous() if rank == dist.get_rank(group) else own.new_empty(size)
        dist.broadcast(part, dist.get_global_rank(group, rank), group=group)
        yield part
        del part

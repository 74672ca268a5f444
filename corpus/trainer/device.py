"""What a model is computed on: the device, how tokens come to it, and the precision there."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from corpus.errors import RecipeError


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """Return the device that a recipe means by `auto`, `cpu` or `cuda`.

    Args:
        name: As in the recipe.
        local_rank: Number of the process on its machine; each has a GPU of its own.

    Raises:
        RecipeError: A GPU is asked for where there is none, or there are fewer than processes.
    """
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise RecipeError(
            "a GPU is asked for, and torch finds none",
            where="device",
            why=f"torch {torch.__version__} sees no CUDA device",
            fix="Set device: auto, or install the CUDA build of torch and its driver",
        )
    if not there or name == "cpu":
        return torch.device("cpu")
    if local_rank == 0:
        return torch.device("cuda")
    if local_rank >= torch.cuda.device_count():
        raise RecipeError(
            f"process {local_rank} of this machine has no GPU of its own",
            where="device",
            why=f"torch finds {torch.cuda.device_count()}",
            fix="Start as many processes as there are GPUs: torchrun --nproc-per-node gpu",
        )
    return torch.device("cuda", local_rank)


def to_device(batch: NDArray[Any], device: torch.device) -> Tensor:
    """Return token ids as int64 on a device; they travel in the shard's own narrow type."""
    tokens = torch.from_numpy(batch)
    if device.type == "cuda":
        # Pinned memory comes from torch's own cache, which does not hand it out again before the
        # copy is done.
        tokens = tokens.pin_memory().to(device, non_blocking=True)
    return tokens.to(torch.int64)


def precision(device: torch.device) -> torch.autocast:
    """Return the context to compute in: bfloat16 where it is safe on a GPU, float32 on a CPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")

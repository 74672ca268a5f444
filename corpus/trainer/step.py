"""One step of training and of validation, on whatever device: tokens in, losses out."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from corpus.errors import RecipeError
from corpus.trainer.model import GPT


def choose_device(name: str) -> torch.device:
    """Return the device that a recipe means by `auto`, `cpu` or `cuda`.

    Raises:
        RecipeError: A GPU is asked for where there is none.
    """
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise RecipeError(
            "a GPU is asked for, and torch finds none",
            where="device",
            why=f"torch {torch.__version__} sees no CUDA device",
            fix="Set device: auto, or install the CUDA build of torch and its driver",
        )
    return torch.device("cuda" if there and name != "cpu" else "cpu")


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


def optimizer_step(
    model: GPT, optimizer: torch.optim.Optimizer, tokens: Tensor, *, micro_batch: int, clip: float
) -> tuple[Tensor, Tensor]:
    """Do one optimizer step on a batch [B, T + 1], computed `micro_batch` sequences at a time.

    Returns:
        The mean loss before the update and the norm of the gradient before clipping, on the
        device: reading them waits for it.
    """
    model.train()
    loss = torch.zeros((), device=tokens.device)
    for part in tokens.split(micro_batch):
        with precision(tokens.device):
            # Weighted, so that a smaller last part counts for no more than its sequences.
            share = model.loss(part[:, :-1], part[:, 1:]) * (len(part) / len(tokens))
        share.backward()
        loss += share.detach()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss, norm


@torch.no_grad()
def validation_loss(model: GPT, sequences: NDArray[Any], *, micro_batch: int) -> float:
    """Return the mean cross-entropy in nats a token of sequences [n, T + 1], without dropout."""
    device = model.wte.weight.device
    model.eval()
    total = 0.0
    for start in range(0, len(sequences), micro_batch):
        part = to_device(sequences[start : start + micro_batch], device)
        with precision(device):
            total += float(model.loss(part[:, :-1], part[:, 1:])) * len(part)
    return total / len(sequences)

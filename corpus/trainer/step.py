"""One step of training, on whatever device: tokens in, a loss and better weights out."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from corpus.trainer.device import precision
from corpus.trainer.parallel import Trainable, gradients_shared, whole


def seed_dropout(seed: int, step: int, rank: int) -> None:
    """Set torch's random state to what is this step's and this process's own.

    A run that goes on, from any checkpoint and with any number of processes, so needs to remember
    nothing of it.
    """
    torch.manual_seed(int(np.random.SeedSequence([seed, step, rank]).generate_state(1, "u8")[0]))


def optimizer_step(
    model: Trainable,
    optimizer: torch.optim.Optimizer,
    tokens: Tensor,
    *,
    micro_batch: int,
    clip: float,
) -> tuple[Tensor, Tensor]:
    """Do one optimizer step on a batch [B, T + 1], computed `micro_batch` sequences at a time.

    Where several processes train, `tokens` is this one's share, as large as that of the others.

    Returns:
        The mean loss of these tokens before the update and the norm of the whole gradient before
        clipping, on the device: reading them waits for it.
    """
    model.train()
    loss = torch.zeros((), device=tokens.device)
    parts = tokens.split(micro_batch)
    for number, part in enumerate(parts, start=1):
        with gradients_shared(model, number == len(parts)):
            with precision(tokens.device):
                # Weighted, so that a smaller last part counts for no more than its sequences.
                share = model.loss(part[:, :-1], part[:, 1:]) * (len(part) / len(tokens))
            share.backward()
        loss += share.detach()
    norm = _clip(list(model.parameters()), clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss, norm


def _clip(parameters: list[torch.nn.Parameter], highest: float) -> Tensor:
    """Scale the gradients down to a global norm, and return the one that they had."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = whole(torch.nn.utils.get_total_norm(gradients))
    torch.nn.utils.clip_grads_with_norm_(parameters, highest, norm)
    return norm

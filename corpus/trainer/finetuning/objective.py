"""The objective of GPT-1's fine-tuning, its schedule, and one step: section 3.2, equation 5.

L3(C) = L2(C) + lambda * L1(C): the loss of the task, and the language model's on the same inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from corpus.mix import permutation
from corpus.trainer.device import precision
from corpus.trainer.finetuning.batch import Batch
from corpus.trainer.finetuning.model import FinetunedGPT


@dataclass(frozen=True, slots=True)
class Losses:
    """The losses of a batch, on the device: reading them waits for it.

    Attributes:
        total: L3.
        task: L2, the mean over the examples.
        language: L1, the mean over the sequences; 0 where lambda is.
        norm: Norm of the gradient before it was clipped.
    """

    total: Tensor
    task: Tensor
    language: Tensor
    norm: Tensor


def task_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the task's mean loss: cross-entropy of classes or choices, squared error of scores.

    Args:
        outputs: What `FinetunedGPT.outputs` returned.
        targets: int64 [B] of classes or choices, float32 [B] of scores.
    """
    if targets.is_floating_point():
        return F.mse_loss(outputs[:, 0], targets)
    return F.cross_entropy(outputs, targets)


def learning_rate(step: int, *, steps: int, highest: float, warmup_share: float) -> float:
    """Return the learning rate of a step, counted from 1.

    The released code's: linear warm-up times (1 - x), x being the share of the run that is done
    before the step. There the first step runs at 0 and changes nothing; here the warm-up counts the
    step itself, so that every step counts.
    """
    rise = min(1.0, step / (warmup_share * steps)) if warmup_share else 1.0
    return highest * rise * (1 - (step - 1) / steps)


def seed_dropout(seed: int, step: int) -> None:
    """Set torch's random state, which dropout draws from: it is a function of seed and step."""
    torch.manual_seed(permutation.key("finetune dropout", seed, step))


def optimizer_step(
    model: FinetunedGPT,
    optimizer: torch.optim.Optimizer,
    parts: Sequence[tuple[Batch, Tensor]],
    *,
    lm_weight: float,
    clip: float,
) -> Losses:
    """Do one optimizer step on a batch that is computed in parts.

    Args:
        model: The model.
        optimizer: Its optimizer; the learning rate is set.
        parts: Examples with their targets, on the model's device.
        lm_weight: lambda.
        clip: Highest norm of the gradient.
    """
    model.train()
    device = model.wte.weight.device
    examples = sum(batch.examples for batch, _ in parts)
    sequences = sum(len(batch.lengths) for batch, _ in parts)
    task, language = torch.zeros((), device=device), torch.zeros((), device=device)
    for batch, targets in parts:
        with precision(device):
            hidden = model.hidden(batch.tokens)
            # Weighted, so that a part counts for no more than its examples and sequences.
            of_task = task_loss(model.outputs(hidden, batch), targets) * (batch.examples / examples)
            loss = of_task
            if lm_weight:
                of_language = model.language_loss(hidden, batch).sum() / sequences
                loss = of_task + lm_weight * of_language
                language += of_language.detach()
        loss.backward()
        task += of_task.detach()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return Losses(task + lm_weight * language, task, language, norm)

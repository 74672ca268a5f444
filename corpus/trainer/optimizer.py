"""The optimizer and its schedule: GPT-3 Appendix B.

AdamW with decoupled weight decay on matrices and embeddings and on nothing else ("on all non bias
or gain weights", GPT-1 section 4.1), and a learning rate that is a function of the tokens seen:
linear warm-up, a cosine down to a tenth, then constant.
"""

from __future__ import annotations

import math

import torch

from corpus.trainer.model import GPT


def adamw(
    model: GPT,
    *,
    weight_decay: float,
    beta1: float,
    beta2: float,
    epsilon: float,
) -> torch.optim.AdamW:
    """Return AdamW over the model's parameters in two groups, decayed and not.

    The learning rate is 0 until the schedule sets it.
    """
    decayed, plain = decay_groups(model)
    parameters = dict(model.named_parameters())
    return torch.optim.AdamW(
        [
            {"params": [parameters[name] for name in decayed], "weight_decay": weight_decay},
            {"params": [parameters[name] for name in plain], "weight_decay": 0.0},
        ],
        lr=0.0,
        betas=(beta1, beta2),
        eps=epsilon,
        fused=True,  # one pass over all parameters instead of ten over each
    )


def decay_groups(model: GPT) -> tuple[list[str], list[str]]:
    """Return the names of the parameters with weight decay (two or more axes), and without."""
    decayed: list[str] = []
    plain: list[str] = []
    for name, parameter in model.named_parameters():
        (decayed if parameter.dim() >= 2 else plain).append(name)
    return decayed, plain


def learning_rate(
    tokens: int, *, highest: float, lowest: float, warmup_tokens: int, cosine_tokens: int
) -> float:
    """Return the learning rate of a step that ends at `tokens` tokens seen.

    Args:
        tokens: Tokens seen when the step is done, so the first step does not run at 0.
        highest: Learning rate at the end of the warm-up.
        lowest: Learning rate from `cosine_tokens` on.
        warmup_tokens: Tokens of the linear rise from 0.
        cosine_tokens: Tokens, counted from the start of training, at which the cosine ends. The
            paper's "cosine decay for learning rate down to 10% of its value, over 260 billion
            tokens" does not say whether the warm-up is inside; it is here.
    """
    if tokens < warmup_tokens:
        return highest * tokens / warmup_tokens
    if tokens >= cosine_tokens:
        return lowest
    progress = (tokens - warmup_tokens) / (cosine_tokens - warmup_tokens)
    return lowest + 0.5 * (1.0 + math.cos(math.pi * progress)) * (highest - lowest)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group the same learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate

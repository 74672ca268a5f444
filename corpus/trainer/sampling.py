"""Text out of a model: temperature, top-k and top-p (nucleus) sampling.

A model and the tokens of a prompt in, the tokens that follow out. The last `context` tokens are
read anew for every token, so the time grows with the square of the length.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from corpus.trainer.model import GPT


def keep_most_likely(logits: Tensor, *, top_k: int | None, top_p: float | None) -> Tensor:
    """Return `logits` [V] with all but the most likely tokens at minus infinity.

    Args:
        logits: Logits, temperature already applied.
        top_k: Number of tokens to keep (equal logits at the border are all kept); None: all.
        top_p: Keep the smallest set of tokens, likeliest first, whose probability reaches this
            share (Holtzman et al. 2020); None: all. Applied after `top_k`.
    """
    if top_k is not None and top_k < logits.numel():
        border = torch.topk(logits, top_k).values[-1]
        logits = logits.masked_fill(logits < border, -torch.inf)
    if top_p is not None and top_p < 1.0:
        ordered, indices = torch.sort(logits, descending=True, stable=True)
        probabilities = torch.softmax(ordered, dim=0)
        # A token goes when those before it reach the share already, so the first always stays.
        beyond = probabilities.cumsum(0) - probabilities >= top_p
        logits = logits.masked_fill(
            torch.zeros_like(beyond).scatter(0, indices, beyond), -torch.inf
        )
    return logits


@torch.no_grad()
def generate(
    model: GPT,
    prompt: Sequence[int],
    *,
    tokens: int,
    temperature: float,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int,
    context: int | None = None,
) -> list[int]:
    """Return `tokens` tokens that follow the prompt.

    The model's mode (training or not) is left as it was, and torch's global random state untouched.

    Args:
        model: The model.
        prompt: At least one token; only the last `context` of it are seen.
        tokens: Number of tokens to draw.
        temperature: Divides the logits; 0 takes the likeliest token.
        top_k: See `keep_most_likely`.
        top_p: See `keep_most_likely`.
        seed: Seed of the draws.
        context: Longest sequence that the model is shown, at most its own context (None: that).
            Positions that training never reached are noise.

    Raises:
        ValueError: The prompt is empty, or the temperature below zero.
    """
    if not prompt:
        raise ValueError("an empty prompt: start with the end-of-text token")
    if temperature < 0:
        raise ValueError(f"a temperature of {temperature}")
    window = min(context or model.shape.context, model.shape.context)
    device = model.wte.weight.device
    generator = torch.Generator().manual_seed(seed)
    text = list(prompt)
    was_training = model.training
    model.eval()
    try:
        for _ in range(tokens):
            visible = torch.tensor([text[-window:]], dtype=torch.int64, device=device)
            logits = model(visible)[0, -1].float().cpu()
            if temperature == 0:
                token = int(logits.argmax())
            else:
                likely = keep_most_likely(logits / temperature, top_k=top_k, top_p=top_p)
                draw = torch.multinomial(torch.softmax(likely, dim=0), 1, generator=generator)
                token = int(draw)
            text.append(token)
    finally:
        model.train(was_training)
    return text[len(prompt) :]

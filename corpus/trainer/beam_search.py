"""The likeliest text instead of a drawn one: beam search, as GPT-3 answers in free form.

GPT-3 section 2.4: "a beam width of 4 and a length penalty of alpha = 0.6". The penalty is that of
Wu et al. 2016 (equation 14): a text Y has the score log P(Y) / lp(Y), where
lp(Y) = ((5 + |Y|) / (5 + 1))^alpha.

A model and the tokens of a prompt in, the best texts out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from corpus.trainer.cache import Cache
from corpus.trainer.model import GPT
from corpus.trainer.sampling import evaluating


@dataclass(frozen=True, slots=True)
class Beam:
    """One text that was found.

    Attributes:
        tokens: Its tokens, without the one that ended it.
        score: Its logarithmic probability in nats, with the token that ended it, over the penalty
            of its length.
        finished: Whether it was ended by a stop token, and not by the limit of tokens.
    """

    tokens: list[int]
    score: float
    finished: bool


def length_penalty_of(length: int, alpha: float) -> float:
    """Return lp(Y) for a text of `length` tokens, the one that ends it counted."""
    return float(((5 + length) / 6) ** alpha)


@torch.no_grad()
def beam_search(
    model: GPT,
    prompt: Sequence[int],
    *,
    beams: int = 4,
    length_penalty: float = 0.6,
    tokens: int,
    stop: int | Collection[int],
    context: int | None = None,
) -> list[Beam]:
    """Return the best texts that follow the prompt, best first, at most `beams`.

    In each step every beam is continued by every token; the `beams` likeliest continuations that do
    not end go on, and those that end and are among the 2 * `beams` likeliest (with one stop token)
    are texts that were found. The search ends at `tokens`, where unfinished beams count as texts
    too, or as soon as no beam can become better than the texts that there are.

    Args:
        model: The model; its mode is left as it was.
        prompt: At least one token. Only so many of its last tokens are seen as leave room for
            `tokens` in the context: the window does not slide here.
        beams: Width of the search.
        length_penalty: Alpha, 0 or more; 0 prefers short texts.
        tokens: Longest text, its stop token counted.
        stop: A token that ends a text, or several.
        context: Longest sequence that the model is shown, at most its own context (None: that).

    Raises:
        ValueError: The prompt is empty, a number is out of range, or `tokens` leave no room in the
            context for any of the prompt.
    """
    window = min(context or model.shape.context, model.shape.context)
    if not prompt:
        raise ValueError("an empty prompt: start with the end-of-text token")
    if beams < 1 or tokens < 1 or length_penalty < 0:
        raise ValueError(f"{beams} beams, {tokens} tokens, a length penalty of {length_penalty}")
    # The last token of a text is never read, only those before it.
    room = window - (tokens - 1)
    if room < 1:
        raise ValueError(f"{tokens} tokens leave no room for a prompt in a context of {window}")
    stops = {stop} if isinstance(stop, int) else set(stop)
    with evaluating(model):
        return _search(model, list(prompt)[-room:], beams, length_penalty, tokens, stops)


def _search(
    model: GPT, prompt: list[int], beams: int, alpha: float, tokens: int, stops: set[int]
) -> list[Beam]:
    device = model.wte.weight.device
    cache = Cache(model.shape, room=len(prompt) + tokens - 1)
    texts: list[list[int]] = [[]]
    total = torch.zeros(1, dtype=torch.float64)  # log P of each beam
    found: list[Beam] = []
    new = torch.tensor([prompt], device=device)
    for length in range(1, tokens + 1):
        total = total[:, None] + _log_probabilities(model, new, cache)
        penalty = length_penalty_of(length, alpha)
        # Enough that `beams` of them do not end, however many do.
        wanted = min(beams * (1 + len(stops)), total.numel())
        going: list[tuple[int, int, float]] = []
        for value, index in _largest(total.flatten(), wanted):
            beam, token = divmod(index, total.shape[1])
            if token in stops:
                found.append(Beam(texts[beam], value / penalty, finished=True))
            elif len(going) < beams:
                going.append((beam, token, value))
        found = sorted(found, key=lambda beam: -beam.score)[:beams]
        texts = [[*texts[beam], token] for beam, token, _ in going]
        total = torch.tensor([value for *_, value in going], dtype=torch.float64)
        if length == tokens or not going:
            rest = [
                Beam(text, value / penalty, finished=False)
                for text, value in zip(texts, total.tolist(), strict=True)
            ]
            return sorted([*found, *rest], key=lambda beam: -beam.score)[:beams]
        # Its probability can only fall, so this is more than any beam's score can become.
        bound = float(total.max()) / length_penalty_of(tokens, alpha)
        if len(found) == beams and found[-1].score >= bound:
            return found
        cache.select(torch.tensor([beam for beam, *_ in going], device=device))
        new = torch.tensor([[token] for _, token, _ in going], device=device)
    raise AssertionError("the last length returns")


def _largest(values: Tensor, count: int) -> list[tuple[float, int]]:
    """Return the largest values and their places, equal ones in the order of their places."""
    places = torch.nonzero(values >= torch.topk(values, count).values[-1]).flatten()
    order = torch.sort(values[places], descending=True, stable=True)
    largest = places[order.indices[:count]].tolist()
    return list(zip(order.values[:count].tolist(), largest, strict=True))


def _log_probabilities(model: GPT, new: Tensor, cache: Cache) -> Tensor:
    """Return log P [B, V] of each token after those in the cache and the new ones, in float64."""
    x = model.hidden(new, cache=cache)[:, -1]
    return torch.log_softmax(F.linear(x, model.wte.weight).double(), dim=-1).cpu()

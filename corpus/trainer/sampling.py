"""Text out of a model: temperature, top-k and top-p (nucleus) sampling.

A model and the tokens of prompts in, the tokens that follow out. Each token costs one token's work,
for the keys and values of those before it are kept (`corpus.trainer.cache`), until prompt and text
fill the context. From there on the window slides: its last `context` tokens are read anew for each
token, which costs as much as reading a whole context each time. (Positions are learned, so what was
kept is of no use one place further left, and positions beyond the trained ones are noise.)
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from corpus.trainer.cache import Cache
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


def generate(
    model: GPT,
    prompt: Sequence[int],
    *,
    tokens: int,
    temperature: float,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int,
    stop: int | Collection[int] = (),
    context: int | None = None,
) -> list[int]:
    """Return the tokens that follow the prompt: `generate_batch` for one prompt."""
    (text,) = generate_batch(
        model,
        [prompt],
        tokens=tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        stop=stop,
        context=context,
    )
    return text


@torch.no_grad()
def generate_batch(
    model: GPT,
    prompts: Sequence[Sequence[int]],
    *,
    tokens: int,
    temperature: float,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int,
    stop: int | Collection[int] = (),
    context: int | None = None,
) -> list[list[int]]:
    """Return the tokens that follow each prompt, all prompts computed together.

    The model's mode (training or not) is left as it was, and torch's global random state untouched.

    Args:
        model: The model.
        prompts: At least one token each; only the last `context` of it are seen.
        tokens: Number of tokens to draw.
        temperature: Divides the logits; 0 takes the likeliest token.
        top_k: See `keep_most_likely`.
        top_p: See `keep_most_likely`.
        seed: Seed of the draws: of the first prompt, one more for the second, and so on. So a
            prompt alone gives what it gives among others, but for the rounding of its logits.
        stop: A token that ends the text, or several; the text is returned without it.
        context: Longest sequence that the model is shown, at most its own context (None: that).
            Positions that training never reached are noise.

    Raises:
        ValueError: A prompt is empty, the temperature below zero, or nothing may be drawn.
    """
    if not all(prompts):
        raise ValueError("an empty prompt: start with the end-of-text token")
    if not temperature >= 0:  # nor is it no number
        raise ValueError(f"a temperature of {temperature}")
    if (top_k is not None and top_k < 1) or (top_p is not None and not top_p > 0):
        raise ValueError(f"a top_k of {top_k} and a top_p of {top_p} leave no token to draw")
    stops = {stop} if isinstance(stop, int) else set(stop)
    texts = [list(prompt) for prompt in prompts]
    draws = [torch.Generator().manual_seed(seed + row) for row in range(len(texts))]
    ended = [False] * len(texts)
    with evaluating(model):
        window = min(context or model.shape.context, model.shape.context)
        reader = _Reader(model, texts, window=window, tokens=tokens)
        for _ in range(tokens):
            if all(ended):
                break
            for row, logits in enumerate(reader.logits()):
                if temperature == 0:
                    token = int(logits.argmax())
                else:
                    likely = keep_most_likely(logits / temperature, top_k=top_k, top_p=top_p)
                    draw = torch.softmax(likely, dim=0)
                    token = int(torch.multinomial(draw, 1, generator=draws[row]))
                # A text that has ended goes on unseen, so that the rows stay together.
                ended[row] = ended[row] or token in stops
                texts[row].append(token)
    return [_until(text[len(prompts[row]) :], stops) for row, text in enumerate(texts)]


def _until(text: list[int], stops: set[int]) -> list[int]:
    ends = (at for at, token in enumerate(text) if token in stops)
    return text[: next(ends, len(text))]


@contextlib.contextmanager
def evaluating(model: GPT) -> Iterator[None]:
    """Put a model into evaluation mode for a while."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


class _Reader:
    """Reads texts that grow, and says what may come next.

    Args:
        model: The model.
        texts: They are appended to between two calls, all by the same number of tokens.
        window: Longest sequence that the model is shown.
        tokens: Number of tokens by which they will grow at most.
    """

    def __init__(self, model: GPT, texts: list[list[int]], *, window: int, tokens: int) -> None:
        self._model, self._texts, self._window, self._tokens = model, texts, window, tokens
        self._cache: Cache | None = None
        self._padded: Tensor | None = None  # where each row begins, if they are not of one length

    def logits(self) -> Tensor:
        """Return the logits [B, V] of each text's next token, in float32 on the CPU."""
        cache = self._cache
        if cache is not None and cache.length < cache.room:
            new = torch.tensor([text[-1:] for text in self._texts])
            return self._read(new, first=cache.length)
        rows = [text[-self._window :] for text in self._texts]
        longest = max(map(len, rows))
        # Shorter rows are padded on the left, as a document of its own that the text does not see.
        pads = [longest - len(row) for row in rows]
        self._padded = torch.tensor(pads) if any(pads) else None
        # What is as long as the window already has no room for more, and nothing is kept of it.
        self._cache = (
            Cache(self._model.shape, room=self._window) if longest < self._window else None
        )
        ids = [[0] * pad + row for pad, row in zip(pads, rows, strict=True)]
        return self._read(torch.tensor(ids), first=0)

    def _read(self, ids: Tensor, *, first: int) -> Tensor:
        model, device = self._model, self._model.wte.weight.device
        documents = positions = None
        if self._padded is not None:
            places = torch.arange(first, first + ids.shape[1]) - self._padded[:, None]
            documents, positions = (places >= 0).to(device), places.clamp(min=0).to(device)
        x = model.hidden(
            ids.to(device), documents=documents, positions=positions, cache=self._cache
        )
        return F.linear(x[:, -1], model.wte.weight).float().cpu()

"""Log-likelihoods: how probable the completions of requests are to a model.

`Request`s in, `Score`s out, in the order of the requests. Windows are computed longest first in
batches of bounded size, padded on the right: no position sees what is behind it, so padding
changes nothing. Requests that follow each other and begin alike, as the choices of an example
behind one long prompt, are a batch of their own, whose common beginning is computed once. Logits
are made only where a token counts, some thousand at a time and in float32, so memory is bounded by
`batch_tokens` and not by the vocabulary times the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from corpus.trainer.cache import Cache
from corpus.trainer.device import precision
from corpus.trainer.evaluation.requests import Request, Window, windows
from corpus.trainer.model import GPT

_MOST_LOGITS = 1 << 25  # at a time: 128 MB in float32
# Tokens of a common beginning from which on it is computed once: shorter ones are better computed
# again, in batches of many examples.
_LEAST_SHARED = 256


@dataclass(frozen=True, slots=True)
class Score:
    """What a model says of one request.

    Attributes:
        log_probability: Of all tokens that count, in nats.
        tokens: Their number.
        greedy: Each of them is the likeliest one after those before it.
        last_greedy: The last of them is.
        cut: Tokens at the beginning of the request that no window has room for.
    """

    log_probability: float
    tokens: int
    greedy: bool
    last_greedy: bool
    cut: int

    @property
    def per_token(self) -> float:
        """Mean log-probability of a token, in nats."""
        return self.log_probability / self.tokens


@dataclass(frozen=True, slots=True)
class Scorer:
    """A model, and how much of it is computed at once.

    Attributes:
        model: In evaluation mode.
        context: Most tokens that it is shown.
        stride: Tokens that a window goes beyond the one before (`requests.windows`).
        batch_tokens: Most tokens of a batch, padding included; a longer window is one by itself.
    """

    model: GPT
    context: int
    stride: int
    batch_tokens: int

    def __call__(self, requests: Sequence[Request]) -> list[Score]:
        """Return the score of each request."""
        cut = [windows(one, context=self.context, stride=self.stride) for one in requests]
        sums = [0.0] * len(requests)
        greedy = [True] * len(requests)
        last = [False] * len(requests)
        places = [
            Place(number, requests[number], window)
            for number, found in enumerate(cut)
            for window in found
        ]
        for shared, batch in _batches(places, self.batch_tokens):
            found = _log_probabilities(self.model, batch, shared)
            for place, (values, likeliest) in zip(batch, found, strict=True):
                sums[place.number] += float(values.astype(np.float64).sum())
                greedy[place.number] &= bool(likeliest.all())
                if place.window.end == len(place.request.tokens):
                    last[place.number] = bool(likeliest[-1])
        return [
            Score(sums[n], len(one.tokens) - one.first, greedy[n], last[n], cut[n][0].begin)
            for n, one in enumerate(requests)
        ]


@dataclass(frozen=True, slots=True)
class Place:
    """A window of a request, and the request's number."""

    number: int
    request: Request
    window: Window

    @property
    def shown(self) -> NDArray[np.int64]:
        """The tokens that the model is shown."""
        return self.request.tokens[self.window.begin : self.window.end - 1]


def _batches(places: Sequence[Place], most: int) -> Iterator[tuple[int, list[Place]]]:
    """Yield groups of windows of at most so many tokens, and how many each begins with alike."""
    rest: list[Place] = []
    for shared, group in _alike(places):
        if len(group) == 1:
            rest += group
            continue
        longest = max(len(place.shown) for place in group)
        size = max(1, (most - shared) // (longest - shared))
        for start in range(0, len(group), size):
            yield shared, group[start : start + size]
    rest.sort(key=lambda place: -len(place.shown))
    batch: list[Place] = []
    for place in rest:
        if batch and (len(batch) + 1) * len(batch[0].shown) > most:
            yield 0, batch
            batch = []
        batch.append(place)
    if batch:
        yield 0, batch


def _alike(places: Sequence[Place]) -> Iterator[tuple[int, list[Place]]]:
    """Yield neighbours that begin with many tokens alike, and how many these are."""
    group: list[Place] = []
    shared = 0
    for place in places:
        own = place.window.first - place.window.begin - 1  # the next one's output is needed
        alike = 0
        if group:
            one, other = group[0].shown[:shared], place.shown[: min(own, shared)]
            same = one[: len(other)] == other
            alike = len(other) if same.all() else int(np.argmin(same))
        if alike >= _LEAST_SHARED:
            group.append(place)
            shared = alike
            continue
        if group:
            yield shared, group
        group, shared = [place], own
    if group:
        yield shared, group


@torch.inference_mode()
def _log_probabilities(
    model: GPT, batch: Sequence[Place], shared: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    """Yield for each window the log-probability of its tokens that count, and which are likeliest.

    float32 [n] and bool [n]. The first `shared` tokens of all windows are the same.
    """
    device = model.wte.weight.device
    longest = max(len(place.shown) for place in batch)
    inputs = np.zeros((len(batch), longest - shared), dtype=np.int64)
    rows, columns, targets = [], [], []
    for row, place in enumerate(batch):
        window = place.window
        inputs[row, : len(place.shown) - shared] = place.shown[shared:]
        rows.append(np.full(window.end - window.first, row))
        columns.append(np.arange(window.first, window.end) - window.begin - 1 - shared)
        targets.append(place.request.tokens[window.first : window.end])
    # With a cache no attention is compiled, which would be done anew for every length.
    cache = Cache(model.shape, room=longest)
    with precision(device):
        if shared:
            beginning = torch.from_numpy(batch[0].shown[None, :shared]).to(device)
            model.hidden(beginning, cache=cache)
            cache.select(torch.zeros(len(batch), dtype=torch.int64, device=device))
        hidden = model.hidden(torch.from_numpy(inputs).to(device), cache=cache)
    chosen = hidden[_index(rows, device), _index(columns, device)].float()
    values, likeliest = _of_targets(chosen, model.wte.weight.float(), _index(targets, device))
    ends = np.cumsum([len(part) for part in targets])[:-1]
    yield from zip(np.split(values, ends), np.split(likeliest, ends), strict=True)


def _index(parts: Sequence[NDArray[Any]], device: torch.device) -> Tensor:
    return torch.from_numpy(np.concatenate(parts)).to(device)


def _of_targets(
    hidden: Tensor, output: Tensor, targets: Tensor
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return log-probability and whether it is the likeliest, of `targets` [N] after `hidden`."""
    values, likeliest = [], []
    rows = max(1, _MOST_LOGITS // len(output))
    for part, target in zip(hidden.split(rows), targets.split(rows), strict=True):
        logits = F.linear(part, output)
        own = logits.gather(1, target[:, None])[:, 0]
        values.append(own - torch.logsumexp(logits, dim=1))
        likeliest.append(logits.argmax(dim=1) == target)
    return torch.cat(values).cpu().numpy(), torch.cat(likeliest).cpu().numpy()


@torch.inference_mode()
def next_log_probabilities(model: GPT, rows: Sequence[Sequence[int]]) -> Tensor:
    """Return the log-probabilities of the token after each row: float32 [rows, V], on the CPU.

    All rows have one length.
    """
    device = model.wte.weight.device
    tokens = torch.tensor(rows, dtype=torch.int64, device=device)
    with precision(device):
        hidden = model.hidden(tokens, cache=Cache(model.shape, room=tokens.shape[1]))[:, -1]
    return torch.log_softmax(F.linear(hidden.float(), model.wte.weight.float()), dim=1).cpu()

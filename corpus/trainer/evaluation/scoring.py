"""Log-likelihoods: how probable the completions of requests are to a model.

`Request`s in, `Score`s out, in the order of the requests. Windows are computed longest first in
batches of bounded size, padded on the right: no position sees what is behind it, so padding
changes nothing. Logits are made only where a token counts, some thousand at a time and in float32,
so memory is bounded by `batch_tokens` and not by the vocabulary times the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from corpus.trainer.evaluation.requests import Request, Window, windows
from corpus.trainer.model import GPT
from corpus.trainer.step import precision

_MOST_LOGITS = 1 << 25  # at a time: 128 MB in float32


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
        places = [(number, window) for number, found in enumerate(cut) for window in found]
        places.sort(key=lambda place: place[1].begin - place[1].end)
        sums = [0.0] * len(requests)
        greedy = [True] * len(requests)
        last = [False] * len(requests)
        for batch in _batches(places, self.batch_tokens):
            parts = [(requests[number], window) for number, window in batch]
            found = zip(batch, _log_probabilities(self.model, parts), strict=True)
            for (number, window), (values, likeliest) in found:
                sums[number] += float(values.astype(np.float64).sum())
                greedy[number] &= bool(likeliest.all())
                if window.end == len(requests[number].tokens):
                    last[number] = bool(likeliest[-1])
        return [
            Score(sums[n], len(one.tokens) - one.first, greedy[n], last[n], cut[n][0].begin)
            for n, one in enumerate(requests)
        ]


Place = tuple[int, Window]


def _batches(places: Iterable[Place], most: int) -> Iterator[list[Place]]:
    """Yield groups of windows, longest first, of at most so many tokens with their padding."""
    batch: list[Place] = []
    for place in places:
        longest = batch[0][1] if batch else place[1]
        if batch and (len(batch) + 1) * (longest.end - longest.begin - 1) > most:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


@torch.inference_mode()
def _log_probabilities(
    model: GPT, parts: Sequence[tuple[Request, Window]]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield for each window the log-probability of its tokens that count, and which are likeliest.

    float32 [n] and bool [n].
    """
    device = model.wte.weight.device
    longest = max(window.end - window.begin - 1 for _, window in parts)
    inputs = np.zeros((len(parts), longest), dtype=np.int64)
    rows, columns, targets = [], [], []
    for row, (one, window) in enumerate(parts):
        inputs[row, : window.end - window.begin - 1] = one.tokens[window.begin : window.end - 1]
        number = window.end - window.first
        rows.append(np.full(number, row))
        columns.append(np.arange(window.first, window.end) - window.begin - 1)
        targets.append(one.tokens[window.first : window.end])
    with precision(device):
        hidden = model.hidden(torch.from_numpy(inputs).to(device))
    chosen = hidden[_index(rows, device), _index(columns, device)].float()
    values, likeliest = _of_targets(chosen, model.wte.weight.float(), _index(targets, device))
    ends = np.cumsum([len(part) for part in targets])[:-1]
    yield from zip(np.split(values, ends), np.split(likeliest, ends), strict=True)


def _index(parts: Sequence[np.ndarray], device: torch.device) -> Tensor:
    return torch.from_numpy(np.concatenate(parts)).to(device)


def _of_targets(hidden: Tensor, output: Tensor, targets: Tensor) -> tuple[np.ndarray, np.ndarray]:
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
    with precision(device):
        hidden = model.hidden(torch.tensor(rows, dtype=torch.int64, device=device))[:, -1]
    return torch.log_softmax(F.linear(hidden.float(), model.wte.weight.float()), dim=1).cpu()

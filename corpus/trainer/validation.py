"""The held-out loss of each source, in nats a token and in bits a byte.

In: a model, and the sequences that the mix held out. Out: two numbers a source. A byte is the same
whatever the vocabulary, so bits a byte can be compared between corpora and with other models:
`loss / ln 2 * tokens / bytes`, the bytes being those of the text that the predicted tokens stand
for; end of text is predicted too and stands for none.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray

from corpus.text.tokenizer import Tokenizer
from corpus.text.vocabulary import END_OF_TEXT
from corpus.trainer.device import precision, to_device
from corpus.trainer.model import GPT
from corpus.trainer.world import World

log = logging.getLogger(__name__)


class Validation:
    """The first held-out sequences of each source, the same at each validation.

    Args:
        held_out: Sequences [n, T + 1] of each source; one without any is left out and named.
        tokenizer: Of the text.
        micro_batch: Sequences that a process computes at once.
    """

    def __init__(
        self, held_out: Mapping[str, NDArray[Any]], tokenizer: Tokenizer, *, micro_batch: int
    ) -> None:
        self._held_out = {source: rows for source, rows in held_out.items() if len(rows)}
        if none := [source for source in held_out if source not in self._held_out]:
            log.warning(
                "of %s no sequence is held out: their loss is not measured (mix.validation)",
                ", ".join(none),
            )
        self._micro_batch = micro_batch
        self._tokens_per_byte = {
            source: rows[:, 1:].size / text_bytes(rows[:, 1:], tokenizer)
            for source, rows in self._held_out.items()
        }

    def losses(self, model: GPT, world: World) -> dict[str, float]:
        """Return the loss of each source; all processes take part."""
        return {
            source: validation_loss(model, rows, micro_batch=self._micro_batch, world=world)
            for source, rows in self._held_out.items()
        }

    def bits_per_byte(self, losses: Mapping[str, float]) -> dict[str, float]:
        """Return losses in nats a token as bits a byte."""
        return {
            source: loss / math.log(2) * self._tokens_per_byte[source]
            for source, loss in losses.items()
        }


def text_bytes(tokens: NDArray[Any], tokenizer: Tokenizer) -> int:
    """Return the bytes of the text that tokens stand for; at least 1."""
    ends = int((tokens == tokenizer.end_of_text).sum())
    return max(1, len(tokenizer.decode_bytes(tokens.ravel())) - ends * len(END_OF_TEXT))


@torch.no_grad()
def validation_loss(
    model: GPT, sequences: NDArray[Any], *, micro_batch: int, world: World | None = None
) -> float:
    """Return the mean cross-entropy in nats a token of sequences [n, T + 1], without dropout.

    Args:
        model: The model; of a sharded one, this process's part.
        sequences: All of them, in every process.
        micro_batch: Sequences that a process computes at once.
        world: The processes that share the work; None for this one alone.
    """
    device = model.wte.weight.device
    world = world or World(0, 1, device)
    model.eval()
    total = torch.zeros((), device=device, dtype=torch.float64)
    for first in range(0, len(sequences), micro_batch * world.size):
        start = first + world.rank * micro_batch
        rows = sequences[start : start + micro_batch]
        # At the end there may be nothing left for this process. It computes something all the same,
        # since the parts of a sharded model come together in every forward pass.
        part = to_device(rows if len(rows) else sequences[:1], device)
        with precision(device):
            total += model.loss(part[:, :-1], part[:, 1:]).double() * len(rows)
    return float(world.total(total)) / len(sequences)

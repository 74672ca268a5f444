"""Batches of a task: numbers of examples in, padded tensors out; and the order of the examples.

The order is a function of (seed, epoch, position) alone, so that a run that was stopped goes on
where it was with nothing but its step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from corpus.mix import permutation
from corpus.trainer.finetuning.inputs import Ids, Packed

PADDING = 0  # any id: a causal model's states before the padding do not depend on it


def order(seed: int, epoch: int, examples: int) -> NDArray[np.int64]:
    """Return the examples of an epoch (from 0) in the order in which they are trained on."""
    key = permutation.key("finetune", seed, epoch)
    indices = np.arange(examples, dtype=np.uint64)
    sizes, keys = np.full_like(indices, examples), np.full_like(indices, key)
    return permutation.permute(indices, sizes, keys).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some examples, their sequences below each other.

    S sequences of up to T tokens, B examples.

    Attributes:
        tokens: int64 [S, T], padded behind each sequence's end.
        lengths: Length of each sequence, int64 [S].
        owners: The example, from 0, that each sequence belongs to, int64 [S], ascending.
        places: Number of each sequence within its example, int64 [S].
        examples: B.
    """

    tokens: Tensor
    lengths: Tensor
    owners: Tensor
    places: Tensor
    examples: int

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return Batch(
            self.tokens.to(device),
            self.lengths.to(device),
            self.owners.to(device),
            self.places.to(device),
            self.examples,
        )


def collate(packed: Packed, numbers: Sequence[int], *, length: int | None = None) -> Batch:
    """Return a batch of examples, padded to its longest sequence, or to `length`."""
    rows: list[Ids] = []
    owners: list[int] = []
    places: list[int] = []
    for owner, number in enumerate(numbers):
        sequences = packed.sequences(number)
        rows += sequences
        owners += [owner] * len(sequences)
        places += range(len(sequences))
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    width = int(lengths.max()) if length is None else length
    tokens = np.full((len(rows), width), PADDING, dtype=np.int64)
    for line, row in zip(tokens, rows, strict=True):
        line[: len(row)] = row
    return Batch(
        torch.from_numpy(tokens),
        torch.from_numpy(lengths),
        torch.tensor(owners),
        torch.tensor(places),
        len(numbers),
    )


def by_length(packed: Packed, size: int) -> Iterator[NDArray[np.int64]]:
    """Yield the numbers of all examples, `size` at a time, those of like length together."""
    ordered = np.argsort(packed.lengths(), kind="stable")
    for first in range(0, len(ordered), size):
        yield ordered[first : first + size]


class TrainingBatches:
    """The batches of a run: of each step, numbered from 1, its examples and their targets.

    The last batch of an epoch has what is left, so that each example is trained on once an epoch.
    (The released code leaves a smaller last batch out.)

    Args:
        packed: The training examples.
        targets: What is to be predicted of each.
        seed: Seed of their order.
        size: Examples a batch.
        micro_batch: Examples that are computed at once.
    """

    def __init__(
        self, packed: Packed, targets: NDArray[Any], *, seed: int, size: int, micro_batch: int
    ) -> None:
        self._packed, self._targets, self._seed = packed, targets, seed
        self._size, self._micro_batch = size, micro_batch
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)
        self.steps_an_epoch = -(-len(packed) // size)

    def epoch_of(self, step: int) -> int:
        """Return the epoch, from 0, that a step belongs to."""
        return (step - 1) // self.steps_an_epoch

    def parts(self, step: int, device: torch.device) -> list[tuple[Batch, Tensor]]:
        """Return the micro-batches of a step with their targets."""
        epoch = self.epoch_of(step)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, order(self._seed, epoch, len(self._packed))
        first = (step - 1 - epoch * self.steps_an_epoch) * self._size
        numbers = self._order[first : first + self._size]
        found = []
        for start in range(0, len(numbers), self._micro_batch):
            part = numbers[start : start + self._micro_batch]
            batch = collate(self._packed, part.tolist()).to(device)
            found.append((batch, torch.from_numpy(self._targets[part]).to(device)))
        return found

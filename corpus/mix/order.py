"""Which sequence of a mixture is trained on n-th: a pure function of (seed, position).

GPT-3, Appendix B: "data are sampled without replacement during training (until an epoch boundary is
reached)", so each source has its own epochs. Positions are cut into blocks. At the end of every
block each source has had its share to within one sequence; inside a block the sources are shuffled;
the k-th sequence of a source with N windows is window permutation(k mod N) of its epoch k // N.
Nothing is stored: any rank finds any position at once, and a run resumes anywhere.

In: positions. Out: source, epoch and window of each.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from corpus.mix.permutation import Words, key, permute, subkeys

_UNIT = 1 << 60  # weights are counted in 2^-60, so that shares are computed in whole numbers


@dataclass(frozen=True)
class Order:
    """The order of a mixture's sequences.

    Attributes:
        seed: 0 to 2^64 - 1.
        block: Sequences a block.
        names: Of the sources; a source's own order depends on its name and not on the others.
        weights: Positive; each at least one sequence a block.
        windows: Sequences in one epoch of each source, at least one.
    """

    seed: int
    block: int
    names: tuple[str, ...]
    weights: tuple[float, ...]
    windows: tuple[int, ...]

    def shares(self, sequences: int) -> list[int]:
        """Return what each source has had after so many sequences, at the end of a block.

        Largest remainders of weight times sequences, in whole numbers: the sum is exact, each share
        is right to less than one, and none shrinks from one block to the next.
        """
        weights = [round(weight * _UNIT) for weight in self.weights]
        whole = sum(weights)
        floors = [weight * sequences // whole for weight in weights]
        remainders = [weight * sequences % whole for weight in weights]
        by_remainder = sorted(range(len(weights)), key=lambda i: (-remainders[i], i))
        for i in by_remainder[: sequences - sum(floors)]:
            floors[i] += 1
        return floors

    def drawn(self, sequences: int) -> list[int]:
        """Return what each source has had after so many sequences, anywhere in a block."""
        number, rest = divmod(sequences, self.block)
        labels, _, before = self._block(number)
        part = np.bincount(labels[:rest], minlength=len(self.names)) + before
        return [int(count) for count in part]

    def locate(
        self, positions: npt.NDArray[np.integer[Any]]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Return the source, the epoch (from 0) and the window at each position.

        Args:
            positions: [n], from 0, in any order, without end.

        Returns:
            int32 [n] indices of sources, int32 [n] epochs, int64 [n] windows.
        """
        positions = np.asarray(positions, dtype=np.int64)
        if positions.size and int(positions.min()) < 0:
            raise ValueError(f"position {positions.min()} is before the first")
        sources = np.empty(positions.shape, dtype=np.int32)
        draws = np.empty(positions.shape, dtype=np.int64)
        numbers = positions // self.block
        by_block = np.argsort(numbers, kind="stable")
        found, starts = np.unique(numbers[by_block], return_index=True)
        for number, at in zip(found.tolist(), np.split(by_block, starts[1:]), strict=False):
            labels, ranks, before = self._block(number)
            offsets = positions[at] - number * self.block
            sources[at] = labels[offsets]
            draws[at] = ranks[offsets] + before[labels[offsets]]
        sizes = np.array(self.windows, dtype=np.int64)[sources]
        epochs = draws // sizes
        images = permute(
            (draws - epochs * sizes).astype(np.uint64),
            sizes.astype(np.uint64),
            subkeys(self._keys[sources], epochs.astype(np.uint64)),
        )
        return sources, epochs.astype(np.int32), images.astype(np.int64)

    @functools.cached_property
    def _keys(self) -> Words:
        return np.array([key(self.seed, "window", name) for name in self.names], dtype=np.uint64)

    def _block(
        self, number: int
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return a block's sources, the rank of each among its like, and the draws before it."""
        before = self.shares(number * self.block)
        after = self.shares((number + 1) * self.block)
        counts = tuple(end - start for start, end in zip(before, after, strict=True))
        return *_shuffled(self.seed, number, counts), np.array(before, dtype=np.int64)


@functools.lru_cache(maxsize=8)
def _shuffled(
    seed: int, number: int, counts: tuple[int, ...]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Shuffle the labels 0, 0, ..., 1, 1, ... of a block; return them and each one's rank.

    Sorting by raw words of the generator, because only those are the same in every NumPy (NEP 19).
    """
    words = np.random.Philox(key=np.array([seed, number], dtype=np.uint64)).random_raw(sum(counts))
    labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    labels = labels[np.argsort(words, kind="stable")]
    ranks = np.empty(labels.size, dtype=np.int64)
    firsts = np.cumsum(counts) - counts
    ranks[np.argsort(labels, kind="stable")] = np.arange(labels.size) - np.repeat(firsts, counts)
    labels.flags.writeable = ranks.flags.writeable = False
    return labels, ranks

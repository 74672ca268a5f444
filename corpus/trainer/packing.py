"""Best-fit packing: sequences that hold whole documents where they fit.

Ding et al. 2024 (arXiv 2404.10830): a document longer than a sequence fills whole ones; what is
left of it, and every shorter document, goes into the fullest row that still has room, longest
first. No document is cut that need not be, and every token but each document's first is predicted
once an epoch, in a row with the tokens before it. Room that is left is filled with end of text,
which `documents.trained_targets` takes out of the loss.

GPT-3 does not do this; it is for who masks attention between documents. The order is the mixture's
rule over other sequences: equal weights, a permutation each epoch, a function of the position. An
epoch is a source's rows, found when it is opened: 16 bytes a document are held in memory.

In: the sequences of a mixture. Out: the same interface (`batches.Sequences`) over packed rows.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.errors import InputError
from corpus.mix.order import Order
from corpus.text.kernel_cache import njit
from corpus.tokenize.shards import TokenStream
from corpus.trainer.sequences import Located, MixtureSequences

_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Rows:
    """The rows of one source.

    Attributes:
        starts: First token of each piece in the source's stream, row by row: int64 [pieces].
        lengths: Its tokens: int32 [pieces].
        firsts: First piece of each row, and the end: int64 [rows + 1].
    """

    starts: NDArray[np.int64]
    lengths: NDArray[np.int32]
    firsts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.firsts) - 1


class PackedSequences:
    """The training sequences of a mixture, packed by best fit.

    Args:
        sequences: Of the mixture.

    Attributes:
        look_ahead: As of the mixture's own sequences.
        padding: Share of the tokens of all rows that stand for nothing, per source.

    Raises:
        InputError: A source has no document of two tokens.
    """

    def __init__(self, sequences: MixtureSequences) -> None:
        mixture = sequences.mixture
        self.sequence_length = sequences.sequence_length
        self._sequences = sequences
        self._end_of_text = mixture.vocabulary.end_of_text
        self._rows = [
            pack(document_offsets(sequences.stream(source)), self.sequence_length)
            for source in range(len(mixture.sources))
        ]
        for source, rows in zip(mixture.sources, self._rows, strict=True):
            if not len(rows):
                raise InputError(
                    "it has no document of two tokens, and nothing to predict",
                    where=f"sources.{source.name}",
                    fix="Leave out its weight",
                )
        self.padding = {
            source.name: 1 - int(rows.lengths.sum()) / (len(rows) * (self.sequence_length + 1))
            for source, rows in zip(mixture.sources, self._rows, strict=True)
        }
        self._order = Order(
            mixture.seed,
            mixture.block,
            names=mixture.order.names,
            weights=mixture.order.weights,
            windows=tuple(map(len, self._rows)),
        )
        self._located = Located(self._order)
        self.look_ahead = sequences.look_ahead

    @functools.cached_property
    def digest(self) -> str:
        """What tells this order of sequences from any other."""
        text = f"best-fit {_VERSION} {self._sequences.digest}"
        return hashlib.sha256(text.encode()).hexdigest()

    def expect(self, positions: NDArray[np.int64]) -> None:
        """Have what `read` will need for these positions fetched, if it lies in a store."""
        if not self.look_ahead:
            return
        sources, windows = self._located(positions)
        for source in np.unique(sources).tolist():
            rows = self._rows[source]
            pieces = np.concatenate(
                [np.arange(rows.firsts[w], rows.firsts[w + 1]) for w in windows[sources == source]]
            )
            stream = self._sequences.stream(source)
            stream.expect(rows.starts[pieces], rows.lengths[pieces])

    def read(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        """Return token ids [len(positions), sequence_length + 1] in the type of the shards.

        Raises:
            IntegrityError: A token is not in the vocabulary.
        """
        self.expect(positions)
        sources, windows = self._located(positions)
        width = self.sequence_length + 1
        dtype = np.dtype(self._sequences.mixture.dtype)
        found = np.full((len(positions), width), self._end_of_text, dtype=dtype)
        for row, (source, window) in enumerate(
            zip(sources.tolist(), windows.tolist(), strict=True)
        ):
            rows, stream = self._rows[source], self._sequences.stream(source)
            at = 0
            for piece in range(int(rows.firsts[window]), int(rows.firsts[window + 1])):
                length = int(rows.lengths[piece])
                found[row, at : at + length] = stream.read(int(rows.starts[piece]), length)
                at += length
        self._sequences.require_known(found, self._sequences.path)
        return found


def document_offsets(stream: TokenStream) -> NDArray[np.int64]:
    """Return the first token of each document of a stream, and the end: int64 [documents + 1]."""
    parts, base = [np.zeros(1, dtype=np.int64)], 0
    for shard in stream.shards:
        parts.append(shard.document_offsets[1:] + base)
        base += shard.tokens_total
    return np.concatenate(parts)


def pack(offsets: NDArray[np.int64], sequence_length: int) -> Rows:
    """Pack documents into rows of T + 1 tokens.

    Args:
        offsets: First token of each document, and the end.
        sequence_length: T.
    """
    sizes = np.diff(offsets)
    whole = np.maximum(sizes - 1, 0) // sequence_length  # rows that a document fills alone
    number = int(whole.sum())
    owner = np.repeat(np.arange(len(sizes)), whole)
    nth = np.arange(number) - np.repeat(np.cumsum(whole) - whole, whole)
    rest = sizes - whole * sequence_length
    # What is left of a document begins with its last token in the row before, as sequences do; one
    # token alone predicts nothing.
    left = np.flatnonzero(rest > 1)
    left = left[np.argsort(-rest[left], kind="stable")]
    row, rows = _best_fit(rest[left], sequence_length + 1)
    order = np.argsort(row, kind="stable")
    starts = np.concatenate(
        [
            offsets[:-1][owner] + nth * sequence_length,
            (offsets[:-1] + whole * sequence_length)[left][order],
        ]
    )
    lengths = np.concatenate([np.full(number, sequence_length + 1), rest[left][order]])
    pieces = np.concatenate([np.ones(number, dtype=np.int64), np.bincount(row, minlength=rows)])
    firsts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(pieces)])
    return Rows(starts.astype(np.int64), lengths.astype(np.int32), firsts.astype(np.int64))


@njit(cache=True)  # type: ignore[untyped-decorator]
def _best_fit(sizes: NDArray[np.int64], width: int) -> tuple[NDArray[np.int64], int]:
    """Put each piece, longest first, into the row with the least room that it fits into.

    Rows with equal room are a stack; a tree over the rooms tells which there are, so a piece takes
    log(width) steps.

    Args:
        sizes: Tokens of each piece, descending, between 2 and `width`.
        width: Tokens of a row.

    Returns:
        The row of each piece, and the number of rows.
    """
    leaves = 1
    while leaves < width + 1:
        leaves *= 2
    tree = np.zeros(2 * leaves, dtype=np.int64)  # a node counts the rows below it
    top = np.full(width + 1, -1, dtype=np.int64)
    below = np.full(len(sizes), -1, dtype=np.int64)
    found = np.empty(len(sizes), dtype=np.int64)
    rows = 0
    for piece in range(len(sizes)):
        size = sizes[piece]
        node = leaves + size
        # Up to the first subtree to the right that is not empty, and down its left side.
        while node > 1 and tree[node] == 0:
            while node > 1 and node % 2 == 1:
                node //= 2
            if node > 1:
                node += 1
        if node <= 1 or tree[node] == 0:
            room, row = width, rows
            rows += 1
        else:
            while node < leaves:
                node = 2 * node if tree[2 * node] else 2 * node + 1
            room = node - leaves
            row = top[room]
            top[room] = below[row]
            while node:
                tree[node] -= 1
                node //= 2
        found[piece] = row
        room -= size
        below[row] = top[room]
        top[room] = row
        node = leaves + room
        while node:
            tree[node] += 1
            node //= 2
    return found, rows

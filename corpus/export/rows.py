"""The sequences of a mixture as rows, and the files that they are written to.

In: a mixture's sequences, for training in the mixture's order or held out. Out: rows of token ids
at any place, where each came from, and files that appear when they are whole. A file of rows is a
function of the mixture and the numbers of its rows, so an export that was interrupted keeps the
files that it finished.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from corpus import storage
from corpus.errors import InputError, RecipeError
from corpus.tokenize.shards import Tokens
from corpus.trainer.sequences import MixtureSequences

SPLITS = ("train", "val")
# 64 MiB of uint16: about the size of a shard that MDS and litdata write themselves.
DEFAULT_SHARD_TOKENS = 1 << 25
# Offsets in MDS and litdata are uint32 and llm.c counts tokens in int32: 2 GiB fits everywhere.
_MOST_SHARD_TOKENS = 1 << 29
_TOKENS = 1 << 21  # tokens that are held in memory at a time


@dataclass(frozen=True)
class Piece:
    """A stretch of one document in a row.

    Attributes:
        start: First token, counted from the start of the rows that were asked for.
        end: Behind the last.
        shard: Path of the shard, as `mixture.json` has it, without suffix.
        token: The first token's number in the shard: `corpus explain SHARD --token N` tells more.
    """

    start: int
    end: int
    shard: str
    token: int


class Rows:
    """The sequences of one split, in order.

    Args:
        sequences: Of the mixture.
        split: "train": the sequences of the run, in the mixture's order. "val": those that are held
            out, source after source.

    Attributes:
        length: T, the tokens of a sequence; a row has one more, the last target.
        total: Number of rows.
        dtype: Of the ids, little-endian.
    """

    def __init__(self, sequences: MixtureSequences, split: str) -> None:
        self.split = split
        self.length = sequences.sequence_length
        self.dtype = np.dtype(sequences.mixture.dtype).newbyteorder("<")
        self.vocabulary = sequences.mixture.vocabulary
        self._held_out = split == "val"
        held_out = sum(sequences.mixture.validation_windows())
        self.total = held_out if self._held_out else sequences.mixture.horizon
        self._sequences = sequences

    def blocks(self, first: int, last: int) -> Iterator[Tokens]:
        """Yield rows `first` to `last`, [some, T + 1] at a time.

        Raises:
            IntegrityError: A shard has tokens that are not in the vocabulary.
        """
        step = max(_TOKENS // (self.length + 1), 1)
        for start in range(first, last, step):
            positions = np.arange(start, min(start + step, last), dtype=np.int64)
            yield self._sequences.read(positions, held_out=self._held_out)

    def pieces(self, first: int, rows: Tokens) -> Iterator[Piece]:
        """Yield the stretches of documents in rows, cut after end of text and at the end of a row.

        Args:
            first: Number of the first row.
            rows: Token ids [rows, T or T + 1], of the rows from `first` on.
        """
        width = rows.shape[1]
        positions = np.arange(first, first + len(rows), dtype=np.int64)
        sources, starts = self._sequences.locate(positions, held_out=self._held_out)
        ends = rows == self.vocabulary.end_of_text
        ends[:, -1] = True
        for row, (source, start) in enumerate(zip(sources.tolist(), starts.tolist(), strict=True)):
            begin = 0
            for end in (np.flatnonzero(ends[row]) + 1).tolist():
                entry, token = self._sequences.place(source, start + begin, held_out=self._held_out)
                yield Piece(row * width + begin, row * width + end, entry.prefix, token)
                begin = end


@dataclass
class Files:
    """The files of one export: written when they are whole, or kept where they were.

    Attributes:
        folder: Where to.
        resume: Whether files that are there are whole ones of this export.
        say: Is told of each file.
        digests: Bytes and SHA-256 of each file, by its path in the folder.
    """

    folder: str
    resume: bool
    say: Callable[[str], None]
    digests: dict[str, dict[str, int | str]] = field(default_factory=dict)

    def write(self, name: str, content: Callable[[BinaryIO], None]) -> dict[str, int | str]:
        """Write a file, unless an interrupted export has; return its bytes and digest."""

        def write(path: Path) -> None:
            with path.open("wb") as file:
                content(file)

        return self.publish(name, write)

    def publish(self, name: str, content: Callable[[Path], None]) -> dict[str, int | str]:
        """Do the same for a writer that opens the file itself."""
        path = storage.join(self.folder, name)
        if self.resume and storage.exists(path):
            self.say(f"{path}: was there")
        else:
            with storage.publish(path) as temporary:
                content(temporary)
            self.say(path)
        return self.add(name)

    def add(self, name: str) -> dict[str, int | str]:
        """Take a file that is there into the record."""
        size, sha256 = storage.digest(storage.join(self.folder, name))
        self.digests[name] = {"bytes": size, "sha256": sha256}
        return self.digests[name]

    @property
    def paths(self) -> list[str]:
        """The paths of all files, in the order of writing."""
        return [storage.join(self.folder, name) for name in self.digests]


def ranges(rows: Rows, shard_tokens: int, width: int) -> list[tuple[int, int]]:
    """Return the rows of each file: [first, last) of as many as fit, all files but the last equal.

    Args:
        rows: What is written.
        shard_tokens: The most tokens a file; a row that is longer has a file of its own.
        width: Tokens that are written of a row.
    """
    each = max(shard_tokens // width, 1)
    return [
        (number * each, min((number + 1) * each, rows.total))
        for number in range(math.ceil(rows.total / each))
    ]


def require_shard_tokens(shard_tokens: int | None) -> int:
    """Return the size of a shard, or the default.

    Raises:
        RecipeError: It is not between 1 and 2^29.
    """
    if shard_tokens is None:
        return DEFAULT_SHARD_TOKENS
    if not 1 <= shard_tokens <= _MOST_SHARD_TOKENS:
        raise RecipeError(
            f"a shard of {shard_tokens:,} tokens is not between 1 and {_MOST_SHARD_TOKENS:,}",
            where="--shard-tokens",
        )
    return shard_tokens


def open_splits(sequences: MixtureSequences, split: str | None) -> Mapping[str, Rows]:
    """Return the splits that are asked for; both where none is named, but none without rows.

    Raises:
        InputError: `split` is "val", and not one sequence is held out.
    """
    asked = {name: Rows(sequences, name) for name in ([split] if split else SPLITS)}
    if split == "val" and not asked["val"].total:
        raise InputError(
            "not one sequence is held out",
            where=sequences.path,
            fix="Set mix.validation above 0 and run corpus mix again",
        )
    return {name: rows for name, rows in asked.items() if rows.total}

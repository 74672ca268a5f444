"""Token shards: the Megatron `.bin`/`.idx` pair, checked and read through memory maps.

The layout is told in corpus.tokenize.shard_writer. Damage of the kind that a killed copy or a full
disk leaves (a short file, another header) is found when a shard is opened; `verify` reads every
byte.

In: paths of shards. Out: arrays of tokens, of one shard or of many as one stream.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from corpus import storage
from corpus.errors import InputError, IntegrityError
from corpus.tokenize.shard_index import ShardIndex, damaged, require_payload
from corpus.tokenize.shard_writer import CHUNK, ShardWriter, Tokens, publish, token_dtype

__all__ = ["Shard", "ShardWriter", "TokenShard", "TokenStream", "Tokens", "publish", "token_dtype"]


class Shard(Protocol):
    """What a stream is made of: a shard on this machine, or one that is read from a store."""

    prefix: str
    dtype: np.dtype[Any]
    tokens_total: int

    @property
    def document_offsets(self) -> npt.NDArray[np.int64]:
        """First token of each document, and the end: int64 [documents + 1]."""

    def read(self, offset: int, length: int) -> Tokens:
        """Return tokens [offset, offset + length), or up to the end."""

    def gather(self, offsets: npt.NDArray[np.int64], length: int) -> Tokens:
        """Return one row of `length` tokens for each offset, all inside: [offsets, length]."""

    def expect(self, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> None:
        """Fetch tokens [start, end) of each pair ahead, where they have to be fetched."""


class TokenShard:
    """A shard of local files, mapped into memory when its tokens are first read.

    The header and the sizes of both files are checked when it is opened; `verify` reads all of it.

    Attributes:
        prefix: Path without suffix.
        dtype: Dtype of the ids.
        tokens_total: Number of tokens.

    Raises:
        InputError: There are no such files, or they are remote.
        IntegrityError: The files are not a whole shard.
    """

    def __init__(self, prefix: str | Path) -> None:
        self.prefix = str(prefix)
        if storage.is_remote(self.prefix):
            raise InputError(
                "a single token shard is mapped into memory, from local files",
                where=self.prefix,
                fix="Copy it to this machine, or read it as a part of its mixture",
            )
        self._bin = f"{prefix}.bin"
        self._index = _mapped_index(f"{prefix}.idx")
        self.dtype = self._index.dtype
        self.tokens_total = require_payload(self._index, storage.size(self._bin), where=self._bin)

    @functools.cached_property
    def tokens(self) -> Tokens:
        """All tokens, int array [tokens_total], mapped and not read."""
        if not self.tokens_total:
            return np.empty(0, self.dtype)
        return np.memmap(self._bin, self.dtype, mode="r", shape=(self.tokens_total,))

    @property
    def document_offsets(self) -> npt.NDArray[np.int64]:
        """First token of each document, and the end: int64 [documents + 1]."""
        return self._index.document_offsets

    def read(self, offset: int, length: int) -> Tokens:
        """Return tokens [offset, offset + length), or up to the end; a view of the map."""
        return self.tokens[offset : offset + length]

    def gather(self, offsets: npt.NDArray[np.int64], length: int) -> Tokens:
        """Return one row of `length` tokens for each offset, all inside: [offsets, length]."""
        # One copy for all rows of a shard: ten times as fast as row by row.
        return np.asarray(np.lib.stride_tricks.sliding_window_view(self.tokens, length)[offsets])

    def expect(self, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> None:
        """Do nothing: what lies on this machine need not be fetched ahead."""

    def __len__(self) -> int:
        return len(self._index)

    def __reduce__(self) -> tuple[Any, ...]:
        return TokenShard, (self.prefix,)  # a pickled memory map would carry the whole file

    def verify(self, *, vocabulary_size: int) -> None:
        """Read the whole shard and check that lengths, offsets and ids agree with each other.

        Raises:
            IntegrityError: They do not.
        """
        index, where = self._index, f"{self.prefix}.idx"
        offset = 0
        for first in range(0, index.sequences, CHUNK):
            lengths = np.asarray(index.lengths[first : first + CHUNK], dtype=np.int64)
            ends = offset + np.cumsum(lengths)
            starts = (ends - lengths) * self.dtype.itemsize
            if (lengths < 0).any() or (starts != index.pointers[first : first + CHUNK]).any():
                raise damaged(where, "Its lengths and byte offsets do not agree")
            offset = int(ends[-1])
        if int(self.document_offsets[-1]) != self.tokens_total:
            raise damaged(where, "Its documents do not end where its tokens do")
        for first in range(0, self.tokens_total, 1 << 20):
            ids = self.tokens[first : first + (1 << 20)]
            if int(ids.min()) < 0 or int(ids.max()) >= vocabulary_size:
                raise damaged(self._bin, f"An id is outside the vocabulary of {vocabulary_size:,}")


def _mapped_index(path: str) -> ShardIndex:
    size = storage.size(path)
    data = np.memmap(path, np.uint8, mode="r") if size else np.empty(0, np.uint8)
    return ShardIndex(np.asarray(data), where=path)


class TokenStream:
    """Shards one after the other as one stream of tokens; the way a source is read.

    Args:
        shards: In order. Shards without tokens are allowed.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.shards = list(shards)
        self.dtype: np.dtype[Any] = self.shards[0].dtype if self.shards else np.dtype(np.uint16)
        for shard in self.shards:
            if shard.dtype != self.dtype:
                raise IntegrityError(
                    f"a source has token shards of two kinds, {self.dtype} and {shard.dtype}",
                    where=shard.prefix,
                    fix="Run corpus check",
                )
        self.ends = np.cumsum([shard.tokens_total for shard in self.shards], dtype=np.int64)

    @staticmethod
    def open(prefixes: Sequence[str], tokens: Sequence[int]) -> TokenStream:
        """Open shards that are to have so many tokens each.

        Raises:
            IntegrityError: A shard is damaged, or has another number of tokens.
        """
        shards = [TokenShard(prefix) for prefix in prefixes]
        for shard, count in zip(shards, tokens, strict=True):
            if shard.tokens_total != count:
                raise IntegrityError(
                    f"the token shard has {shard.tokens_total:,} tokens, and not {count:,}",
                    where=shard.prefix,
                    why="It is not the one that the mixture was made from",
                    fix="Run corpus check",
                )
        return TokenStream(shards)

    def __len__(self) -> int:
        return int(self.ends[-1]) if self.shards else 0

    def place(self, token: int) -> tuple[int, int]:
        """Return the shard that holds a token, and the token's offset in it."""
        if not 0 <= token < len(self):
            raise IndexError(f"token {token} of {len(self)}")
        index = int(np.searchsorted(self.ends, token, side="right"))
        return index, token - self._first(index)

    def read(self, start: int, length: int) -> Tokens:
        """Return `length` tokens from `start` on; a view of the map where one shard holds them."""
        if start < 0 or length < 0 or start + length > len(self):
            raise IndexError(f"tokens {start} to {start + length} of {len(self)}")
        if not length:
            return np.empty(0, self.dtype)
        index, offset = self.place(start)
        parts = []
        while length:
            part = self.shards[index].read(offset, length)
            parts.append(part)
            length -= part.size
            index, offset = index + 1, 0
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def gather(self, starts: npt.NDArray[np.int64], length: int) -> Tokens:
        """Return one row of `length` tokens for each start: [starts, length], a copy."""
        rows: Tokens = np.empty((len(starts), length), dtype=self.dtype)
        indices = np.searchsorted(self.ends, starts, side="right")
        inside = (starts >= 0) & (
            starts + length <= self.ends[np.minimum(indices, len(self.ends) - 1)]
        )
        for index in np.unique(indices[inside]).tolist():
            of_shard = np.flatnonzero(inside & (indices == index))
            offsets = starts[of_shard] - self._first(index)
            rows[of_shard] = self.shards[index].gather(offsets, length)
        for row in np.flatnonzero(~inside).tolist():  # across shards, or outside
            rows[row] = self.read(int(starts[row]), length)
        return rows

    def expect(self, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> None:
        """Let shards that are not on this machine fetch what is going to be read.

        Args:
            starts: First token of each stretch.
            lengths: Its tokens.
        """
        first = np.searchsorted(self.ends, starts, side="right")
        last = np.searchsorted(self.ends, starts + lengths - 1, side="right")
        for index in np.unique(np.concatenate([first, last])).tolist():
            base, shard = self._first(index), self.shards[index]
            inside = (first <= index) & (last >= index) & (lengths > 0)
            begin = np.maximum(starts[inside] - base, 0)
            end = np.minimum(starts[inside] + lengths[inside] - base, shard.tokens_total)
            shard.expect(begin, end)

    def _first(self, index: int) -> int:
        return int(self.ends[index]) - self.shards[index].tokens_total

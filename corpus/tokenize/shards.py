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
from typing import Any

import numpy as np
import numpy.typing as npt

from corpus import storage
from corpus.errors import InputError, IntegrityError
from corpus.tokenize.shard_writer import (
    CHUNK,
    DTYPES,
    HEADER,
    MAGIC,
    ShardWriter,
    Tokens,
    publish,
    token_dtype,
)

__all__ = ["ShardWriter", "TokenShard", "TokenStream", "Tokens", "publish", "token_dtype"]


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
                "token shards are read through memory maps, from local files",
                where=self.prefix,
                fix="Copy the mix and its shards to this machine",
            )
        self._idx, self._bin = f"{prefix}.idx", f"{prefix}.bin"
        size = storage.size(self._idx)
        with storage.open_input(self._idx) as file:
            header = file.read(HEADER.size)
        if len(header) < HEADER.size or not header.startswith(MAGIC):
            raise self._damaged(self._idx, "It does not start with the header of an index")
        _, version, code, self._sequences, self._indices = HEADER.unpack(header)
        if version != 1:
            raise self._damaged(self._idx, f"Its version is {version}, not 1")
        if code not in DTYPES:
            raise self._damaged(self._idx, f"Its dtype code {code} is not that of integers")
        self.dtype: np.dtype[Any] = np.dtype(DTYPES[code]).newbyteorder("<")
        expected = HEADER.size + 12 * self._sequences + 8 * self._indices
        if size != expected:
            raise self._damaged(self._idx, f"It has {size:,} bytes, its header says {expected:,}")
        if not 1 <= self._indices <= self._sequences + 1:
            raise self._damaged(self._idx, f"It counts {self._indices} document indices")
        if self._sequences:
            end = int(self._pointers[-1]) + int(self._lengths[-1]) * self.dtype.itemsize
        else:
            end = 0
        found = storage.size(self._bin)
        if found != end:
            raise self._damaged(self._bin, f"It has {found:,} bytes, its index says {end:,}")
        if end % self.dtype.itemsize:
            raise self._damaged(self._bin, f"It ends inside a token of {self.dtype.itemsize} bytes")
        self.tokens_total = end // self.dtype.itemsize

    def _damaged(self, where: str, why: str) -> IntegrityError:
        return IntegrityError(
            "the token shard is damaged", where=where, why=why, fix="Run corpus check"
        )

    def _map(self, dtype: str, offset: int, count: int) -> npt.NDArray[Any]:
        if not count:  # zero bytes cannot be mapped
            return np.empty(0, dtype)
        return np.memmap(self._idx, dtype, mode="r", offset=offset, shape=(count,))

    @functools.cached_property
    def _lengths(self) -> npt.NDArray[np.int32]:
        return self._map("<i4", HEADER.size, self._sequences)

    @functools.cached_property
    def _pointers(self) -> npt.NDArray[np.int64]:
        return self._map("<i8", HEADER.size + 4 * self._sequences, self._sequences)

    @functools.cached_property
    def _documents(self) -> npt.NDArray[np.int64]:
        return self._map("<i8", HEADER.size + 12 * self._sequences, self._indices)

    @functools.cached_property
    def tokens(self) -> Tokens:
        """All tokens, int array [tokens_total], mapped and not read."""
        if not self.tokens_total:
            return np.empty(0, self.dtype)
        return np.memmap(self._bin, self.dtype, mode="r", shape=(self.tokens_total,))

    @functools.cached_property
    def document_offsets(self) -> npt.NDArray[np.int64]:
        """First token of each document, and the end: int64 [documents + 1]."""
        offsets = np.zeros(self._sequences + 1, dtype=np.int64)
        np.cumsum(self._lengths, dtype=np.int64, out=offsets[1:])
        first = np.asarray(self._documents)
        if first[0] or first[-1] != self._sequences or (np.diff(first) < 0).any():
            raise self._damaged(self._idx, "Its document indices do not ascend from 0 to the end")
        return offsets[first]

    def __len__(self) -> int:
        return int(self._indices) - 1

    def __reduce__(self) -> tuple[Any, ...]:
        return TokenShard, (self.prefix,)  # a pickled memory map would carry the whole file

    def verify(self, *, vocabulary_size: int) -> None:
        """Read the whole shard and check that lengths, offsets and ids agree with each other.

        Raises:
            IntegrityError: They do not.
        """
        offset = 0
        for first in range(0, self._sequences, CHUNK):
            lengths = np.asarray(self._lengths[first : first + CHUNK], dtype=np.int64)
            ends = offset + np.cumsum(lengths)
            starts = (ends - lengths) * self.dtype.itemsize
            if (lengths < 0).any() or (starts != self._pointers[first : first + CHUNK]).any():
                raise self._damaged(self._idx, "Its lengths and byte offsets do not agree")
            offset = int(ends[-1])
        if int(self.document_offsets[-1]) != self.tokens_total:
            raise self._damaged(self._idx, "Its documents do not end where its tokens do")
        for first in range(0, self.tokens_total, 1 << 20):
            ids = self.tokens[first : first + (1 << 20)]
            if int(ids.min()) < 0 or int(ids.max()) >= vocabulary_size:
                raise self._damaged(
                    self._bin, f"An id is outside the vocabulary of {vocabulary_size:,}"
                )


class TokenStream:
    """Shards one after the other as one stream of tokens; the way a source is read.

    Args:
        shards: In order. Shards without tokens are allowed.
    """

    def __init__(self, shards: Sequence[TokenShard]) -> None:
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
        return index, token - int(self.ends[index]) + self.shards[index].tokens_total

    def read(self, start: int, length: int) -> Tokens:
        """Return `length` tokens from `start` on; a view of the map where one shard holds them."""
        if start < 0 or length < 0 or start + length > len(self):
            raise IndexError(f"tokens {start} to {start + length} of {len(self)}")
        if not length:
            return np.empty(0, self.dtype)
        index, offset = self.place(start)
        parts = []
        while length:
            part = self.shards[index].tokens[offset : offset + length]
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
            # One copy for all rows of a shard: ten times as fast as row by row.
            of_shard = np.flatnonzero(inside & (indices == index))
            tokens = self.shards[index].tokens
            offsets = starts[of_shard] - int(self.ends[index]) + tokens.size
            rows[of_shard] = np.lib.stride_tricks.sliding_window_view(tokens, length)[offsets]
        for row in np.flatnonzero(~inside).tolist():  # across shards, or outside
            rows[row] = self.read(int(starts[row]), length)
        return rows

"""The sequences of a mix: token ids at any position of its order, out of its shards.

`mixture.json` in, arrays of token ids out. Shards on this machine are mapped into memory; those in
an object store are read in blocks through a cache (corpus.trainer.remote_shards), and give the same
arrays. numpy only: `Batches` reads ahead from here, and any other trainer can.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus import storage
from corpus.errors import InputError, IntegrityError
from corpus.mix.mixture import Mixture, ShardEntry
from corpus.mix.order import Order
from corpus.text import tokenizer
from corpus.tokenize.shards import TokenShard, TokenStream
from corpus.trainer.config import CacheConfig
from corpus.trainer.remote_shards import RemoteShards

_GROUP = 4096  # positions that are located at once: 0.14 µs each, and 6 µs in batches of 32


class Located:
    """An order whose positions are looked up in groups, for readers that go through it.

    Args:
        order: The order.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._group = functools.lru_cache(maxsize=4)(self._locate_group)

    def __reduce__(self) -> tuple[Any, ...]:
        return Located, (self._order,)

    def _locate_group(self, number: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        first = number * _GROUP
        sources, _, windows = self._order.locate(np.arange(first, first + _GROUP, dtype=np.int64))
        return sources, windows

    def __call__(self, positions: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return source and window of each position, as `Order.locate` does."""
        if positions.size and int(positions.min()) >= 0:
            first, last = int(positions.min()) // _GROUP, int(positions.max()) // _GROUP
            if last - first <= 1:
                parts = [self._group(number) for number in range(first, last + 1)]
                at = positions - first * _GROUP
                sources, windows = (np.concatenate(part)[at] for part in zip(*parts, strict=True))
                return sources, windows
        sources, _, windows = self._order.locate(positions)  # far apart, or wrong
        return sources, windows


class MixtureSequences:
    """The sequences of one mixture, for training and held out.

    Args:
        mixture: The mixture.
        path: Its `mixture.json`, a local path or a URL; the shards are found relative to its
            folder.
        cache: Where blocks of shards are kept, if it is a URL; None: the defaults.

    Attributes:
        look_ahead: Positions that are worth being told ahead (`expect`); 0 for local shards.

    Raises:
        InputError: A shard is missing.
        IntegrityError: A shard is not the one that the mixture was made from.
        OutputError: The cache cannot be written.
    """

    def __init__(self, mixture: Mixture, *, path: str, cache: CacheConfig | None = None) -> None:
        self.mixture = mixture
        self.path = path
        self.sequence_length = mixture.sequence_length
        self.vocabulary_size = mixture.vocabulary.size
        self.sources = [source.name for source in mixture.sources]
        self._dtype = np.dtype(mixture.dtype)
        self._folder = path.rpartition("/")[0] or "."
        self._remote: RemoteShards | None = None
        if storage.is_remote(path):
            self._remote = RemoteShards(mixture, self._folder, cache or CacheConfig())
        self.look_ahead = self._remote.reader.most_ahead if self._remote else 0
        self._located = Located(mixture.order)
        self._training = [self._stream(source.shards) for source in mixture.sources]
        self._held_out = {
            source.name: self._stream(source.validation) for source in mixture.sources
        }

    @classmethod
    def open(cls, path: str, *, cache: CacheConfig | None = None) -> MixtureSequences:
        """Open `mixture.json` and its shards.

        Args:
            path: Of `mixture.json`, a local path or a URL.
            cache: Where blocks of shards are kept, if it is a URL; None: the defaults.

        Raises:
            InputError: It is missing or no mixture, or as for the class.
            IntegrityError: It was changed by hand, or as for the class.
        """
        return cls(Mixture.from_json(storage.read_json(path), where=path), path=path, cache=cache)

    def _stream(self, entries: Sequence[ShardEntry]) -> TokenStream:
        if self._remote is not None:
            return TokenStream([self._remote.open(entry) for entry in entries])
        shards = []
        for entry in entries:
            shard = TokenShard(storage.join(self._folder, entry.prefix))
            if shard.tokens_total != entry.tokens or shard.dtype != self._dtype:
                raise IntegrityError(
                    "the token shard is not the one that the mixture was made from",
                    where=shard.prefix,
                    why=f"It has {shard.tokens_total:,} tokens of {shard.dtype}, and should have "
                    f"{entry.tokens:,} of {self._dtype}",
                    fix="Run corpus check",
                )
            shards.append(shard)
        return TokenStream(shards)

    @property
    def digest(self) -> str:
        """What tells this order of sequences from any other."""
        return self.mixture.fingerprint

    def read(self, positions: NDArray[np.int64], *, held_out: bool = False) -> NDArray[Any]:
        """Return token ids [len(positions), sequence_length + 1] in the type of the shards.

        Args:
            positions: In the mixture's order, which has no end; or, held out, in the row of the
                sources' held-out sequences, one source after the other.
            held_out: Which of the two.

        Raises:
            IntegrityError: A token is not in the vocabulary.
        """
        sources, starts = self.locate(positions, held_out=held_out)
        self._expect(sources, starts, held_out)
        rows = np.empty((len(positions), self.sequence_length + 1), dtype=self._dtype)
        for index in np.unique(sources).tolist():
            of_source = sources == index
            rows[of_source] = self._gather(self.stream(index, held_out), starts[of_source])
        return rows

    def expect(self, positions: NDArray[np.int64]) -> None:
        """Have what `read` will need for these positions fetched, if it lies in a store."""
        if self._remote is not None:
            self._expect(*self.locate(positions), False)

    def _expect(
        self, sources: NDArray[np.int32], starts: NDArray[np.int64], held_out: bool
    ) -> None:
        if self._remote is None:
            return
        width = np.full(len(starts), self.sequence_length + 1)
        for index in np.unique(sources).tolist():
            of_source = sources == index
            self.stream(index, held_out).expect(starts[of_source], width[of_source])

    def locate(
        self, positions: NDArray[np.int64], *, held_out: bool = False
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return the source of each sequence, and the number of its first token in the source."""
        if not held_out:
            sources, windows = self._located(positions)
            return sources, windows * self.sequence_length
        ends = np.cumsum(self.mixture.validation_windows(), dtype=np.int64)
        if positions.size and not 0 <= int(positions.min()) <= int(positions.max()) < int(ends[-1]):
            raise IndexError(f"held-out sequences {positions.min()} to {positions.max()}")
        sources = np.searchsorted(ends, positions, side="right").astype(np.int32)
        firsts = ends - np.array(self.mixture.validation_windows(), dtype=np.int64)
        return sources, (positions - firsts[sources]) * self.sequence_length

    def stream(self, source: int, held_out: bool = False) -> TokenStream:
        """Return the tokens of a source, by its number, as one stream."""
        return self._held_out[self.sources[source]] if held_out else self._training[source]

    def place(self, source: int, token: int, *, held_out: bool = False) -> tuple[ShardEntry, int]:
        """Return the shard that holds a token of a source, and the token's number in it."""
        index, offset = self.stream(source, held_out).place(token)
        entries = self.mixture.sources[source]
        return (entries.validation if held_out else entries.shards)[index], offset

    def held_out(self, source: str, count: int) -> NDArray[Any]:
        """Return the first `count` held-out sequences of a source, or all where there are fewer.

        Raises:
            IntegrityError: A token is not in the vocabulary.
        """
        present = self.mixture.validation_windows()[self.sources.index(source)]
        starts = np.arange(min(count, present)) * self.sequence_length
        self._expect(np.full(len(starts), self.sources.index(source), np.int32), starts, True)
        return self._gather(self._held_out[source], starts)

    def _gather(self, stream: TokenStream, starts: NDArray[np.int64]) -> NDArray[Any]:
        rows = stream.gather(starts, self.sequence_length + 1)
        self.require_known(rows, stream.shards[0].prefix if stream.shards else self.path)
        return rows

    def require_known(self, rows: NDArray[Any], where: str) -> None:
        """Check that ids are in the vocabulary.

        An id out of range would end a training on a GPU with an assertion that names nothing.

        Raises:
            IntegrityError: One is not.
        """
        if rows.size and not 0 <= int(rows.min()) <= int(rows.max()) < self.vocabulary_size:
            raise IntegrityError(
                f"a token is not in the vocabulary of {self.vocabulary_size:,}",
                where=where,
                why=f"Ids from {rows.min()} to {rows.max()} were read from this source",
                fix="Run corpus check",
            )

    def tokenizer(self) -> tokenizer.Tokenizer:
        """Return the tokenizer that the shards were written with.

        Raises:
            InputError: Its file is missing or another one now.
        """
        vocabulary = self.mixture.vocabulary
        name = vocabulary.name
        if name != "gpt2":  # a file beside the mixture
            name = storage.resolve(self._folder, name)
        loaded = tokenizer.load(name)
        if loaded.digest != vocabulary.digest:
            raise InputError(
                "the vocabulary is not the one that the shards were written with",
                where=name,
                why=f"Its digest is {loaded.digest[:12]}..., and was {vocabulary.digest[:12]}...",
                fix="Put the former file back, or build the corpus again",
            )
        return loaded

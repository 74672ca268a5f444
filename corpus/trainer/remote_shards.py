"""Token shards in an object store, read in blocks through a cache on this machine.

The order of a mixture is a shuffle of all its sequences, so the next one lies anywhere. While the
cache holds all of the corpus, each block is fetched once, and is large. Where it cannot, a block is
little more than a sequence: what is fetched beside it would be gone before it is wanted.

Sizes are compared with the mixture when it is opened. Of a shard's index nothing is needed to read
sequences; it is fetched and checked when documents are asked for. Where the corpus fits, a shard is
compared with its SHA-256 as soon as the cache holds all of it. The digest says nothing about a
part: there ids outside of the vocabulary are found (corpus.trainer.sequences), and nothing else.

In: entries of a mixture. Out: shards with the tokens of local ones.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corpus import storage
from corpus.errors import InputError, IntegrityError
from corpus.mix.mixture import Mixture, ShardEntry
from corpus.tokenize.shard_index import ShardIndex, require_payload
from corpus.tokenize.shards import Tokens
from corpus.trainer.block_cache import BlockCache
from corpus.trainer.block_fetch import BlockReader, RemoteFile, fetch
from corpus.trainer.config import CacheConfig

WHOLE_BLOCK = 1 << 20  # where all of the corpus fits into the cache
PART_BLOCK = 1 << 16  # where it does not: 16 sequences of 2,048 tokens of two bytes
_FEWEST = 16  # blocks that a cache has to hold
_AHEAD_SHARE = 8  # blocks fetched ahead take at most this part of the cache, of each process
_MOST_AHEAD = 4096  # blocks


class RemoteShards:
    """The shards of one mixture in a store.

    Args:
        mixture: The mixture.
        folder: URL of the folder that its shards are named relative to.
        cache: Where blocks are kept.

    Attributes:
        reader: What fetches them.
        block: Bytes of a block.

    Raises:
        InputError: The cache cannot hold a few blocks.
        OutputError: Its folder cannot be written.
    """

    def __init__(self, mixture: Mixture, folder: str, cache: CacheConfig) -> None:
        self._folder = folder
        self._dtype = np.dtype(mixture.dtype).newbyteorder("<")
        corpus_bytes = self._dtype.itemsize * sum(
            shard.tokens for source in mixture.sources for shard in source.shards
        )
        self._fits = corpus_bytes <= cache.bytes
        self.block = cache.block or (WHOLE_BLOCK if self._fits else PART_BLOCK)
        if cache.bytes < _FEWEST * self.block:
            raise InputError(
                f"a cache of {cache.bytes:,} bytes does not hold {_FEWEST} blocks of "
                f"{self.block:,}",
                where="cache.bytes",
                fix=f"Set it to {_FEWEST * self.block} or more, or lower cache.block",
            )
        ahead = min(_MOST_AHEAD, cache.bytes // self.block // _AHEAD_SHARE)
        blocks = BlockCache(cache.folder or default_folder(), cache.bytes)
        self.reader = BlockReader(blocks, most_ahead=ahead)
        self._sizes: dict[str, dict[str, int]] = {}

    def open(self, entry: ShardEntry) -> RemoteShard:
        """Open one shard.

        Raises:
            InputError: It is not there.
            IntegrityError: Its size is not that of the mixture's shard.
        """
        prefix = storage.resolve(self._folder, entry.prefix)
        expected = entry.tokens * self._dtype.itemsize
        size = self._size(f"{prefix}.bin")
        if size != expected:
            raise IntegrityError(
                "the token shard is not the one that the mixture was made from",
                where=f"{prefix}.bin",
                why=f"It has {size:,} bytes, and should have {expected:,}",
                fix="Run corpus check",
            )
        index_bytes = self._size(f"{prefix}.idx")
        sha256 = entry.sha256 if self._fits else ""
        file = RemoteFile(f"{prefix}.bin", size, self.block, sha256)
        return RemoteShard(prefix, self._dtype, self.reader, file, index_bytes)

    def _size(self, url: str) -> int:
        folder = url.rpartition("/")[0]
        if folder not in self._sizes:
            self._sizes[folder] = storage.sizes(folder)
        listed = self._sizes[folder].get(storage.name(url))
        return storage.size(url) if listed is None else listed


class RemoteShard:
    """A shard in a store. It is not opened by itself, but by `RemoteShards`.

    Attributes:
        prefix: URL without suffix.
        dtype: Dtype of the ids.
        tokens_total: Number of tokens.
    """

    def __init__(
        self,
        prefix: str,
        dtype: np.dtype[Any],
        reader: BlockReader,
        file: RemoteFile,
        index_bytes: int,
    ) -> None:
        self.prefix, self.dtype = prefix, dtype
        self.tokens_total = file.size // dtype.itemsize
        self._reader, self._file, self._index_bytes = reader, file, index_bytes

    @functools.cached_property
    def document_offsets(self) -> npt.NDArray[np.int64]:
        """First token of each document, and the end: int64 [documents + 1].

        Raises:
            IntegrityError: The index is damaged, or that of another shard.
        """
        where = f"{self.prefix}.idx"
        data = np.frombuffer(fetch(where, 0, self._index_bytes), np.uint8)
        index = ShardIndex(data, where=where)
        require_payload(index, self._file.size, where=self._file.url)
        return index.document_offsets

    def read(self, offset: int, length: int) -> Tokens:
        """Return tokens [offset, offset + length), or up to the end."""
        row = np.empty(max(min(length, self.tokens_total - offset), 0), self.dtype)
        if row.size:
            self._reader.read_into(self._file, offset * self.dtype.itemsize, _bytes(row))
        return row

    def gather(self, offsets: npt.NDArray[np.int64], length: int) -> Tokens:
        """Return one row of `length` tokens for each offset, all inside: [offsets, length]."""
        rows = np.empty((len(offsets), length), self.dtype)
        size, width = self.dtype.itemsize, length * self.dtype.itemsize
        whole = _bytes(rows)
        for number, offset in enumerate(offsets.tolist()):
            row = whole[number * width : (number + 1) * width]
            self._reader.read_into(self._file, offset * size, row)
        return rows

    def expect(self, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> None:
        """Have tokens [start, end) of each pair fetched ahead."""
        size, block = self.dtype.itemsize, self._file.block
        first = (starts * size // block).tolist()
        last = ((ends * size - 1) // block).tolist()
        pairs = zip(first, last, strict=True)
        self._reader.expect(self._file, dict.fromkeys(n for a, b in pairs for n in range(a, b + 1)))


def _bytes(rows: Tokens) -> memoryview:
    return memoryview(rows.reshape(-1).view(np.uint8).data)


def default_folder() -> str:
    """Return where blocks are kept when no folder is named: the user's folder for caches."""
    folder = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return f"{folder}/corpusmill/shards"

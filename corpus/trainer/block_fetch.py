"""Parts of remote files through the cache: what is not there is fetched, by threads, ahead.

A block is a stretch of a file, fetched by one range request. Which blocks are needed next is known
long before, because the order is a function of the position: `expect` has them fetched meanwhile.
A block that could not be fetched is tried again with growing pauses, and then is an error where it
is read.

In: URLs and places in them. Out: bytes, the same as from the file itself.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

from corpus import storage
from corpus.errors import InputError, IntegrityError, StageError
from corpus.trainer.block_cache import BlockCache

log = logging.getLogger(__name__)

THREADS = 32  # requests at once: 30 ms each, a thousand blocks a second
PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds before the second, third, ... attempt


@dataclass(frozen=True)
class RemoteFile:
    """A file in a store.

    Attributes:
        url: Where it is.
        size: Its bytes.
        block: Bytes of a block.
        sha256: Its digest, compared when all of its blocks are in the cache; "": it is not.
    """

    url: str
    size: int
    block: int
    sha256: str = ""

    @cached_property
    def key(self) -> str:
        """What tells its blocks from those of another file, or of what it was before."""
        text = f"{self.url}\n{self.size}\n{self.block}\n{self.sha256}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @cached_property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.size // self.block)

    def block_size(self, number: int) -> int:
        """Return the bytes of a block; the last one is what is left."""
        return min(self.block, self.size - number * self.block)


class BlockReader:
    """Reads remote files through a cache.

    Args:
        cache: Where blocks are kept.
        most_ahead: The most blocks that are fetched ahead at a time.

    Attributes:
        fetched: Blocks that this process has fetched.
    """

    def __init__(self, cache: BlockCache, *, most_ahead: int) -> None:
        self.cache, self.most_ahead = cache, most_ahead
        self.fetched = 0
        self._lock = threading.Lock()
        self._flying: dict[tuple[str, int], Future[bytes]] = {}
        self._differs: IntegrityError | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._process = os.getpid()

    def __reduce__(self) -> tuple[object, ...]:
        return _reader, (self.cache, self.most_ahead)

    def expect(self, file: RemoteFile, numbers: Iterable[int]) -> None:
        """Have blocks fetched that are going to be read, as far as there is room for them."""
        self._renew()
        for number in self.cache.missing(file.key, numbers):
            if len(self._flying) >= self.most_ahead:
                return
            self._fetching(file, number)

    def read_into(self, file: RemoteFile, start: int, out: memoryview) -> None:
        """Fill `out` with the bytes of a file from `start` on.

        Raises:
            InputError: The store does not give them.
            IntegrityError: The file is not the one that is named.
            OutputError: The cache cannot be written.
        """
        while len(out):
            number, at = divmod(start, file.block)
            size = file.block_size(number)
            part = out[: size - at]
            if not self.cache.read_into(file.key, number, size, at, part):
                part[:] = self._fetching(file, number).result()[at : at + len(part)]
            out, start = out[len(part) :], start + len(part)
        if self._differs is not None:
            raise self._differs

    def _renew(self) -> None:
        """Begin anew in a process that was forked: threads do not come along, held locks do."""
        if self._process != os.getpid():
            self._process, self._pool, self._flying = os.getpid(), None, {}
            self._lock = threading.Lock()

    def _fetching(self, file: RemoteFile, number: int) -> Future[bytes]:
        self._renew()
        place = (file.key, number)
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="blocks")
            future = self._flying.get(place)
            if future is None:
                future = self._flying[place] = self._pool.submit(self._fetch, file, number)
        return future

    def _fetch(self, file: RemoteFile, number: int) -> bytes:
        try:
            size = file.block_size(number)
            data = bytearray(size)
            # Another process, or an earlier request of this one, may have fetched it meanwhile.
            if self.cache.read_into(file.key, number, size, 0, memoryview(data)):
                return bytes(data)
            fetched = fetch(file.url, number * file.block, size)
            with self._lock:
                self.fetched += 1
            self.cache.put(file.key, number, fetched)
            self._verify_when_whole(file)
            return fetched
        finally:
            with self._lock:
                self._flying.pop((file.key, number), None)

    def _verify_when_whole(self, file: RemoteFile) -> None:
        """Compare a file with its digest when all of its blocks are there."""
        if not file.sha256 or self.cache.count(file.key) < file.blocks:
            return
        digest = hashlib.sha256()
        for each in range(file.blocks):
            data = bytearray(file.block_size(each))
            if not self.cache.read_into(file.key, each, len(data), 0, memoryview(data)):
                return  # another process needed the room
            digest.update(data)
        if digest.hexdigest() != file.sha256:
            self._differs = IntegrityError(
                "the token shard is not the one that the mixture was made from",
                where=file.url,
                why=f"Its SHA-256 is {digest.hexdigest()}, and should be {file.sha256}",
                fix="Copy the build to the store again, and run corpus check on the copy",
            )
            self.cache.remove(file.key)


def _reader(cache: BlockCache, most_ahead: int) -> BlockReader:
    return BlockReader(cache, most_ahead=most_ahead)


def fetch(url: str, start: int, size: int) -> bytes:
    """Return bytes of a remote file, in one request, repeated where it fails.

    Raises:
        InputError: It is not there, or every attempt has failed.
        IntegrityError: It is shorter than it should be.
    """
    error: StageError
    for pause in (*PAUSES, None):
        try:
            data = storage.read_range(url, start, start + size)
        except InputError as caught:
            if isinstance(caught.__cause__, FileNotFoundError):
                raise
            error = caught
        else:
            if len(data) == size:
                return data
            error = IntegrityError(
                f"the store gave {len(data):,} of {size:,} bytes from byte {start:,} on",
                where=url,
                why="The file was changed or cut since the mixture was opened, or the connection "
                "broke",
                fix="Copy the build to the store again, or run the command again",
            )
        if pause is not None:
            log.warning("%s; trying again in %s s", error, pause)
            time.sleep(pause)
    error.add_note(f"{len(PAUSES) + 1} attempts were made in {sum(PAUSES):.0f} s.")
    raise error

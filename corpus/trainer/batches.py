"""The loader: positions of the mix in, batches of token ids out, read ahead by one thread.

numpy and memory maps only, so that it serves any trainer::

    with Batches(MixtureSequences.open("mix/mixture.json"), batch_sequences=512) as batches:
        for batch in batches:          # [512, sequence_length + 1], little more than a copy
            inputs, targets = batch[:, :-1], batch[:, 1:]

The order is the mixture's and a function of the position alone (GPT-3 Appendix B: "sampled without
replacement during training (until an epoch boundary is reached)"), so the whole state is one
integer. Global batch n holds positions [n*B, (n+1)*B), and each rank takes its share of it in the
order of the ranks: any number of ranks sees the same batches.

One thread is enough: it reads hundreds of millions of tokens a second, a GPU takes half a million.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from corpus.errors import InputError

POLL_SECONDS = 0.05  # how soon the thread notices that it is to stop while its queue is full


class Sequences(Protocol):
    """What the loader reads from: an endless row of sequences that can be read at any position."""

    @property
    def digest(self) -> str:
        """What tells this order of sequences from any other."""

    def read(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        """Return token ids [len(positions), sequence_length + 1]."""


@runtime_checkable
class FetchedSequences(Sequences, Protocol):
    """Sequences that lie elsewhere, and are fetched sooner when it is known which come next.

    Attributes:
        look_ahead: Positions, from the one that is read on, that are worth being told.
    """

    look_ahead: int

    def expect(self, positions: NDArray[np.int64]) -> None:
        """Begin to fetch the sequences at these positions."""


class Batches(Iterator[NDArray[Any]]):
    """Batches of a mix, from any position, for one rank of any number.

    Args:
        sequences: Where they come from.
        batch_sequences: Sequences of a global batch, over all ranks.
        position: Sequences that have been trained on already, over all ranks.
        rank: Which share of each batch to return.
        world_size: Number of shares; divides `batch_sequences`.
        prefetch: Batches read ahead.

    Attributes:
        data_wait: Seconds that the last `next()` was blocked.

    Raises:
        InputError: A batch cannot be shared evenly.
    """

    def __init__(
        self,
        sequences: Sequences,
        *,
        batch_sequences: int,
        position: int = 0,
        rank: int = 0,
        world_size: int = 1,
        prefetch: int = 4,
    ) -> None:
        if batch_sequences % world_size:
            raise InputError(
                f"a batch of {batch_sequences} sequences cannot be shared by {world_size} ranks",
                where="batch_sequences",
                fix=f"Make it a multiple of {world_size}",
            )
        if not 0 <= rank < world_size:
            raise ValueError(f"rank {rank} of {world_size}")
        self.data_wait = 0.0
        self._sequences = sequences
        self._batch = batch_sequences
        self._share = batch_sequences // world_size
        self._rank = rank
        self._prefetch = prefetch
        self._position = position
        self._reader: _Reader | None = None

    def __next__(self) -> NDArray[Any]:
        """Return the next batch [batch_sequences / world_size, sequence_length + 1].

        Raises:
            Exception: Whatever reading raised in the thread.
        """
        if self._reader is None:
            first = self._position + self._rank * self._share
            self._reader = _Reader(self._sequences, first, self._share, self._batch, self._prefetch)
        start = time.perf_counter()
        batch = self._reader.get()
        self.data_wait = time.perf_counter() - start
        self._position += self._batch
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Return the state: the position behind the last batch that was returned, and of what."""
        return {"position": self._position, "mixture": self._sequences.digest}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state, with any number of ranks and any batch size.

        Raises:
            InputError: The state is of another mixture.
        """
        if state["mixture"] != self._sequences.digest:
            raise InputError(
                "the run was started on another mixture",
                where="mixture",
                why=f"The digest was {state['mixture']} and is now {self._sequences.digest}",
                fix="Name the mixture of the first start, or choose another output folder",
            )
        self.close()
        self._position = int(state["position"])

    def close(self) -> None:
        """Stop the thread; batches read ahead but not returned are read again when asked for."""
        if self._reader is not None:
            self._reader.stop()
            self._reader = None

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Reader:
    """The thread that reads ahead, and the queue between it and the loader."""

    def __init__(
        self, sequences: Sequences, first: int, count: int, stride: int, prefetch: int
    ) -> None:
        self._queue: queue.Queue[NDArray[Any] | BaseException] = queue.Queue(maxsize=prefetch)
        self._stopping = threading.Event()
        # A daemon: an interpreter that exits without close() must not wait for it.
        self._thread = threading.Thread(
            target=self._run, args=(sequences, first, count, stride), name="batches", daemon=True
        )
        self._thread.start()

    def _run(self, sequences: Sequences, first: int, count: int, stride: int) -> None:
        offsets = np.arange(count, dtype=np.int64)
        expecting = sequences if isinstance(sequences, FetchedSequences) else None
        ahead = -(-expecting.look_ahead // count) * stride if expecting else 0
        expected = first + stride  # reading tells what is read
        while not self._stopping.is_set():
            try:
                while expecting and expected < first + ahead:
                    expecting.expect(expected + offsets)
                    expected += stride
                item: NDArray[Any] | BaseException = sequences.read(first + offsets)
            except BaseException as error:  # noqa: BLE001 - raised again where the batch is asked for
                item = error
            self._put(item)
            if isinstance(item, BaseException):
                return
            first += stride

    def _put(self, item: NDArray[Any] | BaseException) -> None:
        while not self._stopping.is_set():
            try:
                self._queue.put(item, timeout=POLL_SECONDS)
            except queue.Full:
                continue
            return

    def get(self) -> NDArray[Any]:
        item = self._queue.get()
        if isinstance(item, BaseException):
            # It stays in the queue: asking again raises again instead of waiting for ever.
            self._queue.put(item)
            raise item
        return item

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

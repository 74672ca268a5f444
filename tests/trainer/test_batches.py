"""The loader: the same order for any number of ranks, from any position, read ahead."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from corpus.errors import InputError
from corpus.trainer.batches import Batches


class Counted:
    """Sequences whose tokens are their position, and which tells what was read."""

    def __init__(self, *, seconds: float = 0.0, digest: str = "a", broken_at: int = -1) -> None:
        self.digest = digest
        self.seconds = seconds
        self.broken_at = broken_at
        self.batches_read = 0

    def read(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        time.sleep(self.seconds)
        if self.broken_at in positions:
            raise InputError("the shard is gone", where="wikipedia/part-0.bin")
        self.batches_read += 1
        return np.repeat(positions[:, None], 3, axis=1)


def take(batches: Batches, count: int) -> list[list[int]]:
    with batches:
        return [next(batches)[:, 0].tolist() for _ in range(count)]


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_ranks_together_see_the_same_batches_in_the_same_order(world_size: int) -> None:
    ranks = [
        take(Batches(Counted(), batch_sequences=8, rank=rank, world_size=world_size), 5)
        for rank in range(world_size)
    ]

    together = [[position for rank in ranks for position in rank[n]] for n in range(5)]

    assert together == [list(range(8 * n, 8 * n + 8)) for n in range(5)]


def ramped(position: int) -> int:
    """4 sequences a batch up to position 12, and 8 from there on."""
    return 4 if position < 12 else 8


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_batches_grow_alike_for_any_number_of_ranks_and_from_any_position(world_size: int) -> None:
    ranks = [
        take(Batches(Counted(), batch_sequences=ramped, rank=rank, world_size=world_size), 5)
        for rank in range(world_size)
    ]
    later = Batches(Counted(), batch_sequences=ramped)
    later.load_state_dict({"position": 8, "mixture": "a"})

    together = [[position for rank in ranks for position in rank[n]] for n in range(5)]

    assert [len(batch) for batch in together] == [4, 4, 4, 8, 8]
    assert [position for batch in together for position in batch] == list(range(28))
    assert take(later, 3) == together[2:]
    assert later.state_dict()["position"] == 28


def test_a_growing_batch_that_cannot_be_shared_is_refused_when_it_comes() -> None:
    with Batches(Counted(), batch_sequences=lambda p: 4 if p < 4 else 5, world_size=2) as batches:
        next(batches)
        with pytest.raises(InputError, match="5 sequences cannot be shared by 2 ranks"):
            next(batches)


def test_a_batch_that_cannot_be_shared_evenly_is_refused() -> None:
    with pytest.raises(InputError, match="8 sequences cannot be shared by 3 ranks"):
        Batches(Counted(), batch_sequences=8, rank=0, world_size=3)


def test_a_state_goes_on_behind_the_last_batch_returned_not_the_last_one_read() -> None:
    with Batches(Counted(), batch_sequences=4, prefetch=8) as first:
        for _ in range(3):
            next(first)
        state = first.state_dict()
    second = Batches(Counted(), batch_sequences=4)
    second.load_state_dict(state)

    assert take(second, 2) == [[12, 13, 14, 15], [16, 17, 18, 19]]


def test_a_state_goes_on_with_other_ranks_and_another_batch() -> None:
    batches = Batches(Counted(), batch_sequences=6, rank=1, world_size=2)
    batches.load_state_dict({"position": 20, "mixture": "a"})

    assert take(batches, 2) == [[23, 24, 25], [29, 30, 31]]


def test_a_state_can_be_loaded_while_batches_are_being_read() -> None:
    with Batches(Counted(), batch_sequences=2) as batches:
        next(batches)
        batches.load_state_dict({"position": 100, "mixture": "a"})

        assert next(batches)[:, 0].tolist() == [100, 101]


def test_a_state_of_another_mixture_is_refused() -> None:
    batches = Batches(Counted(digest="b"), batch_sequences=2)

    with pytest.raises(InputError, match="another mixture"):
        batches.load_state_dict({"position": 0, "mixture": "a"})


def test_batches_are_read_ahead_as_far_as_asked_and_no_further() -> None:
    source = Counted()
    with Batches(source, batch_sequences=2, prefetch=3) as batches:
        next(batches)
        deadline = time.monotonic() + 5
        while source.batches_read < 5 and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(0.05)

        # One returned, three in the queue, one in the hands of the thread.
        assert source.batches_read == 5


def test_waiting_for_a_slow_source_is_measured_and_a_fast_one_costs_nothing() -> None:
    """The negative control of the measure: 50 ms of delay have to show."""
    with Batches(Counted(seconds=0.05), batch_sequences=2) as slow:
        next(slow)
        next(slow)
        assert slow.data_wait > 0.03
    with Batches(Counted(), batch_sequences=2) as fast:
        next(fast)
        time.sleep(0.1)  # what a training step takes
        next(fast)
        assert fast.data_wait < 0.03


def test_an_error_while_reading_ahead_is_raised_where_its_batch_is_asked_for() -> None:
    with Batches(Counted(broken_at=5), batch_sequences=2) as batches:
        assert next(batches)[0, 0] == 0
        assert next(batches)[0, 0] == 2
        for _ in range(2):  # and again, instead of waiting for a thread that is gone
            with pytest.raises(InputError, match="the shard is gone"):
                next(batches)


def test_closing_stops_the_thread_even_when_nobody_reads() -> None:
    before = threading.active_count()
    batches = Batches(Counted(), batch_sequences=2, prefetch=1)
    next(batches)
    assert threading.active_count() == before + 1

    batches.close()

    assert threading.active_count() == before

"""Who a process is: torchrun's environment, its device, and what is wrong with either."""

from __future__ import annotations

import os

import pytest
import torch

from corpus.errors import RecipeError, StageError
from corpus.trainer.device import choose_device
from corpus.trainer.world import World, joined, place

WHOLE = {
    "RANK": "3",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
}


def test_a_place_is_what_torchrun_says_or_that_of_one_process() -> None:
    assert place(WHOLE) == (3, 8, 1)
    assert place({"PATH": "/bin", "MASTER_ADDR": "elsewhere"}) == (0, 1, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"RANK": ""}, "RANK not set, and the others are"),
        ({"MASTER_ADDR": "", "MASTER_PORT": ""}, "MASTER_ADDR and MASTER_PORT not set"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE is 'two', and not a number"),
        ({"RANK": "8"}, "RANK is 8, LOCAL_RANK 1 and WORLD_SIZE 8"),
        ({"RANK": "-1"}, "RANK is -1"),
        ({"LOCAL_RANK": "4"}, "LOCAL_RANK 4"),
    ],
)
def test_a_broken_environment_is_refused(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], message: str
) -> None:
    for name, value in (WHOLE | changes).items():
        monkeypatch.setenv(name, value)

    with pytest.raises(RecipeError, match=message) as caught, joined("cpu"):
        pytest.fail("joined")

    assert "torchrun --nproc-per-node" in str(caught.value)


def test_processes_that_do_not_come_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens at the port: a second process of two that was started alone."""
    for name, value in {**WHOLE, "RANK": "1", "WORLD_SIZE": "2", "MASTER_PORT": "9"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("corpus.trainer.world._ARRIVAL", __import__("datetime").timedelta(0, 1))

    with (
        pytest.raises(StageError, match="process 1 of 2 does not reach the others"),
        joined("cpu"),
    ):
        pytest.fail("joined")

    assert not torch.distributed.is_initialized()


def test_each_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)

    assert choose_device("auto", 1) == torch.device("cuda", 1)
    assert choose_device("cpu", 5) == torch.device("cpu")
    with pytest.raises(RecipeError, match="process 2 of this machine has no GPU of its own"):
        choose_device("auto", 2)


def test_one_process_agrees_with_itself_and_starts_nothing() -> None:
    assert "RANK" not in os.environ
    with joined("cpu") as world:
        world.agree(7, "checkpoint")
        world.wait()
        assert (world.rank, world.size, world.leads) == (0, 1, True)
        assert world.mean(torch.tensor([2.0])).tolist() == [2.0]
        assert not torch.distributed.is_initialized()


def test_processes_that_see_different_folders_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def others(self: World, values: torch.Tensor) -> torch.Tensor:
        return torch.maximum(values, torch.tensor([0, 0]))  # another process has 0

    monkeypatch.setattr(World, "greatest", others)

    with pytest.raises(StageError, match="do not have the same checkpoint: 0 to 6"):
        World(1, 2, torch.device("cpu")).agree(6, "checkpoint")


def test_waiting_reads_what_the_others_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU a sum that nobody reads is waited for by nobody."""

    class Unread:
        read = 0

        def item(self) -> float:
            Unread.read += 1
            return 0.0

    monkeypatch.setattr(World, "total", lambda *_: Unread())

    World(1, 2, torch.device("cpu")).wait()

    assert Unread.read == 1

"""The processes of one run: who they are, and what they tell each other.

torchrun starts a process for each GPU and says in the environment who each one is (`RANK`,
`LOCAL_RANK`, `WORLD_SIZE`, `MASTER_ADDR`, `MASTER_PORT`); a Ray actor does the same
(corpus.trainer.ray_launch). Without any of it a run is one process. NCCL between GPUs, Gloo
between CPUs.

Rank 0 leads: it alone prints and writes.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from corpus.errors import RecipeError, StageError
from corpus.trainer.device import choose_device

_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
# Longer than rank 0 takes to write a checkpoint, for which the others wait.
_PATIENCE = datetime.timedelta(minutes=30)
_ARRIVAL = datetime.timedelta(minutes=5)  # between the first process and the last one


@dataclass(frozen=True, slots=True)
class World:
    """This process among those of the run.

    Attributes:
        rank: Its number.
        size: How many there are.
        device: What it computes on.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this is the process that prints and writes."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """Return the sum over all processes, elementwise, as each of them has it."""
        return self._reduced(values, dist.ReduceOp.SUM)

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over all processes, elementwise."""
        return self.total(values) / self.size

    def greatest(self, values: Tensor) -> Tensor:
        """Return the greatest over all processes, elementwise."""
        return self._reduced(values, dist.ReduceOp.MAX)

    def _reduced(self, values: Tensor, operation: dist.ReduceOp.RedOpType) -> Tensor:
        if self.size == 1:
            return values
        result = values.detach().to(self.device, copy=True)
        dist.all_reduce(result, op=operation)
        return result

    def agree(self, value: int, what: str) -> None:
        """Check that every process has the same value.

        Raises:
            StageError: They have not.
        """
        values = torch.tensor([value, -value])
        highest, lowest = self.greatest(values).tolist()
        if highest != -lowest:
            raise StageError(
                f"the processes do not have the same {what}: {-lowest} to {highest}",
                why="They have to see the same recipe, mixture and output folder",
                fix="Put all of them on storage that every machine shares",
            )

    def wait(self) -> None:
        """Wait until every process has come here."""
        if self.size > 1:
            self.total(
                torch.zeros(1)
            ).item()  # read, for a GPU's sum is only begun by asking for it


def place(environment: Mapping[str, str]) -> tuple[int, int, int]:
    """Return rank, world size and local rank as torchrun has set them; 0, 1, 0 without it.

    Raises:
        RecipeError: Some of them are set and not all, or they make no sense.
    """
    if "RANK" not in environment and "WORLD_SIZE" not in environment:
        return 0, 1, 0
    missing = [name for name in _VARIABLES if not environment.get(name)]
    if missing:
        raise _not_a_place(f"{' and '.join(missing)} not set, and the others are")
    numbers = {}
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT"):
        try:
            numbers[name] = int(environment[name])
        except ValueError:
            raise _not_a_place(f"{name} is {environment[name]!r}, and not a number") from None
    rank, size, local = numbers["RANK"], numbers["WORLD_SIZE"], numbers["LOCAL_RANK"]
    if not (0 <= rank < size and 0 <= local <= rank):
        raise _not_a_place(f"RANK is {rank}, LOCAL_RANK {local} and WORLD_SIZE {size}")
    return rank, size, local


def _not_a_place(why: str) -> RecipeError:
    return RecipeError(
        "the environment does not say which process of a run this is",
        where="RANK",
        why=why,
        fix="Start it by torchrun --nproc-per-node N -m corpus train, or unset "
        + ", ".join(_VARIABLES),
    )


@contextlib.contextmanager
def joined(device: str) -> Iterator[World]:
    """Yield this process's place among those of the run, with which it can speak meanwhile.

    Raises:
        RecipeError: The environment or the device is wrong.
        StageError: The other processes do not come.
    """
    rank, size, local_rank = place(os.environ)
    world = World(rank, size, choose_device(device, local_rank))
    if size == 1:
        yield world
        return
    on_gpu = world.device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(local_rank)
    try:
        dist.init_process_group("nccl" if on_gpu else "gloo", timeout=_ARRIVAL)
        # The first collective tells whether they reach each other.
        world.wait()
        dist.distributed_c10d._set_pg_timeout(_PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise StageError(
            f"process {rank} of {size} does not reach the others",
            where=f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}",
            why=str(error).strip().splitlines()[0],
            fix="Start all of them, and let MASTER_ADDR and MASTER_PORT be reached from each",
        ) from error
    try:
        yield world
    finally:
        dist.destroy_process_group()

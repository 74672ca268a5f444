"""The processes of one run: who they are, and what they tell each other.

torchrun starts a process for each GPU and says in the environment who each one is (`RANK`,
`LOCAL_RANK`, `WORLD_SIZE`, `MASTER_ADDR`, `MASTER_PORT`); a Ray actor does the same
(corpus.trainer.ray_launch). Without any of it a run is one process. NCCL between GPUs, Gloo
between CPUs.

Rank 0 leads: it alone prints and writes. An error of any process ends all of them, and one of
them says it: what a file has done to one is told to the others (`World.together`), and who has
lost the others without a word says that (`joined`).
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

from corpus.errors import CorpusError, RecipeError, StageError
from corpus.trainer.device import choose_device

_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
# Longer than rank 0 takes to compare the digests of a checkpoint, for which the others wait.
_PATIENCE = datetime.timedelta(minutes=30)
_SAID = "corpus/said"  # key of the store: a process that fails on its own has said why
_ARRIVAL = datetime.timedelta(minutes=5)  # between the first process and the last one


class SaidElsewhereError(StageError):
    """The error of a run that another process says; nothing is left to print for this one."""


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

    def told(self, value: int) -> int:
        """Return the value that the process that leads has; those of the others are void."""
        lowest = torch.iinfo(torch.int64).min
        return int(self.greatest(torch.tensor([value if self.leads else lowest])))

    def wait(self) -> None:
        """Wait until every process has come here."""
        if self.size > 1:
            self.total(
                torch.zeros(1)
            ).item()  # read, for a GPU's sum is only begun by asking for it

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Let an error of one process in this block, which all of them enter, end it in all.

        Within it a process must not wait for one that may have left it by an error.

        Raises:
            CorpusError: That of the first process that has one, where this process is to say it.
            SaidElsewhereError: The same, where another process says it.
        """
        if self.size == 1:
            yield
            return
        error: CorpusError | None = None
        try:
            yield
        except CorpusError as raised:
            error = raised
        except Exception as raised:  # noqa: BLE001 - the others are not to wait for it
            error = StageError(
                f"process {self.rank} has failed",
                why=f"{type(raised).__name__}: {raised}",
                fix="This is a defect of the program; run with --debug to see where",
            )
            error.__cause__ = raised
        if not self.greatest(torch.tensor([0 if error is None else 1])).item():
            return
        errors: list[CorpusError | None] = [None] * self.size
        dist.all_gather_object(errors, error)
        if error is not None and not any(errors[: self.rank]):
            raise error
        first = next(other for other in errors if other is not None)
        raise said_elsewhere(first) from error


ALONE = World(0, 1, torch.device("cpu"))  # of what is done by one process


def said_elsewhere(error: CorpusError) -> SaidElsewhereError:
    """Return an error as that of a process that is not to say it; with its text and exit code."""
    silent = SaidElsewhereError(error.what, where=error.where, why=error.why, fix=error.fix)
    silent.exit_code = error.exit_code
    return silent


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
        StageError: The other processes do not come, or one of them is lost.
        SaidElsewhereError: One of them is lost, and has said why.
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
    # Reached even when a collective cannot be: it is of torchrun, or of process 0.
    store = dist.distributed_c10d._get_default_store()
    try:
        yield world
    except Exception as error:
        if _is_of_others(error):
            raise _lost(store) from error
        with contextlib.suppress(RuntimeError):
            store.set(_SAID, "")
        raise
    finally:
        dist.destroy_process_group()


def _is_of_others(error: Exception) -> bool:
    """Say whether torch raised an error because another process does not answer."""
    if isinstance(error, dist.DistError):
        return True
    return isinstance(error, RuntimeError) and "gloo/transport" in str(error)


def _lost(store: torch._C._distributed_c10d.Store) -> StageError:
    error = StageError(
        "another process of the run was lost",
        why="It has ended without a word: it was killed, or its machine ran out of memory",
        fix="Run the same command again: it goes on from the last checkpoint",
    )
    with contextlib.suppress(RuntimeError):
        if store.check([_SAID]):
            return said_elsewhere(error)
    return error

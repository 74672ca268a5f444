"""What an engine is, and which one a name means.

An engine has one method that does work, `map`: a module-level function over small tasks (paths and
settings, never documents), with the results in the order of the tasks. Where the tasks run on
several machines, `host` keeps an object that all of them call.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from corpus.engine.local import LocalEngine
from corpus.engine.ray_cluster import Hosted, RayEngine
from corpus.errors import RecipeError

T = TypeVar("T")
R = TypeVar("R")


class Engine(Protocol):
    """Something that can run tasks."""

    def map(self, function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        """Yield `function(task)` for each task, in the order of the tasks.

        Raises:
            CorpusError: What a task raised, or `StageError` when workers kept dying.
        """
        ...

    def host(self, name: str, service: object) -> Hosted | None:
        """Keep an object on the machine that leads the run, for the tasks of all machines to call.

        Args:
            name: Of the object, for this run.
            service: A few numbers and paths, with methods that are quick; it pickles, and begins
                again from what was given here if it is lost.

        Returns:
            What the tasks call, or None when all run on this machine and can share its files.
        """
        ...

    def close(self) -> None:
        """Give back processes; the engine may be used again afterwards."""
        ...


def make_engine(kind: str, workers: int | None) -> Engine:
    """Return the engine of that name: "ray" or "local".

    Args:
        kind: Which engine.
        workers: Tasks at a time; None for one a CPU; 0 (local only) for this process.

    Raises:
        RecipeError: Another name, or a number of workers that makes no sense.
    """
    count = len(os.sched_getaffinity(0)) if workers is None else workers
    if count < 0 or (count == 0 and kind == "ray"):
        raise RecipeError(
            f"{count} workers cannot run anything",
            where="--workers",
            fix="Give 1 or more, or 0 with --engine local to run in this process",
        )
    if kind == "local":
        return LocalEngine(count)
    if kind == "ray":
        return RayEngine(count)
    raise RecipeError(f"there is no engine {kind!r}", where="--engine", fix="Use ray or local")

"""The meter of a build: it hears what every task has cost, and keeps sums of each step.

The sums are those of a linear regression, so that a build of millions of tasks leaves a few
numbers: tasks, weight, processor time, and their squares and products.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from corpus.manifest import Shard
from corpus.metering.usage import Spending, processor_seconds
from corpus.progress import Progress

_LEAST_SECONDS = 1.0  # of work, for what else goes on in a machine to be told from it


@dataclass(slots=True)
class Sums:
    """What the tasks of one step and source have cost, added up.

    Attributes:
        tasks: How many.
        firsts: How many of them were the first in their process.
        weight: Of all.
        weight_squares: Sum of their squares.
        weight_firsts: Weight of the first ones.
        cpu: Seconds of processor time.
        cpu_squares: Sum of their squares.
        cpu_weight: Sum of products with the weight.
        cpu_firsts: Seconds of the first ones.
        wall: Seconds.
        memory: The most bytes of any.
        all_tasks: How many the build has, those that were done before among them.
        all_weight: Their weight.
        all_written: Bytes of their files.
    """

    tasks: int = 0
    firsts: int = 0
    weight: float = 0.0
    weight_squares: float = 0.0
    weight_firsts: float = 0.0
    cpu: float = 0.0
    cpu_squares: float = 0.0
    cpu_weight: float = 0.0
    cpu_firsts: float = 0.0
    wall: float = 0.0
    memory: int = 0
    all_tasks: int = 0
    all_weight: float = 0.0
    all_written: int = 0

    def add(self, spending: Spending) -> None:
        """Add a task."""
        usage, weight = spending.usage, float(spending.weight)
        self.all_tasks += 1
        self.all_weight += weight
        self.all_written += spending.written
        if usage is None:
            return
        self.tasks += 1
        self.firsts += usage.first
        self.weight += weight
        self.weight_squares += weight * weight
        self.weight_firsts += weight * usage.first
        self.cpu += usage.cpu
        self.cpu_squares += usage.cpu * usage.cpu
        self.cpu_weight += usage.cpu * weight
        self.cpu_firsts += usage.cpu * usage.first
        self.wall += usage.wall
        self.memory = max(self.memory, usage.memory)

    def join(self, other: Sums) -> None:
        """Add the tasks of a later build of the same; how many there are is what that one says."""
        for name, value in asdict(other).items():
            mine = getattr(self, name)
            if name.startswith("all_"):
                setattr(self, name, value)
            else:
                setattr(self, name, max(mine, value) if name == "memory" else mine + value)


Key = tuple[str, str, bool]  # step, source, whether its files go when the stage is complete


class Meter:
    """A progress that hears what tasks have cost, and passes all else on.

    Args:
        progress: Who is told what a person sees.
        output: The build's output folder: what is not right below it goes with its stage.

    Attributes:
        steps: What the tasks of each step have cost.
        stages: Seconds of each stage that has ended.
        leading: When the build has ended: seconds of processor time of this process, without those
            of tasks that it ran itself.
    """

    def __init__(self, progress: Progress, output: str) -> None:
        self._progress = progress
        self._output = output.rstrip("/")
        self._began = 0.0
        self._cpu = processor_seconds()
        self._inside = self.leading = 0.0
        self.steps: dict[Key, Sums] = {}
        self.stages: dict[str, float] = {}

    def spent(self, spending: Spending) -> None:
        """See `Progress.spent`."""
        parent, _, _ = spending.folder.rpartition("/")
        key = (spending.step, spending.source, parent.rstrip("/") != self._output)
        self.steps.setdefault(key, Sums()).add(spending)
        if spending.usage is not None and spending.usage.process == os.getpid():
            self._inside += spending.usage.cpu
        self._progress.spent(spending)

    def slowdown(self, workers: int) -> float:
        """Return how many times as long the build took as on cores that do nothing else.

        Args:
            workers: Tasks at a time.
        """
        ideal = self.leading
        for sums in self.steps.values():
            ideal += sums.cpu / max(1, min(workers, sums.tasks))
        taken = sum(self.stages.values())
        return max(1.0, taken / ideal) if ideal >= _LEAST_SECONDS else 1.0

    def begin(self) -> None:
        """See `Progress.begin`."""
        self._began = time.monotonic()
        self._progress.begin()

    def start(self, stage: str, *, total: int, reused: int, shards: int) -> None:
        """See `Progress.start`."""
        self._progress.start(stage, total=total, reused=reused, shards=shards)

    def watch(self, status: Callable[[], str]) -> None:
        """See `Progress.watch`."""
        self._progress.watch(status)

    def advance(self, shard: Shard | None, weight: int) -> None:
        """See `Progress.advance`."""
        self._progress.advance(shard, weight)

    def end(self, line: str) -> None:
        """See `Progress.end`."""
        self.stages[line.partition(":")[0]] = time.monotonic() - self._began
        self._progress.end(line)

    def close(self) -> None:
        """See `Progress.close`."""
        self.leading = max(0.0, processor_seconds() - self._cpu - self._inside)
        self._progress.close()


def plain(steps: Mapping[Key, Sums]) -> list[dict[str, Any]]:
    """Return sums as plain JSON."""
    return [
        {"step": step, "source": source, "temporary": temporary, **asdict(sums)}
        for (step, source, temporary), sums in sorted(steps.items())
    ]


def from_plain(values: list[dict[str, Any]]) -> dict[Key, Sums]:
    """Return what `plain` made plain."""
    found: dict[Key, Sums] = {}
    for value in values:
        rest = dict(value)
        key = (str(rest.pop("step")), str(rest.pop("source")), bool(rest.pop("temporary")))
        found[key] = Sums(**rest)
    return found

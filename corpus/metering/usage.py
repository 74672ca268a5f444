"""What one task has cost: processor time, wall time and memory, its child processes counted.

In: a function and its task. Out: what it returns, and a `Usage`. Nothing of it goes into an output
or a fingerprint: it differs from run to run.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
_KIB = 1024  # getrusage(2): ru_maxrss is in KiB on Linux

_seen: set[tuple[int, str]] = set()  # functions that this process has run before


@dataclass(frozen=True, slots=True)
class Usage:
    """What one task has cost.

    Attributes:
        cpu: Seconds of processor time, of the process and of the children that it waited for.
        wall: Seconds.
        memory: The most bytes that the process has held up to the task's end, and its largest child.
        first: Whether it was the first of its kind in its process, which imports what it needs.
        process: The process's number.
    """

    cpu: float
    wall: float
    memory: int
    first: bool
    process: int


@dataclass(frozen=True, slots=True)
class Spending:
    """What one task of a build has cost and written.

    Attributes:
        step: Name of the step.
        folder: The step's folder.
        source: The source, or what stands for all of them.
        weight: How much work it was, in the unit of its stage.
        written: Bytes of its files.
        usage: Its cost; None when it was done before.
    """

    step: str
    folder: str
    source: str
    weight: int
    written: int
    usage: Usage | None


def processor_seconds() -> float:
    """Return the processor time of this process and of the children that it has waited for."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def measured(function: Callable[[T], R], task: T) -> tuple[R, Usage]:
    """Return what a function makes of a task, and what that has cost."""
    key = (os.getpid(), f"{function.__module__}.{function.__qualname__}")
    first = key not in _seen
    _seen.add(key)
    began, cpu = time.monotonic(), processor_seconds()
    result = function(task)
    spent, wall = processor_seconds() - cpu, time.monotonic() - began
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    memory = sum(resource.getrusage(kind).ru_maxrss for kind in kinds) * _KIB
    return result, Usage(spent, wall, memory, first, os.getpid())

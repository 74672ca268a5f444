"""What one task has cost: processor time, wall time and memory, its child processes counted.

In: a function and its task. Out: what it returns, and a `Usage`. Nothing of it goes into an output
or a fingerprint: it differs from run to run.
"""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
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
        memory: The most bytes that the process has held during it, with its largest child if any.
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
    return _seconds(resource.RUSAGE_SELF) + _seconds(resource.RUSAGE_CHILDREN)


def measured(function: Callable[[T], R], task: T) -> tuple[R, Usage]:
    """Return what a function makes of a task, and what that has cost."""
    key = (os.getpid(), f"{function.__module__}.{function.__qualname__}")
    first = key not in _seen
    _seen.add(key)
    _forget_peak()
    began, cpu = time.monotonic(), processor_seconds()
    children = _seconds(resource.RUSAGE_CHILDREN)
    result = function(task)
    spent, wall = processor_seconds() - cpu, time.monotonic() - began
    memory = _peak()
    if _seconds(resource.RUSAGE_CHILDREN) > children:  # an earlier task may have had larger ones
        memory += resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _KIB
    return result, Usage(spent, wall, memory, first, os.getpid())


def _seconds(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def _forget_peak() -> None:
    """Let the peak of this process's memory begin anew (proc(5): clear_refs)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Return the most bytes that this process has held since its peak was forgotten."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * _KIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB

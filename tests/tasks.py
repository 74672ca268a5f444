"""Functions for engines to run: they have to lie in a module that worker processes can import."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from corpus.errors import BoundError


def double(number: int) -> int:
    return 2 * number


def slow_first(number: int) -> int:
    """The first task ends last."""
    time.sleep(0.2 if number == 0 else 0)
    return number


def process(number: int) -> int:
    return os.getpid()


def bound(number: int) -> int:
    if number == 3:
        raise BoundError("too much", where="a/b", why="Because", fix="Less")
    return number


def divide(number: int) -> float:
    return 1 / number


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_once(path: str) -> int:
    """Die at the first try, which leaves its mark; return the number of tries at the second."""
    mark = Path(path)
    tries = len(mark.read_text()) if mark.exists() else 0
    mark.write_text("x" * (tries + 1))
    if not tries:
        os.kill(os.getpid(), signal.SIGKILL)
    return tries + 1


def wait_for_another(task: tuple[str, int]) -> int:
    """The first task ends when the seventh has run."""
    path, number = task
    if number == 6:
        Path(path).touch()
    for _ in range(200 if number == 0 else 0):
        if Path(path).exists():
            return number
        time.sleep(0.1)
    return -1 if number == 0 else number


def note_and_wait(path: str) -> None:
    """Leave this process's number and wait."""
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)

"""Results on their way home: errors that keep their class, and the order of the tasks.

What a task raises is carried as a value (`guarded`, `returned`). Results come in any order and are
given out in that of their tasks (`InOrder`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from corpus.errors import CorpusError, StageError

T = TypeVar("T")
R = TypeVar("R")


class InOrder(Generic[R]):
    """Results that come in any order, given out in the order of their tasks.

    A long task holds up what is given out, not what is worked on.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, R] = {}
        self._next = 0

    def add(self, index: int, result: R) -> None:
        """Take the result of the task with this index."""
        self._waiting[index] = result

    def ready(self) -> Iterator[R]:
        """Yield the results before which no other is missing."""
        while self._next in self._waiting:
            yield self._waiting.pop(self._next)
            self._next += 1


class Raised:
    """An exception on its way home: Ray would wrap it and lose its class and its fields."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def returned(result: R | Raised) -> R:
    """Return a result that has come home, or raise what it is."""
    if isinstance(result, Raised):
        raise result.error
    return result


def guarded(function: Callable[[T], R], task: T) -> R | Raised:
    """Return what a task returns, or what it raised; a defect of ours as one that says so."""
    try:
        return function(task)
    except CorpusError as error:
        return Raised(error)
    except Exception as error:  # noqa: BLE001 - a defect of ours: reported whole, never retried
        import traceback

        defect = StageError(
            f"{function.__name__} failed on {task!r}"[:500],
            why=f"{type(error).__name__}: {error}",
            fix="This is a defect of the program: --debug shows where, and --engine local "
            "--workers 0 runs it in this process",
        )
        defect.add_note(traceback.format_exc())  # shown with --debug
        return Raised(defect)

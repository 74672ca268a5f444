"""The engine of one machine: tasks run in this process, or in a pool of processes."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from corpus.engine.results import InOrder, Raised, guarded, returned
from corpus.errors import StageError

T = TypeVar("T")
R = TypeVar("R")


class LocalEngine:
    """Runs tasks in this process (`workers=0`, for debuggers) or in a pool of processes.

    The processes start as they are needed and stay until `close`: to import what a stage needs, and
    to load its kernels, takes seconds.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def map(self, function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        """See `Engine.map`."""
        if self.workers == 0:
            yield from map(function, tasks)
            return
        if self._pool is None:
            # Spawned, not forked: kernels and Arrow have threads, which do not survive a fork.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                self.workers, mp_context=context, initializer=_follow_parent
            )
        pool, running = self._pool, dict[Future[R | Raised], int]()
        try:
            left = iter(enumerate(tasks))
            order: InOrder[R | Raised] = InOrder()
            while True:
                for index, task in itertools.islice(left, 2 * self.workers - len(running)):
                    running[pool.submit(guarded, function, task)] = index
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    order.add(running.pop(future), future.result())
                for result in order.ready():
                    yield returned(result)
        except BrokenProcessPool as error:
            self.close()
            raise StageError(
                f"a worker process died in {function.__name__}",
                why="It was killed, or the machine ran out of memory",
                fix="Run the same command again: finished shards are kept; --workers 1 needs less "
                "memory",
            ) from error
        except Exception:
            # Those that run already: nothing is written after an error is raised.
            wait([future for future in running if not future.cancel()])
            raise
        except BaseException:
            self._abandon()
            raise

    def host(self, name: str, service: object) -> None:
        """See `Engine.host`: there is only this machine."""

    def _abandon(self) -> None:
        """End the processes at once, whatever they are doing."""
        if self._pool is not None:
            for process in multiprocessing.active_children():
                process.kill()
            self._pool.shutdown(wait=False)
            self._pool = None

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


def _follow_parent() -> None:
    """Make a worker of the pool end with its parent, even one that is killed.

    It would wait for its next task for ever, or go on writing into a folder that another build has
    locked by then. An interrupt from the keyboard ends it without a word: the parent has that.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a worker

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=watch, daemon=True).start()

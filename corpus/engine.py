"""Where tasks run: in this process, in a pool of processes, or on Ray.

An engine has one method that does work, `map`: a module-level function over small tasks (paths and
settings, never documents), with the results in the order of the tasks. Where the tasks run on
several machines, `host` keeps an object that all of them call. This is the only module that knows
Ray.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from corpus.errors import CorpusError, RecipeError, StageError

T = TypeVar("T")
R = TypeVar("R")

# Lost workers (killed, out of memory) are tried again this often; an exception is not, because
# the same input would raise it again.
RETRIES = 3
ANSWER_SECONDS = 10.0  # that the head of a cluster has to accept a connection


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


@dataclass(frozen=True)
class Hosted:
    """An object on the machine that leads the run, by name. Plain data: it travels with tasks."""

    name: str

    @property
    def there(self) -> bool:
        """Whether it can be called from this process: Ray starts with the first task."""
        import ray

        return bool(ray.is_initialized())

    def call(self, method: str, *arguments: object, **named: object) -> Any:
        """Return what a method of the object returns.

        Raises:
            CorpusError: What the method raised, or `StageError` when the object is lost for good.
        """
        import ray

        try:
            # A future, since Ray counts the CPU of a task as free while it waits for `ray.get`.
            reply = ray.get_actor(self.name).answer.remote(method, arguments, named)
            return _returned(reply.future().result())
        except (ray.exceptions.RayError, ValueError) as error:  # ValueError: no such name any more
            raise StageError(
                f"what all workers share ({self.name}) is lost",
                why=str(error).strip().splitlines()[0],
                fix="Run the same command again: finished shards are kept",
            ) from error


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
        pool, running = self._pool, dict[Future[R | _Raised], int]()
        try:
            left = iter(enumerate(tasks))
            order: _InOrder[R | _Raised] = _InOrder()
            while True:
                for index, task in itertools.islice(left, 2 * self.workers - len(running)):
                    running[pool.submit(_guarded, function, task)] = index
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    order.add(running.pop(future), future.result())
                for result in order.ready():
                    yield _returned(result)
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


class RayEngine:
    """Runs tasks on Ray: a local one, or the cluster that RAY_ADDRESS names.

    Ray starts with the first task and not before, and lasts until `close`.

    Args:
        workers: Tasks in flight at a time on a local Ray, and its number of CPUs. On a cluster all
            its CPUs are used, and this is ignored.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._ray: Any = None
        self._services: dict[str, object] = {}
        self._actors: list[Any] = []  # an actor lives as long as somebody holds it

    def _start(self) -> Any:
        if self._ray is not None:
            return self._ray
        # Ray's own messages would bury ours; what goes wrong in a task is raised by `map`.
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray

        if ray.is_initialized():
            raise StageError("Ray is already running in this process")
        address = os.environ.get("RAY_ADDRESS")
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        try:
            if address:
                _check_answers(address)
                ray.init(address=address, **quiet)
            else:
                # Only paths travel, so a small object store is enough (Ray's minimum is 75 MB).
                ray.init(
                    address="local",
                    num_cpus=self.workers,
                    object_store_memory=100 * 1024 * 1024,
                    include_dashboard=False,
                    **quiet,
                )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise StageError(
                "Ray did not start",
                where=address,
                why=str(error).splitlines()[0] if str(error) else type(error).__name__,
                fix="Check RAY_ADDRESS, or run with --engine local",
            ) from error
        self._ray = ray
        for name in list(self._services):
            self._place(name)
        return ray

    def host(self, name: str, service: object) -> Hosted | None:
        """See `Engine.host`: a cluster may grow, so even one of a single node counts as several."""
        if not os.environ.get("RAY_ADDRESS"):
            return None
        self._services[name] = service
        if self._ray is not None:
            self._place(name)
        return Hosted(name)

    def _place(self, name: str) -> None:
        """Start an actor with a service on this node, under a name that is known to this job."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        ray = self._ray
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        options = {"num_cpus": 0, "max_restarts": RETRIES, "max_task_retries": RETRIES}
        actor = ray.remote(_Service).options(name=name, scheduling_strategy=here, **options)
        self._actors.append(actor.remote(self._services.pop(name)))

    def map(self, function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        """See `Engine.map`."""
        if not tasks:
            return
        ray = self._start()
        width = max(2, 2 * int(ray.cluster_resources().get("CPU", self.workers)))
        remote = ray.remote(_guarded).options(
            num_cpus=1, max_retries=RETRIES, name=function.__name__
        )
        running: dict[Any, int] = {}
        try:
            left = iter(enumerate(tasks))
            order: _InOrder[R | _Raised] = _InOrder()
            while True:
                for index, task in itertools.islice(left, width - len(running)):
                    running[remote.remote(function, task)] = index
                if not running:
                    return
                for reference in ray.wait(list(running), num_returns=1)[0]:
                    order.add(running[reference], self._result(ray, reference, function))
                    del running[reference]
                for result in order.ready():
                    yield _returned(result)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)

    def _result(self, ray: Any, reference: Any, function: Callable[[Any], R]) -> R | _Raised:
        try:
            result: R | _Raised = ray.get(reference)
        except ray.exceptions.RayError as error:
            raise StageError(
                f"a worker was lost {RETRIES + 1} times in {function.__name__}",
                why=str(error).strip().splitlines()[0],
                fix="Run the same command again: finished shards are kept; fewer --workers need "
                "less memory",
            ) from error
        return result

    def close(self) -> None:
        """Stop a Ray that this engine started, or leave the cluster."""
        if self._ray is not None:
            self._ray.shutdown()
            self._ray = None
            self._actors.clear()


def _check_answers(address: str) -> None:
    """Raise `OSError` when nobody listens there: Ray itself takes minutes to say so."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():  # not "auto"
        with socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS):
            pass


class _InOrder(Generic[R]):
    """Results that come in any order, given out in the order of their tasks.

    A long task holds up what is given out, not what is worked on.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, R] = {}
        self._next = 0

    def add(self, index: int, result: R) -> None:
        self._waiting[index] = result

    def ready(self) -> Iterator[R]:
        while self._next in self._waiting:
            yield self._waiting.pop(self._next)
            self._next += 1


class _Service:
    """What an actor is made of: an object, and what its methods return or raise."""

    def __init__(self, service: object) -> None:
        self._service = service

    def answer(self, method: str, arguments: Sequence[object], named: dict[str, object]) -> Any:
        return _guarded(lambda call: call(*arguments, **named), getattr(self._service, method))


class _Raised:
    """An exception on its way home: Ray would wrap it and lose its class and its fields."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _returned(result: R | _Raised) -> R:
    if isinstance(result, _Raised):
        raise result.error
    return result


def _guarded(function: Callable[[T], R], task: T) -> R | _Raised:
    try:
        return function(task)
    except CorpusError as error:
        return _Raised(error)
    except Exception as error:  # noqa: BLE001 - a defect of ours: reported whole, never retried
        import traceback

        defect = StageError(
            f"{function.__name__} failed on {task!r}"[:500],
            why=f"{type(error).__name__}: {error}",
            fix="This is a defect of the program: --debug shows where, and --engine local "
            "--workers 0 runs it in this process",
        )
        defect.add_note(traceback.format_exc())  # shown with --debug
        return _Raised(defect)


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

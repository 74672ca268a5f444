"""The engine of a cluster: tasks run on Ray, and an object may be kept for all of them to call.

This is the only module of the pipeline that knows Ray; the trainer starts its own actors
(`corpus.trainer.ray_launch`).
"""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from corpus.engine.results import InOrder, Raised, guarded, returned
from corpus.errors import StageError

T = TypeVar("T")
R = TypeVar("R")

# Lost workers (killed, out of memory) are tried again this often; an exception is not, because
# the same input would raise it again.
RETRIES = 3
ANSWER_SECONDS = 10.0  # that the head of a cluster has to accept a connection


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
            return returned(reply.future().result())
        except (ray.exceptions.RayError, ValueError) as error:  # ValueError: no such name any more
            raise StageError(
                f"what all workers share ({self.name}) is lost",
                why=str(error).strip().splitlines()[0],
                fix="Run the same command again: finished shards are kept",
            ) from error


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
        remote = ray.remote(guarded).options(
            num_cpus=1, max_retries=RETRIES, name=function.__name__
        )
        running: dict[Any, int] = {}
        try:
            left = iter(enumerate(tasks))
            order: InOrder[R | Raised] = InOrder()
            while True:
                for index, task in itertools.islice(left, width - len(running)):
                    running[remote.remote(function, task)] = index
                if not running:
                    return
                for reference in ray.wait(list(running), num_returns=1)[0]:
                    order.add(running[reference], self._result(ray, reference, function))
                    del running[reference]
                for result in order.ready():
                    yield returned(result)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)

    def _result(self, ray: Any, reference: Any, function: Callable[[Any], R]) -> R | Raised:
        try:
            result: R | Raised = ray.get(reference)
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


class _Service:
    """What an actor is made of: an object, and what its methods return or raise."""

    def __init__(self, service: object) -> None:
        self._service = service

    def answer(self, method: str, arguments: Sequence[object], named: dict[str, object]) -> Any:
        return guarded(lambda call: call(*arguments, **named), getattr(self._service, method))

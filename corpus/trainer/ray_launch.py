"""Training on Ray: one actor a process, each told its place as torchrun would tell it.

In: a recipe and a number of processes. Out: what `train` returns in the process that leads. The
Ray is the cluster that RAY_ADDRESS names, or one on this machine for the time of the run. Actors
are placed together or not at all, so that no run waits with half of its GPUs. On a cluster the
mixture and the output folder have to be on storage that all machines share.

Ray Train does this too, and needs pandas and TensorBoard's writer for it; the actors alone are all
that is used of Ray here.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from corpus.errors import CorpusError, RecipeError, StageError
from corpus.trainer.config import TrainConfig
from corpus.trainer.loop import Summary, train
from corpus.trainer.metrics import Metrics
from corpus.trainer.world import SaidElsewhereError

_PLACEMENT_SECONDS = 120.0  # that the cluster has to give the processes their place
_POLL_SECONDS = 1.0


class _Process:
    """One process of a run; `train` and `take` are called at the same time."""

    def __init__(self) -> None:
        self._reported: list[Metrics] = []

    def meeting_place(self) -> tuple[str, int]:
        """Return an address of this machine and a port of it that is free."""
        import ray

        with socket.socket() as free:
            free.bind(("", 0))
            return ray.util.get_node_ip_address(), free.getsockname()[1]

    def train(self, config: TrainConfig, place: Mapping[str, str]) -> Summary | CorpusError:
        """Train as the process that `place` says; an error for a person is returned."""
        os.environ.update(place)
        try:
            return train(config, report=self._reported.append)
        except CorpusError as error:
            return error

    def take(self) -> list[Metrics]:
        """Return what was reported since the last call."""
        count = len(self._reported)
        taken, self._reported[:count] = self._reported[:count], []
        return taken


def train_on_ray(
    config: TrainConfig, *, workers: int, report: Callable[[Metrics], None]
) -> Summary:
    """Train with `workers` processes on Ray; see `corpus.trainer.loop.train`.

    Raises:
        RecipeError: No process is asked for.
        StageError: Ray or a process is lost, or the cluster has no place for them.
        CorpusError: What a process raised.
    """
    if workers < 1:
        raise RecipeError(f"{workers} processes cannot train", where="--workers", fix="Give 1")
    with _started(workers) as ray, _placed(ray, config, workers) as actors:
        processes = [actor.remote() for actor in actors]
        try:
            return _run(ray, processes, config, report)
        except ray.exceptions.RayError as error:
            raise StageError(
                "a process of the run was lost",
                why=str(error).strip().splitlines()[0],
                fix="Run the same command again: it goes on from the last checkpoint",
            ) from error
        finally:
            for process in processes:
                ray.kill(process)


def _run(
    ray: Any, processes: list[Any], config: TrainConfig, report: Callable[[Metrics], None]
) -> Summary:
    address, port = ray.get(processes[0].meeting_place.remote())
    common = {
        "WORLD_SIZE": str(len(processes)),
        "MASTER_ADDR": address,
        "MASTER_PORT": str(port),
        "LOCAL_RANK": "0",  # Ray shows each actor the one GPU that it has
    }
    running = [
        process.train.remote(config, common | {"RANK": str(rank)})
        for rank, process in enumerate(processes)
    ]
    first, left = running[0], list(running)
    while left:
        done, left = ray.wait(left, timeout=_POLL_SECONDS)
        for metrics in ray.get(processes[0].take.remote()):
            report(metrics)
        for result in ray.get(done):
            if isinstance(result, CorpusError) and not isinstance(result, SaidElsewhereError):
                raise result  # the others are ended
    result = ray.get(first)
    if isinstance(result, CorpusError):
        raise result
    summary: Summary = result
    return summary


@contextlib.contextmanager
def _started(workers: int) -> Iterator[Any]:
    """Yield Ray: the cluster's, or one of this machine that ends with the run."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    address = os.environ.get("RAY_ADDRESS")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    local = {"num_cpus": workers, "object_store_memory": 100 << 20, "include_dashboard": False}
    try:
        ray.init(address=address or "local", **({} if address else local), **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise StageError(
            "Ray did not start",
            where=address,
            why=str(error).splitlines()[0] if str(error) else type(error).__name__,
            fix="Check RAY_ADDRESS, or start the processes by torchrun",
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _placed(ray: Any, config: TrainConfig, workers: int) -> Iterator[list[Any]]:
    """Yield actors to start, with a CPU each, and a GPU where one is to be used."""
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    there = ray.cluster_resources()
    wants_gpu = config.device == "cuda" or (config.device == "auto" and there.get("GPU", 0) > 0)
    needs = {"CPU": 1.0} | ({"GPU": 1.0} if wants_gpu else {})
    group = None
    if all(there.get(kind, 0) >= workers for kind in needs):
        group = ray.util.placement_group([needs] * workers, strategy="PACK")
    if group is None or not group.wait(_PLACEMENT_SECONDS):
        have = " and ".join(f"{there.get(kind, 0):.0f} {kind}s" for kind in needs)
        raise StageError(
            f"there is no place for {workers} processes",
            why=f"Each takes {' and '.join(f'one {kind}' for kind in needs)}, and the cluster has "
            f"{have}, some of which may be taken",
            fix="Give fewer --workers, or wait until the cluster is free",
        )
    options = {"num_cpus": 1, "num_gpus": needs.get("GPU", 0), "max_concurrency": 2}
    places = [PlacementGroupSchedulingStrategy(group, rank) for rank in range(workers)]
    try:
        actor = ray.remote(_Process)
        yield [actor.options(scheduling_strategy=place, **options) for place in places]
    finally:
        ray.util.remove_placement_group(group)

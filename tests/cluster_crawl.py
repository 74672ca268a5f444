"""A crawl on a cluster of two nodes on this machine, as a program of its own; a test runs it.

Each node has a folder for temporary files of its own, as two machines have. Prints one line of
JSON: what the test looks at.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from corpus.engine import RayEngine
from corpus.errors import StageError
from corpus.fetching.keeper import FileKeeper, HostedKeeper
from corpus.fetching.limiter import Limits
from tests.made import Recording, make_recipe, run

LIMITS = Limits(10.0, 50.0, 3, 60.0)


def where(_: int) -> str:
    time.sleep(0.5)
    return tempfile.gettempdir()


def paused(keeper: HostedKeeper) -> float:
    return keeper.turn(LIMITS, None).seconds


class Killable(FileKeeper):
    """Says which process it is in."""

    def process(self) -> int:
        return os.getpid()


def main(base: str, folder: str) -> None:
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
    homes = [f"{folder}/machine-{number}" for number in (1, 2)]
    for home in homes:
        Path(home).mkdir()
    head = {**node, "env_vars": {"TMPDIR": homes[0]}}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        cluster.add_node(**node, env_vars={"TMPDIR": homes[1]})
        cluster.wait_for_nodes()
        os.environ["RAY_ADDRESS"] = cluster.address
        engine = RayEngine(2)
        found: dict[str, object] = {"places": sorted(set(engine.map(where, range(4))))}
        source = {"commoncrawl": {"base_url": base, "snapshots": "CC-MAIN-2026-47"}}
        settings = {"requests_per_second": 8, "cooldown": 1.0, "backoff": 0.001, "timeout": 5}
        recipe = make_recipe({"s": source}, crawl=settings)
        said: list[str] = []
        progress = Recording()
        progress.watch = lambda status: said.append(status) or None  # type: ignore
        build = run(recipe, f"{folder}/out", "crawl", engine=engine, progress=progress)
        found["files"] = build.stage("crawl").counts().kept
        found["status"] = said[0]()  # type: ignore

        # What is killed begins again from its files; what is killed too often is an error.
        hosted = engine.host("killable", Killable(f"{folder}/kept", "run"))
        assert hosted is not None
        keeper = HostedKeeper(hosted)
        keeper.refused(LIMITS, None)
        os.kill(hosted.call("process"), signal.SIGKILL)
        found["paused"] = list(engine.map(paused, [keeper, keeper]))
        try:
            for _ in range(5):
                os.kill(hosted.call("process"), signal.SIGKILL)
        except StageError as error:
            found["lost"] = str(error)
        engine.close()
        sys.stdout.write(f"{json.dumps(found)}\n")
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])

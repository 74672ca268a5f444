"""The meter of a build: every task is counted, and nothing of it gets into what is built."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from corpus.build import build
from corpus.config import load_recipe
from corpus.engine import LocalEngine
from corpus.metering.meter import Meter, Sums, from_plain, plain
from corpus.metering.usage import Spending, Usage, measured
from corpus.progress import Silent
from tests.made import digests


def burn(seconds: float) -> int:
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(1000))
    return len(bytes(50_000_000))


def test_what_a_task_costs_is_its_processor_time_and_its_own_memory() -> None:
    result, usage = measured(burn, 0.05)
    assert result == 50_000_000
    assert usage.cpu >= 0.05
    assert usage.first
    assert usage.memory > 50_000_000
    _, second = measured(burn, 0.0)
    assert not second.first


def test_every_task_of_a_build_is_heard_of_and_changes_nothing(
    finished_build: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(str(finished_build.parent / "mix.yaml"))
    output = tmp_path / "output"
    meter = Meter(Silent(), str(output))
    made = build(recipe, str(output), LocalEngine(0), meter)
    assert digests(output) == digests(finished_build)
    assert list(meter.stages) == list(made.manifests)
    for stage, manifest in made.manifests.items():
        tasks = sum(s.all_tasks for (step, _, _), s in meter.steps.items() if step == stage)
        assert tasks == len(manifest.shards)
    extract = meter.steps["extract", "pages", False]
    assert extract.all_written == sum(
        o.bytes for shard in made.stage("extract").of("pages") for o in shard.outputs
    )
    temporary = {step for step, _, goes in meter.steps if goes}
    assert temporary >= {"copies", "edges", "small-stars", "candidates", "drops"}
    assert "signatures" not in temporary
    assert meter.leading >= 0
    assert from_plain(plain(meter.steps)) == meter.steps


def test_tasks_that_were_done_before_are_counted_and_cost_nothing(
    copied_build: Path, finished_build: Path
) -> None:
    recipe = load_recipe(str(finished_build.parent / "mix.yaml"), ["dedup.threshold=0.9"])
    (copied_build / "build.json").unlink()
    for folder in copied_build.glob("extract-*"):
        next(folder.glob("pages/part-00000-*.parquet")).unlink()
    meter = Meter(Silent(), str(copied_build))
    build(recipe, str(copied_build), LocalEngine(0), meter)
    pages = meter.steps["extract", "pages", False]
    assert (pages.tasks, pages.all_tasks) == (1, 2)
    assert pages.all_weight > pages.weight


def test_sums_of_a_later_build_say_how_much_there_is() -> None:
    first = Sums(tasks=2, cpu=3.0, memory=5, all_tasks=2, all_weight=10.0)
    later = Sums(tasks=1, cpu=1.0, memory=4, all_tasks=6, all_weight=30.0)
    joined = dataclasses.replace(first)
    joined.join(later)
    assert (joined.tasks, joined.cpu, joined.memory) == (3, 4.0, 5)
    assert (joined.all_tasks, joined.all_weight) == (6, 30.0)


def test_a_build_that_waits_for_others_is_slowed_down() -> None:
    meter = Meter(Silent(), "/out")
    for _ in range(4):
        usage = Usage(3.0, 9.0, 1, first=False, process=-1)
        meter.spent(Spending("extract", "/out/extract-1", "a", 1, 1, usage))
    meter.stages = {"extract": 12.0, "dedup": 6.0}
    assert meter.slowdown(1) == 1.5
    assert meter.slowdown(2) == 3.0
    assert meter.slowdown(100) == 6.0
    meter.stages = {"extract": 1.0}
    assert meter.slowdown(1) == 1.0
    assert Meter(Silent(), "/out").slowdown(1) == 1.0

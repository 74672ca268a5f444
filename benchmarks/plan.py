"""What `corpus plan --probe` predicts of a build, beside what the build then takes.

`python benchmarks/plan.py RECIPE [--output DIR] [--sample BYTES] [--workers N] [--set K=V]`
probes the recipe, builds it, and prints documents, tokens, disk, processor time and wall time of
each stage, predicted and obtained, with their ratio. Processor time is comparable on a machine that
does other things too; wall time is predicted for cores that do nothing else. The probe comes first
and in processes of its own, and shares nothing with the build.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from corpus import tables
from corpus.build import Build, build
from corpus.config import Recipe, load_recipe
from corpus.engine import LocalEngine
from corpus.metering.meter import Meter
from corpus.planning import forecast
from corpus.planning.cost import used_bytes
from corpus.planning.known import stage_of
from corpus.planning.prediction import Prediction
from corpus.planning.probe import probe
from corpus.progress import Lines


def measure(recipe: Recipe, output: str, workers: int) -> tuple[Build, Meter, float]:
    """Build a recipe; return the build, its meter, and the seconds that it took."""
    engine, meter = LocalEngine(workers), Meter(Lines(), output)
    began = time.monotonic()
    try:
        made = build(recipe, output, engine, meter)
    finally:
        engine.close()
    return made, meter, time.monotonic() - began


def compared(made: Prediction, real: Build, meter: Meter, seconds: float) -> tables.Table:
    """Return the table of what was predicted and what was obtained."""
    lines: list[tuple[str, float, float]] = []
    spent: dict[str, float] = {}
    memory: dict[str, int] = {}
    for (step, _, temporary), sums in meter.steps.items():
        stage = stage_of(step, temporary=temporary)
        spent[stage] = spent.get(stage, 0.0) + sums.cpu
        memory[stage] = max(memory.get(stage, 0), sums.memory)
    tokenized = real.stage("tokenize")
    lines.append(("documents", made.documents.value, tokenized.counts().kept))
    lines.append(("tokens", made.tokens.value, tokenized.measure("tokens")))
    lines.append(("disk, bytes", made.disk.value, used_bytes(real.output)))
    lines.append(("processor time, s", made.cpu.value, sum(spent.values()) + meter.leading))
    lines.append(("wall time, s", made.wall, seconds))
    for source in made.sources:
        own = tokenized.counts(source.name).kept
        lines.append((f"{source.name}: documents", source.documents.value, own))
        tokens = tokenized.measure("tokens", source.name)
        lines.append((f"{source.name}: tokens", source.tokens.value, tokens))
    for stage in made.stages:
        if stage.documents is not None and stage.stage in real.manifests:
            kept = real.stage(stage.stage).counts().kept
            lines.append((f"{stage.stage}: documents", stage.documents, kept))
        lines.append(
            (f"{stage.stage}: processor time, s", stage.cpu.value, spent.get(stage.stage, 0))
        )
        lines.append((f"{stage.stage}: memory, bytes", stage.memory, memory.get(stage.stage, 0)))
    rows = [
        (name, f"{foretold:,.1f}", f"{got:,.1f}", f"{foretold / got - 1:+.1%}" if got else "-")
        for name, foretold, got in lines
    ]
    return tables.Table(("", "predicted", "obtained", "off by"), rows)


def main() -> None:
    """Probe, build and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("--output")
    parser.add_argument("--sample", type=int, default=64_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--set", action="append", default=[])
    given = parser.parse_args()
    sets = [*given.set, f"plan.sample_bytes={given.sample}"]
    recipe = load_recipe(given.recipe, sets)
    with tempfile.TemporaryDirectory() as scratch:
        output = given.output or str(Path(scratch) / "output")
        engine = LocalEngine(given.workers)
        try:
            probe(recipe, output, engine, Lines())
        finally:
            engine.close()
        foretold = forecast.forecast(recipe, output, workers=given.workers)
        assert foretold is not None
        tables.show(forecast.describe(foretold, {}))
        real, meter, seconds = measure(recipe, str(Path(output) / "real"), given.workers)
        tables.show(["", compared(foretold.prediction, real, meter, seconds)])


if __name__ == "__main__":
    main()

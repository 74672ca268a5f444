"""The prediction: what a build takes, stage by stage, from constants that were measured.

In: a recipe, constants, how large the inputs are, and the cores. Out: a `Prediction`: documents,
tokens and disk with the error of the sample, processor time with that of its regression, wall time
on so many cores, and the memory of a worker.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from corpus.build import sections
from corpus.config import Recipe
from corpus.metering.meter import Sums
from corpus.planning.constants import Constants
from corpus.planning.inputs import Extent
from corpus.planning.known import Known, files, growth, known_sources, measured_as, parts, stage_of
from corpus.planning.measure import section_fingerprints, trained_on
from corpus.planning.prediction import Prediction, SourcePrediction, StagePrediction
from corpus.planning.probe import recipe_fingerprint
from corpus.planning.sources import STAGES, Estimate, amounts, half_interval, without
from corpus.planning.times import fit

_SIGMAS = 1.96  # half of the 95 % interval of the normal distribution
# Memory of the two steps of dedup whose tasks are of more documents than the probe has: bytes a
# document and a dropped document beyond what the task had there, and the documents of a task
# (docs/stages/dedup.md).
_SPANS = {"totals": (50.0, 0.0, 2_000_000), "drops": (0.0, 200.0, 500_000)}
_SHARED = 100_000  # documents of a task of those steps of dedup that many share
_UNSURE = 0.1  # share of the documents that is worth a note when it is not known


@dataclass
class _Stage:
    """What adds up of one stage."""

    written: float = 0.0
    temporary: float = 0.0
    cpu: float = 0.0
    variance: float = 0.0
    wall: float = 0.0
    memory: float = 0.0


def predict(
    recipe: Recipe,
    constants: Constants,
    extents: Mapping[str, Extent | None],
    *,
    cores: int,
    slowdown: float = 1.0,
) -> Prediction:
    """Return what a build of a recipe takes.

    Args:
        recipe: The recipe.
        constants: What was measured, of this recipe or another.
        extents: How large the input of each source is; None where it is not known.
        cores: Processor cores.
        slowdown: How many times as long tasks take on them as they would on idle ones.
    """
    known, unknown = known_sources(recipe, constants, extents)
    stages = {stage: _Stage() for stage in sections(recipe)}
    _add_disk(stages, known, constants)
    _add_times(stages, known, constants, recipe, cores)
    fetched = sum(own.fetched for own in known.values())
    stages["crawl"].written += fetched
    for own in stages.values():
        own.wall *= slowdown
    if constants.rate:
        stages["crawl"].wall = max(stages["crawl"].wall, fetched / constants.rate)
    # Of another recipe nothing says that its files are among those that this one reads.
    alike = constants.fingerprint == recipe_fingerprint(recipe)
    sources = tuple(_source(name, own, constants, alike) for name, own in known.items())
    done = tuple(_stage(stage, own, known) for stage, own in stages.items())
    there = peak = 0.0
    for stage in done:
        peak = max(peak, there + stage.written + stage.temporary)
        there += stage.written
    zero = Estimate(0.0, 0.0)
    tasks = sum(_tasks(own, constants) for own in known.values())
    leading = constants.driver[0] + constants.driver[1] * tasks
    disk = sum((source.disk for source in sources), zero)
    return Prediction(
        origin=constants.origin,
        cores=cores,
        sources=sources,
        unknown=unknown,
        stages=done,
        documents=sum((source.documents for source in sources), zero),
        tokens=sum((source.tokens for source in sources), zero),
        disk=Estimate(disk.value + constants.fixed_disk, disk.error),
        peak=peak,
        cpu=sum((stage.cpu for stage in done), Estimate(leading, 0.0)),
        wall=sum(stage.wall for stage in done) + leading * slowdown,
        slowdown=slowdown,
        notes=(*constants.notes, *_other(recipe, constants), *_unmeasured(done), *_far(known)),
    )


def _source(name: str, own: Known, constants: Constants, alike: bool) -> SourcePrediction:
    source, whole = own.constants, own.amounts
    share = 0.0
    if alike:
        share = min(1.0, 1 / own.factor) if own.factor else 1.0
    units = range(len(source.units)) if len(source.units) > 1 else range(0)
    others = [without(source, at) for at in units]
    size = own.factor * source.measured_bytes  # of the input, as this source is measured
    left = [amounts(o, size / o.measured_bytes, foreign={}) for o in others if o.measured_bytes]
    same = amounts(source, own.factor, foreign={})

    def estimate(value: float, without_unit: list[float], of_all: float) -> Estimate:
        return Estimate(value, half_interval(without_unit, of_all, share))

    more = own.fetched + constants.part_bytes * parts(own)
    return SourcePrediction(
        name=name,
        measured=own.name,
        files=own.extent.files,
        bytes=own.extent.bytes,
        how=own.extent.how,
        fetched=own.fetched,
        sample=share,
        kept=whole.kept,
        least=whole.least,
        most=whole.most,
        documents=estimate(whole.documents, [o.documents for o in left], same.documents),
        tokens=estimate(whole.tokens, [o.tokens for o in left], same.tokens),
        disk=estimate(whole.disk + more, [o.disk for o in left], same.disk),
    )


def _add_disk(
    stages: Mapping[str, _Stage], known: Mapping[str, Known], constants: Constants
) -> None:
    """Add the bytes of each stage: what stays of each source, and what goes with the stage."""
    for own in known.values():
        rest = own.amounts.disk - own.amounts.token_disk - own.amounts.sample_disk
        if "filter" in stages:
            stages["filter"].written += own.amounts.sample_disk
        shares = _shares(constants, own.name)
        for stage, share in shares.items():
            if stage in stages:
                stages[stage].written += rest * share
        stages["extract"].written += constants.part_bytes * parts(own)
        if "tokenize" in stages:
            stages["tokenize"].written += own.amounts.token_disk
    for (step, source, temporary), sums in constants.steps.items():
        stage = stage_of(step, temporary=temporary)
        if temporary and stage in stages:
            grown = growth(known, step, source, temporary=True)
            stages[stage].temporary += sums.all_written * grown
    fixed = next(stage for stage in ("decontaminate", "filter", "crawl") if stage in stages)
    stages[fixed].written += constants.fixed_disk


def _shares(constants: Constants, name: str) -> dict[str, float]:
    """Return in which parts the stages but `tokenize` share the bytes of a source."""
    written: dict[str, float] = {}
    for (step, source, temporary), sums in constants.steps.items():
        if source == name and not temporary and step not in ("crawl", "sample", "tokenize"):
            stage = stage_of(step, temporary=False)
            written[stage] = written.get(stage, 0.0) + sums.all_written
    total = sum(written.values())
    return {stage: own / total for stage, own in written.items()} if total else {"extract": 1.0}


def _add_times(
    stages: Mapping[str, _Stage],
    known: Mapping[str, Known],
    constants: Constants,
    recipe: Recipe,
    cores: int,
) -> None:
    """Add processor time, wall time and memory of each stage: those of its steps."""
    documents = [{n: own.measured.kept.get("extract", 0.0) for n, own in known.items()}]
    documents += [{n: own.amounts.kept.get("extract", 0.0) for n, own in known.items()}]
    then, now = (trained_on(recipe, numbers) for numbers in documents)
    steps: dict[tuple[str, bool], dict[str, Sums]] = {}
    for (step, source, temporary), sums in constants.steps.items():
        steps.setdefault((step, temporary), {})[source] = sums
    for (step, temporary), by_source in steps.items():
        stage = stages.get(stage_of(step, temporary=temporary))
        if stage is None:
            continue
        tasks = 0.0
        weights: dict[str, float] = {}
        for source, sums in by_source.items():
            if source in constants.sources and not measured_as(known, source):
                continue  # the recipe has no such source
            grown = growth(known, step, source, temporary=temporary)
            if step == "classifier" and then:
                grown = now / then
            weights[source] = sums.all_weight * grown
            tasks += _step_tasks(known, step, source, sums, temporary=temporary)
        if not tasks:
            continue
        at_once = min(float(cores), tasks)
        seconds, variance = fit(by_source).predict(tasks, at_once, weights)
        stage.cpu += seconds
        # Of a step with too few tasks to tell, all of what it takes is uncertain.
        stage.variance += (seconds / _SIGMAS) ** 2 if variance is None else variance
        stage.wall += seconds / max(1.0, at_once)
        stage.memory = max(stage.memory, _memory(step, by_source, known))


def _step_tasks(
    known: Mapping[str, Known], step: str, source: str, sums: Sums, *, temporary: bool
) -> float:
    """Return how many tasks a step has of a source, or of all."""
    owners = measured_as(known, source)
    if owners:
        whole = step in ("crawl", "extract")
        return sum(files(own) if whole else parts(own) for own in owners)
    if not temporary:
        return float(sums.all_tasks)
    documents = sum(own.amounts.into.get("dedup", 0.0) for own in known.values())
    return max(float(sums.all_tasks), documents / _SHARED)


def _tasks(own: Known, constants: Constants) -> float:
    """Return how many tasks all steps have of a source."""
    steps = {step for step, source, _ in constants.steps if source == own.name}
    return len(steps) * parts(own)


def _memory(step: str, by_source: Mapping[str, Sums], known: Mapping[str, Known]) -> float:
    """Return the most bytes that a worker holds for a step."""
    most = float(max(sums.memory for sums in by_source.values()))
    if step in _SPANS:
        each, dropped, span = _SPANS[step]
        into = sum(own.amounts.into.get("dedup", 0.0) for own in known.values())
        kept = sum(own.amounts.kept.get("dedup", 0.0) for own in known.values())
        most += (each * into + dropped * (into - kept)) * min(1.0, span / max(into, 1.0))
    return most


def _stage(stage: str, own: _Stage, known: Mapping[str, Known]) -> StagePrediction:
    documents = None
    if any(stage in one.amounts.kept for one in known.values()):
        documents = sum(one.amounts.kept.get(stage, 0.0) for one in known.values())
    return StagePrediction(
        stage=stage,
        documents=documents,
        written=own.written,
        temporary=own.temporary,
        cpu=Estimate(own.cpu, _SIGMAS * math.sqrt(own.variance)),
        wall=own.wall,
        memory=own.memory,
    )


def _other(recipe: Recipe, constants: Constants) -> Iterator[str]:
    """Say in which settings the recipe differs from the one that was measured."""
    own = section_fingerprints(recipe)
    differ = [name for name, digest in constants.sections.items() if own.get(name) != digest]
    if differ:
        yield (
            f"{', '.join(differ)}: the recipe that was measured has other settings, so what its "
            "documents become and cost may differ; --probe measures this one"
        )


def _unmeasured(stages: Iterable[StagePrediction]) -> Iterator[str]:
    """Say of which stages nothing is known."""
    names = [one.stage for one in stages if one.documents is None and one.stage in STAGES]
    if names:
        yield f"{', '.join(names)}: not measured, so what this drops and costs is left out"


def _far(known: Mapping[str, Known]) -> Iterator[str]:
    """Say of which sources the duplicates cannot be told from so small a sample."""
    for name, own in known.items():
        least, most = own.amounts.least, own.amounts.most
        if most - least > _UNSURE:
            yield (
                f"sources.{name} is {own.factor:,.0f} times its sample, from which its duplicates "
                f"cannot be told: dedup keeps {least:.0%} to {most:.0%} of what is shown (not in ±)"
            )

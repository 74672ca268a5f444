"""The constants of a build that is there: its manifests, its verdicts, and what its meter heard.

In: a complete build, and the sums of its meter. Out: `Constants`. Only a build that has verdicts of
dedup has clusters; those of very large builds are not counted, and then duplicates are taken to
grow in proportion.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from corpus.build import Build
from corpus.config import ClassifierTraining, Recipe
from corpus.manifest import fingerprint as digest_of
from corpus.metering.meter import Key, Sums
from corpus.parts import read_columns
from corpus.planning.constants import Constants, SourceConstants
from corpus.planning.disk import Disk
from corpus.planning.inputs import Extent, form
from corpus.planning.units import Units

# Documents whose clusters are counted: some 200 bytes each are held in memory.
LARGEST = 3_000_000
# The sections of the recipe that constants depend on, with keys that name files or change nothing.
_SECTIONS = {
    "extract": {"recycle_pages", "max_failures"},
    "filter": {"urls"},
    "dedup": {"index", "max_loss"},
    "decontaminate": {"benchmarks"},
    "tokenize": {"encoder"},
}


@dataclass
class _Clusters:
    """What is counted of the clusters of one source."""

    distinct: int = 0
    by_unit: Counter[tuple[int, str]] = field(default_factory=Counter)


def constants_of(
    recipe: Recipe,
    build: Build,
    steps: Mapping[Key, Sums],
    *,
    origin: str,
    fingerprint: str,
    extents: Mapping[str, Extent | None],
    pieces: Mapping[str, Sequence[float]] | None = None,
    driver: tuple[float, float] = (0.0, 0.0),
    rate: float | None = None,
    slowdown: float = 1.0,
    notes: tuple[str, ...] = (),
) -> Constants:
    """Return the constants of a build.

    Args:
        recipe: Its recipe.
        build: The build.
        steps: What its tasks have cost.
        origin: Where the constants are from, for a person.
        fingerprint: Of the recipe.
        extents: How large the input of each source is in all; None where that is not known.
        pieces: Of sources of which a sample was built: the bytes of each piece of it, in order.
        driver: Seconds of the process that led it: to start, and for each task.
        rate: Bytes a second that were fetched.
        slowdown: How many times as long it took as on cores that do nothing else.
        notes: What a reader has to know.
    """
    units = Units(build, pieces or {})
    clusters = _clusters(build, units)
    disk = Disk(build, units)
    sources: dict[str, SourceConstants] = {}
    for name, source in recipe.sources.items():
        own = units.of(name)
        found = clusters.get(name, _Clusters())
        counted = [
            dataclasses.replace(
                unit,
                disk=disk.rows[name, at],
                sample_disk=disk.samples[name, at],
                token_disk=disk.tokens[name, at],
                clusters=found.by_unit[at, "clusters"],
                alone=found.by_unit[at, "alone"],
                pairs=found.by_unit[at, "pairs"],
                triples=found.by_unit[at, "triples"],
            )
            for at, unit in enumerate(own)
        ]
        whole = sum(unit.bytes for unit in own)
        extent = extents.get(name) or Extent(len(own), whole, "measured")
        sources[name] = SourceConstants(
            form=form(source),
            files=extent.files,
            bytes=extent.bytes or whole,
            share=min(1.0, whole / extent.bytes) if extent.bytes else 1.0,
            units=tuple(counted),
            distinct=found.distinct,
            parts=units.parts[name] / max(1, len(own)),
        )
    return Constants(
        origin=origin,
        fingerprint=fingerprint,
        sections=section_fingerprints(recipe),
        sources=sources,
        steps=steps,
        driver=driver,
        fixed_disk=round(disk.fixed),
        part_bytes=disk.own,
        rate=rate,
        slowdown=slowdown,
        notes=notes,
    )


def by_documents(steps: Mapping[Key, Sums], build: Build, recipe: Recipe) -> dict[Key, Sums]:
    """Return what tasks have cost, those of all sources weighed by the documents that they were of.

    A task of dedup that is of all sources weighs nothing by itself, and training does not either.
    """
    dedup = build.manifests.get("dedup")
    documents = dedup.counts().into if dedup is not None else 0
    found: dict[Key, Sums] = {}
    for key, sums in steps.items():
        step, source, temporary = key
        weight: float | None = None
        if temporary and source not in recipe.sources:
            weight = documents
        elif step == "classifier":
            weight = trained_on(
                recipe, {n: build.stage("extract").counts(n).kept for n in recipe.sources}
            )
        found[key] = sums if weight is None else _weighted(sums, weight)
    return found


def section_fingerprints(recipe: Recipe) -> dict[str, str]:
    """Return fingerprints of the settings of each stage, without the files that they name."""
    found: dict[str, str] = {}
    for name, files in _SECTIONS.items():
        section = getattr(recipe, name)
        value = None if section is None else section.model_dump(mode="json", exclude=files)
        found[name] = digest_of(name, value)
    return found


def trained_on(recipe: Recipe, documents: Mapping[str, float]) -> float:
    """Return how many documents a classifier is trained on and evaluated with.

    Args:
        recipe: The recipe.
        documents: How many there are of each source.
    """
    training = recipe.filter.classifier if recipe.filter else None
    if not isinstance(training, ClassifierTraining):
        return 1.0
    sides = (training.positives, training.negatives)
    counts = [sum(documents.get(name, 0.0) for name in side) for side in sides]
    return sum(min(float(training.documents), count) for count in counts)


def _weighted(sums: Sums, weight: float) -> Sums:
    """Return the sums of tasks that have shared a weight evenly."""
    each = weight / max(1, sums.all_tasks)
    return dataclasses.replace(
        sums,
        weight=each * sums.tasks,
        weight_squares=each * each * sums.tasks,
        weight_firsts=each * sums.firsts,
        cpu_weight=each * sums.cpu,
        all_weight=weight,
    )


def _clusters(build: Build, units: Units) -> dict[str, _Clusters]:
    """Count the clusters of duplicates by the units that they are in."""
    dedup = build.manifests.get("dedup")
    if dedup is None or dedup.counts().into > LARGEST:
        return {}
    keepers: dict[str, tuple[str, int]] = {}
    dropped: list[tuple[str, str, int]] = []
    for shard in dedup.shards:
        at = units.at(shard.source, shard.name)
        if at is None:
            continue
        table = read_columns(
            dedup.path(shard.output("verdict")), ["id", "kept", "duplicate_of"]
        ).to_pylist()
        for row in table:
            if row["kept"]:
                keepers[row["id"]] = (shard.source, at)
            elif row["kept"] is not None:
                dropped.append((row["duplicate_of"], shard.source, at))
    inside: dict[str, set[int]] = {}
    for keeper, source, at in dropped:
        where = keepers.get(keeper)
        if where is None or where[0] != source:
            units.add_foreign(source, at, where[0] if where else "")
        else:
            inside.setdefault(keeper, {where[1]}).add(at)
    found: dict[str, _Clusters] = {}
    names = {1: "alone", 2: "pairs", 3: "triples"}
    for keeper, (source, at) in keepers.items():
        own = found.setdefault(source, _Clusters())
        within = inside.get(keeper, {at})
        own.distinct += 1
        for unit in within:
            own.by_unit[unit, "clusters"] += 1
            if len(within) in names:
                own.by_unit[unit, names[len(within)]] += 1
    return found

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

from corpus import storage
from corpus.build import Build
from corpus.config import ClassifierTraining, Recipe
from corpus.errors import CorpusError
from corpus.manifest import MANIFEST, Manifest, read_manifest
from corpus.manifest import fingerprint as digest_of
from corpus.metering.meter import Key, Sums
from corpus.parts import read_columns
from corpus.planning.constants import Constants, SourceConstants, Unit
from corpus.planning.inputs import Extent, form

# Documents whose clusters are counted: some 200 bytes each are held in memory.
LARGEST = 3_000_000
_FOOTERS = 8  # files of a role whose footers are looked at
# The sections of the recipe that constants depend on, with keys that name files or change nothing.
_SECTIONS = {
    "extract": {"recycle_pages", "max_failures"},
    "filter": {"urls"},
    "dedup": {"index", "max_loss"},
    "decontaminate": {"benchmarks"},
    "tokenize": {"encoder"},
}
_COUNTED = ("extract", "filter", "dedup", "decontaminate", "tokenize")


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
    units = _Units(build, pieces or {})
    clusters = _clusters(build, units)
    disk = _Disk(build, units)
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


class _Units:
    """The units of a build: what each shard of `extract` made, and what later stages made of it."""

    def __init__(self, build: Build, pieces: Mapping[str, Sequence[float]]) -> None:
        extract = build.stage("extract")
        self.parts: Counter[str] = Counter()
        self._at: dict[tuple[str, str], int] = {}
        self._units: dict[str, list[Unit]] = {}
        for source in extract.sources():
            shards = extract.of(source)
            sizes = pieces.get(source) or _sizes(build, source, len(shards))
            self._units[source] = [Unit(size) for size in sizes]
            for at, shard in enumerate(shards):
                self._at[source, shard.name] = min(at, len(sizes) - 1)
                self.parts[source] += len(shard.all("documents"))
        for stage in _COUNTED:
            if stage in build.manifests:
                self._count(stage, build.manifests[stage])

    def _count(self, stage: str, manifest: Manifest) -> None:
        for shard in manifest.shards:
            at = self.at(shard.source, shard.name)
            if at is None:
                continue
            unit = self._units[shard.source][at]
            into, kept = dict(unit.into), dict(unit.kept)
            into[stage] = into.get(stage, 0) + shard.counts.into
            kept[stage] = kept.get(stage, 0) + shard.counts.kept
            self._units[shard.source][at] = dataclasses.replace(
                unit,
                into=into,
                kept=kept,
                tokens=unit.tokens + shard.measures.get("tokens", 0),
                validation=unit.validation + shard.measures.get("validation_tokens", 0),
                text_bytes=unit.text_bytes + shard.measures.get("text_bytes", 0),
            )

    def of(self, source: str) -> list[Unit]:
        """Return the units of a source."""
        return self._units.get(source, [])

    def at(self, source: str, shard: str) -> int | None:
        """Return the unit that a shard of any stage belongs to, if it belongs to one."""
        found = self._at.get((source, shard))
        # A part of a shard of `extract` has its name and a number.
        return self._at.get((source, shard.rpartition("-")[0])) if found is None else found

    def add_foreign(self, source: str, at: int, other: str) -> None:
        """Count a document that was dropped for one of another source."""
        unit = self._units[source][at]
        foreign = {**unit.foreign, other: unit.foreign.get(other, 0) + 1}
        self._units[source][at] = dataclasses.replace(unit, foreign=foreign)


def _sizes(build: Build, source: str, shards: int) -> list[float]:
    """Return the bytes of the input of each shard of `extract`."""
    crawl = build.stage("crawl")
    sizes = [float(file.bytes) for shard in crawl.of(source) for file in shard.all("input")]
    if len(sizes) == shards:
        return sizes
    return [sum(sizes) / max(1, shards)] * shards  # a dump that many tasks have shared


def _clusters(build: Build, units: _Units) -> dict[str, _Clusters]:
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


class _Disk:
    """The bytes of a build: those that grow with rows or tokens, with files, and those that do not.

    Attributes:
        rows: Of files that grow with the rows, by source and unit.
        tokens: Of token shards.
        samples: Of the sample that a classifier is trained on.
        fixed: Of files that are of no source.
        own: What files of a part have whatever is in them: footers, and entries in manifests.
    """

    def __init__(self, build: Build, units: _Units) -> None:
        self.rows: Counter[tuple[str, int]] = Counter()
        self.tokens: Counter[tuple[str, int]] = Counter()
        self.samples: Counter[tuple[str, int]] = Counter()
        self.fixed = self.own = 0.0
        left = [manifest.folder for manifest in build.manifests.values()]
        seen: set[str] = set()
        while left:
            folder = left.pop()
            if folder in seen:
                continue
            seen.add(folder)
            try:
                manifest = read_manifest(folder)
            except CorpusError:
                continue  # a step that has been removed since
            left += [storage.join(build.output, n) for n in manifest.summary.get("uses", ())]
            entry = storage.size(storage.join(folder, MANIFEST)) / max(1, len(manifest.shards))
            self.own += entry
            if manifest.stage != "crawl":  # what is fetched has the size of the input
                self._add(manifest, units)

    def _add(self, manifest: Manifest, units: _Units) -> None:
        grown = {"tokenize": self.tokens, "sample": self.samples}.get(manifest.stage, self.rows)
        footers: dict[str, list[int]] = {}
        for shard in manifest.shards:
            at = units.at(shard.source, shard.name)
            if at is None:
                self.fixed += sum(output.bytes for output in shard.outputs)
                continue
            for output in shard.outputs:
                known = footers.setdefault(output.role, [])
                if len(known) < _FOOTERS:
                    known.append(_footer(manifest.path(output), output.bytes))
                grown[shard.source, at] += output.bytes - sum(known) // len(known)
        # Each part has a file of each role, but for those of validation, which few parts have.
        self.own += sum(sum(known) / len(known) for known in footers.values())


def _footer(path: str, size: int) -> int:
    """Return the bytes of the footer of a Parquet or Arrow file, and 0 of another."""
    with storage.open_input(path) as file:
        file.seek(max(0, size - 10))
        tail = file.read()
    for magic in (b"PAR1", b"ARROW1"):
        if tail.endswith(magic):
            end = tail.removesuffix(magic)
            return min(size, int.from_bytes(end[-4:], "little") + len(magic) + 4)
    return 0

"""The sampling units of a build: what each input file became, stage by stage.

In: a build's manifests. Out: `Unit`s, one for each shard of `extract`, and which unit the shards of
later stages belong to.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

from corpus.build import Build
from corpus.manifest import Manifest
from corpus.planning.constants import Unit

COUNTED = ("extract", "filter", "dedup", "decontaminate", "tokenize")


class Units:
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
        for stage in COUNTED:
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

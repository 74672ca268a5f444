"""The steps that follow document dedup with `dedup.lines`: which lines are cut, and for whom.

In: the parts and the lists of their drops. Out: for each part the documents that lose lines. The
steps: `lines`, the distinct lines of each part; `line-keepers`, per range of hashes who keeps
which; `line-cuts`, per part what is cut. A document that is dropped as a duplicate keeps no line.

A document is dropped, too, when fewer than `minimum_left` characters of it are left, unless another
document has lost a line for it. So what is cut for another document has a keeper that is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from corpus.config import LineDedup, Recipe
from corpus.dedup import exchange
from corpus.dedup.line_cuts import MEASURES, LineCutsTask, Losses, find_line_cuts
from corpus.dedup.line_keepers import LineKeepersTask, find_line_keepers
from corpus.dedup.lines import LinesTask, hash_lines
from corpus.dedup.order import Scope
from corpus.dedup.spans import EVERY
from corpus.engine import Engine
from corpus.errors import BoundError
from corpus.manifest import Manifest, Shard
from corpus.parts import Part
from corpus.progress import Progress
from corpus.stage_folder import make

VERSION = 1
# Distinct lines of parts that a task reads and sorts at a time, in some 250 bytes each.
TASK_ROWS = 2_000_000
LEAST_BYTES = 100_000  # a source with less text may lose any share of it


def line_settings(settings: LineDedup) -> dict[str, Any]:
    """Return all that the cuts depend on beside the text, as plain JSON."""
    from corpus.text.line_normalization import VERSIONS

    versions = [VERSION, VERSIONS[settings.normalization]]
    return {"versions": versions, **settings.model_dump(mode="json")}


@dataclass(frozen=True)
class LineSteps:
    """What the steps have in common.

    Attributes:
        output: The exchange, a folder.
        key: Digest of all that the outcome depends on.
        parts: The build's parts.
        drops: Paths of the lists of their drops as duplicates.
        sources: Names of the sources, in the order of the recipe.
        lines: The settings.
        engine: What runs the tasks.
        progress: Who is told.
    """

    output: str
    key: str
    parts: Sequence[Part]
    drops: Sequence[str]
    sources: tuple[str, ...]
    lines: LineDedup
    engine: Engine
    progress: Progress

    def run(self) -> tuple[list[Losses], dict[str, int]]:
        """Return what each part loses, and the figures of the whole."""
        found = self._lines()
        cuts = self._cuts(self._keepers(found))
        losses = [Losses(cuts.path(s.output("cuts")), dict(s.measures)) for s in cuts.shards]
        figures = {name: cuts.measure(name) for name in MEASURES}
        return losses, {"lines": found.measure("lines"), **figures}

    def _lines(self) -> Manifest:
        tasks = [
            LinesTask(
                name=part.name,
                source=part.source,
                key=f"{self.key}-lines-{part.source}-{part.name}",
                weight=part.bytes + 1,
                part=part,
                drops=drops,
                lines=self.lines,
            )
            for part, drops in zip(self.parts, self.drops, strict=True)
        ]
        return make(self.output, "lines", hash_lines, tasks, self.engine, self.progress, exact=True)

    def _keepers(self, found: Manifest) -> Manifest:
        outputs = [shard.output("lines") for shard in found.shards]
        bits = exchange.bits(sum(output.rows for output in outputs), TASK_ROWS)
        every = (True,) * len(self.sources)
        losing = tuple(name in self.lines.sources for name in self.sources)
        tasks = [
            LineKeepersTask(
                name=f"{partition:05d}",
                source=EVERY,
                key=f"{self.key}-line-keepers-{partition}-{bits}",
                weight=1,
                lines=tuple(found.path(output) for output in outputs),
                sources=tuple(self.sources.index(part.source) for part in self.parts),
                partition=partition,
                bits=bits,
                scope=Scope(self.lines.scope, self.sources, every),
                loses=losing if self.lines.sources else every,
                minimum_documents=self.lines.minimum_documents,
            )
            for partition in range(1 << bits)
        ]
        return make(
            self.output,
            "line-keepers",
            find_line_keepers,
            tasks,
            self.engine,
            self.progress,
            exact=True,
        )

    def _cuts(self, keepers: Manifest) -> Manifest:
        paths = tuple(keepers.path(shard.output("keepers")) for shard in keepers.shards)
        tasks = [
            LineCutsTask(
                name=part.name,
                source=part.source,
                key=f"{self.key}-line-cuts-{part.source}-{part.name}",
                weight=part.bytes + 1,
                part=part,
                drops=drops,
                number=number,
                keepers=paths,
                sources=self.sources,
                lines=self.lines,
            )
            for number, (part, drops) in enumerate(zip(self.parts, self.drops, strict=True))
        ]
        return make(
            self.output, "line-cuts", find_line_cuts, tasks, self.engine, self.progress, exact=True
        )


def check_line_losses(recipe: Recipe, shards: Sequence[Shard], most: float, folder: str) -> None:
    """Stop where a source loses more of its text than it may.

    Raises:
        BoundError: One does.
    """
    for name in recipe.sources:
        own = [shard.measures for shard in shards if shard.source == name]
        whole, lost = (sum(one.get(key, 0) for one in own) for key in ("text_bytes", "cut_bytes"))
        if whole >= LEAST_BYTES and lost > most * whole:
            raise BoundError(
                f"{name} would lose {lost:,} of the {whole:,} bytes of its text to dedup.lines",
                where=folder,
                why="Lines that so many documents have are more often a fault of the extraction",
                fix="Look at the cuts with corpus inspect dedup; to spare lines raise "
                "dedup.lines.minimum_words or minimum_documents, to go on all the same raise "
                "dedup.max_loss",
            )

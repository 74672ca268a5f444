"""The steps of dedup in order, from signatures to the list of each part's drops.

Every step is a folder of its own inside the exchange, made by `corpus.stage_folder.make`: what is
done of it is not done again after an interruption.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from corpus.config import DedupScheme
from corpus.dedup import components, exchange
from corpus.dedup.components import ComponentsTask, find_components
from corpus.dedup.copies import CopiesTask, find_copies
from corpus.dedup.drops import DropsTask, list_drops
from corpus.dedup.edges import EdgesTask, find_edges
from corpus.dedup.order import Scope
from corpus.dedup.shingles import ShinglesTask, write_shingles
from corpus.dedup.signatures import Signed
from corpus.dedup.visit import VisitTask, visit_bucket
from corpus.engine import Engine
from corpus.manifest import Manifest
from corpus.parts import Part
from corpus.progress import Progress
from corpus.stage_folder import make

EVERY = "all"  # the source of a shard that is of all sources


@dataclass(frozen=True)
class Steps:
    """What the steps have in common.

    Attributes:
        output: The exchange, a folder.
        key: Digest of all that the outcome depends on.
        parts: The parts, those of the build and then those of the indexes.
        signed: Their signatures.
        scheme: What a near-duplicate is.
        scope: Which documents are compared.
        engine: What runs the tasks.
        progress: Who is told.
        names: What verdicts call the indexes.
        addresses: The documents with the address of a better one, if these are dropped.
    """

    output: str
    key: str
    parts: Sequence[Part]
    signed: Signed
    scheme: DedupScheme
    scope: Scope
    engine: Engine
    progress: Progress
    names: tuple[str, ...] = ()
    addresses: Manifest | None = None

    def run(self) -> tuple[Manifest, dict[str, Any]]:
        """Return the manifest of the drops, and the figures of the whole."""
        copies = self._copies()
        connected = self._components(copies, self._edges())
        visits = list(self._visits(connected))
        drops = self._drops(copies, visits)
        [shard] = connected.shards
        urls = self.addresses.measure("exact_duplicates") if self.addresses else 0
        return drops, {
            "documents": self.signed.own,
            "url_duplicates": urls,
            "index_documents": int(self.signed.bases[-1]) - self.signed.own,
            "exact_duplicates": copies.measure("exact_duplicates"),
            **shard.measures,
            "near_duplicates": sum(visit.measure("near_duplicates") for visit in visits),
            "compared": sum(visit.measure("compared") for visit in visits),
        }

    def _copies(self) -> Manifest:
        rows = self.signed.rows("texts")
        bits = exchange.bits(rows, exchange.TASK_ROWS)
        tasks = [
            CopiesTask(
                name=f"{partition:05d}",
                source=EVERY,
                key=f"{self.key}-copies-{partition}-{bits}",
                weight=1,
                signatures=self.signed.folders,
                partition=partition,
                bits=bits,
                scope=self.scope,
            )
            for partition in range(1 << bits)
        ]
        return make(self.output, "copies", find_copies, tasks, self.engine, self.progress)

    def _edges(self) -> Manifest:
        rows = self.signed.rows("bands")
        bits = exchange.bits(rows, exchange.TASK_ROWS)
        tasks = [
            EdgesTask(
                name=f"{partition:05d}",
                source=EVERY,
                key=f"{self.key}-edges-{partition}-{bits}",
                weight=1,
                signatures=self.signed.folders,
                partition=partition,
                bits=bits,
                scope=self.scope,
            )
            for partition in range(1 << bits)
        ]
        return make(self.output, "edges", find_edges, tasks, self.engine, self.progress)

    def _components(self, copies: Manifest, edges: Manifest) -> Manifest:
        task = ComponentsTask(
            name="components",
            source=EVERY,
            key=f"{self.key}-components-{components.BUCKET_SHINGLES}",
            weight=1,
            signatures=self.signed.folders,
            copies=copies.folder,
            edges=edges.folder,
            parts=tuple(self.parts),
            scope=self.scope,
            bucket_shingles=components.BUCKET_SHINGLES,
        )
        return make(self.output, "components", find_components, [task], self.engine, self.progress)

    def _shingles(self, connected: Manifest) -> Manifest:
        [shard] = connected.shards
        documents = self.signed.paths("documents")
        tasks = [
            ShinglesTask(
                name=f"{index:06d}",
                source=EVERY,
                key=f"{shard.key}-shingles-{index}",
                weight=output.rows,
                part=self.parts[index],
                documents=documents[index],
                base=int(self.signed.bases[index]),
                source_number=self.signed.sources[index],
                candidates=connected.path(output),
                scheme=self.scheme,
            )
            for index, output in zip(shard.details["parts"], shard.outputs, strict=True)
        ]
        return make(self.output, "shingles", write_shingles, tasks, self.engine, self.progress)

    def _visits(self, connected: Manifest) -> Iterator[Manifest]:
        """Yield a manifest for each round; there is but one unless a component is cut."""
        [shard] = connected.shards
        whole, tiers = shard.details["buckets"], shard.details["tiers"]
        if not whole and not tiers:
            return
        shingles = self._shingles(connected)
        firsts = [whole + sum(tiers[:index]) for index in range(len(tiers))]
        left: dict[int, str] = {}  # what is left of a bucket after the rounds so far
        for turn in range(max([1, *tiers])):
            tasks = [self._visit(shingles, turn, b) for b in range(whole)] if not turn else []
            for first, count in zip(firsts, tiers, strict=True):
                # In the first round there is nothing that later tiers could be compared with.
                later = range(turn, count) if turn else range(1)
                tasks += [self._visit(shingles, turn, first + b, left, b) for b in later]
            visits = make(self.output, "visit", visit_bucket, tasks, self.engine, self.progress)
            for task, done in zip(tasks, visits.shards, strict=True):
                if task.cut:
                    left[task.bucket] = visits.path(done.output("left"))
            yield visits

    def _visit(
        self,
        shingles: Manifest,
        turn: int,
        bucket: int,
        left: dict[int, str] | None = None,
        tier: int = 0,
    ) -> VisitTask:
        """Return the task of a bucket of whole components, or, with `left`, of a tier."""
        cut = left is not None
        before = bucket - tier + turn - 1 if cut and turn else -1
        return VisitTask(
            name=f"{bucket:05d}-{turn:05d}",
            source=EVERY,
            key=f"{self.key}-{components.BUCKET_SHINGLES}-visit-{bucket}-{turn}",
            weight=1,
            shingles=shingles.folder,
            bucket=bucket,
            kept_bucket=before,
            kept=left[before] if left is not None and before >= 0 else None,
            left=left.get(bucket) if left is not None else None,
            last=tier == turn,
            cut=cut,
            threshold=self.scheme.threshold,
            scope=self.scope,
        )

    def _drops(self, copies: Manifest, visits: Sequence[Manifest]) -> Manifest:
        task = DropsTask(
            name="drops",
            source=EVERY,
            key=f"{self.key}-drops",
            weight=1,
            signatures=self.signed.folders,
            parts=tuple(self.parts),
            copies=copies.folder,
            visits=tuple(visit.folder for visit in visits),
            scope=self.scope,
            names=self.names,
            addresses=self.addresses.folder if self.addresses else None,
        )
        return make(self.output, "drops", list_drops, [task], self.engine, self.progress)

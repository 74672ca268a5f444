"""The steps of dedup in order, from signatures to the list of each part's drops.

Every step is a folder of its own inside the exchange, made by `corpus.stage_folder.make`: what is
done of it is not done again after an interruption.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from corpus.config import DedupScheme
from corpus.dedup import components, exchange
from corpus.dedup.components import find_components
from corpus.dedup.copies import CopiesTask, find_copies
from corpus.dedup.drops import DropsTask, ListsTask, add_urls, list_drops
from corpus.dedup.edges import EdgesTask, find_edges
from corpus.dedup.fates import FatesTask, Setting, resolve_copies
from corpus.dedup.groups import move
from corpus.dedup.order import Scope
from corpus.dedup.parting import Parting
from corpus.dedup.rounds import Group, Rounds
from corpus.dedup.shingles import ShinglesTask, write_shingles
from corpus.dedup.signatures import Signed
from corpus.dedup.spans import EVERY, Span, firsts, ranges, spans
from corpus.dedup.visit import Place, visit_bucket
from corpus.engine import Engine
from corpus.manifest import Manifest, Shard, fingerprint
from corpus.parts import Part
from corpus.progress import Progress
from corpus.stage_folder import make


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
        copies = self._ranges("copies", "texts", CopiesTask, find_copies)
        edges = self._ranges("edges", "bands", EdgesTask, find_edges)
        found = ranges(self._documents(), self.signed.own_parts)
        candidates, figures = find_components(
            self.key, found, self.signed, self.parts, copies, edges, self._step
        )
        parted: dict[str, int] = {}
        visits = list(self._visits(candidates, parted))
        drops = self._drops(copies, visits)
        urls = self.addresses.measure("exact_duplicates") if self.addresses else 0
        return drops, {
            "documents": self.signed.own,
            "url_duplicates": urls,
            "index_documents": int(self.signed.bases[-1]) - self.signed.own,
            "exact_duplicates": copies.measure("exact_duplicates"),
            **figures,
            **parted,
            "near_duplicates": sum(visit.measure("near_duplicates") for visit in visits),
            "compared": sum(visit.measure("compared") for visit in visits),
            "unfinished": sum(visit.measure("unfinished") for visit in visits),
        }

    def _step(self, name: str, function: Callable[[Any], Shard], tasks: Sequence[Any]) -> Manifest:
        return make(self.output, name, function, tasks, self.engine, self.progress, exact=True)

    def _ranges(
        self, step: str, role: str, task: type[Any], function: Callable[[Any], Shard]
    ) -> Manifest:
        """Make a step that sorts keys, one range of them a task."""
        most = exchange.COPY_ROWS if step == "copies" else exchange.TASK_ROWS
        bits = exchange.bits(self.signed.rows(role), most)
        found = self._ranges_of_documents()
        bounds = {"bounds": found}
        if step == "copies":
            bounds = {"bounds": self._bounds(), "ranges": found}
        tasks = [
            task(
                name=f"{partition:05d}",
                source=EVERY,
                key=f"{self.key}-{step}-{partition}-{bits}-{fingerprint(found)[:12]}",
                weight=1,
                signatures=self.signed.folders,
                partition=partition,
                bits=bits,
                scope=self.scope,
                **bounds,
            )
            for partition in range(1 << bits)
        ]
        return self._step(step, function, tasks)

    def _shingles(self, candidates: Manifest) -> Manifest:
        documents = self.signed.paths("documents")
        piles = _buckets(candidates)
        tasks = []
        before = 0
        for shard in candidates.shards:
            told = (shard.details["parts"], shard.details["large"], shard.outputs)
            for index, large, output in zip(*told, strict=True):
                tasks.append(
                    ShinglesTask(
                        name=f"{index:06d}",
                        source=EVERY,
                        key=f"{shard.key}-shingles-{index}",
                        weight=output.rows,
                        part=self.parts[index],
                        documents=documents[index],
                        base=int(self.signed.bases[index]),
                        source_number=self.signed.sources[index],
                        candidates=candidates.path(output),
                        scheme=self.scheme,
                        piles=piles,
                        before=before,
                        pile_shingles=components.BUCKET_SHINGLES,
                    )
                )
                before += large
        return self._step("shingles", write_shingles, tasks)

    def _visits(self, candidates: Manifest, parted: dict[str, int]) -> Iterator[Manifest]:
        """Yield a manifest for each round; there is but one unless a component is cut."""
        if not any(shard.outputs for shard in candidates.shards):
            return
        shingles = self._shingles(candidates)
        piles = sorted({pile for shard in shingles.shards for pile in shard.details["piles"]})
        whole = [Place(shingles.folder, bucket) for bucket in range(_buckets(candidates))]
        groups: list[Group] = []
        size = components.BUCKET_SHINGLES
        if piles:
            bounds = self._ranges_of_documents()
            parting = Parting(
                self.key, self.scheme.threshold, self.scope, bounds, shingles, self._step
            )
            more, groups, figures = parting.run(piles)
            whole += more
            parted.update(figures)
        yield from Rounds(
            key=f"{self.key}-{size}",
            threshold=self.scheme.threshold,
            scope=self.scope,
            bounds=self._bounds(),
            bucket_shingles=size,
            visit=lambda tasks: self._step("visit", visit_bucket, tasks),
            move=lambda tasks: self._step("move", move, tasks),
        ).run(whole, groups)

    def _drops(self, copies: Manifest, visits: Sequence[Manifest]) -> Manifest:
        setting = Setting(
            signatures=self.signed.folders,
            parts=tuple(self.parts),
            spans=self._spans(),
            scope=self.scope,
            names=self.names,
            copies=copies.folder,
            visits=tuple(visit.folder for visit in visits),
        )

        def tasks(kind: type[Any], step: str, count: int, **given: Any) -> list[Any]:
            keys = [f"{self.key}-{step}-{span}-{count}" for span in range(count)]
            return [
                kind(f"{span:05d}", EVERY, key, 1, setting, span, **given)
                for span, key in enumerate(keys)
            ]

        every = len(setting.spans)
        own = sum(first < self.signed.own_parts for first, _ in setting.spans)
        fates = self._step("fates", resolve_copies, tasks(FatesTask, "fates", every))
        addresses = self.addresses.folder if self.addresses else None
        told = {"fates": fates.folder, "addresses": addresses}
        # Only addresses are listed for spans of an index: others have their address.
        listed = tasks(DropsTask, "drops", every if addresses else own, **told)
        drops = self._step("drops", list_drops, listed)
        if addresses is None:
            return drops
        return self._step("lists", add_urls, tasks(ListsTask, "lists", own, drops=drops.folder))

    def _documents(self) -> list[int]:
        """Return how many documents each part has."""
        return [int(count) for count in np.diff(self.signed.bases)]

    def _ranges_of_documents(self) -> tuple[int, ...]:
        found = ranges(self._documents(), self.signed.own_parts)
        return (*firsts(self.signed.bases, found), int(self.signed.bases[-1]))

    def _spans(self) -> tuple[Span, ...]:
        return spans([part.rows for part in self.parts], self.signed.own_parts)

    def _bounds(self) -> tuple[int, ...]:
        return firsts(self.signed.bases, self._spans())


def _buckets(candidates: Manifest) -> int:
    """Return how many buckets of whole components there are."""
    return max(int(shard.details["buckets"]) for shard in candidates.shards)

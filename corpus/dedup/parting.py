"""The parting of large components, so that what is visited at a time fits into memory.

Documents that can be similar enough share one of their first shingles in the order of rarity
(`corpus.dedup.prefix`). So the records of these, exchanged by their hashes as band keys are, part a
component of a million pages of one template, which share a band and little else, into single pages.
What this leaves connected, and is too large for one bucket, is visited in rounds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from corpus.dedup import components, exchange
from corpus.dedup.groups import RANKED_ROWS, AssignTask, MoveTask, assign, move
from corpus.dedup.labels import Labels
from corpus.dedup.links import LinksTask, find_links
from corpus.dedup.order import Scope
from corpus.dedup.prefixes import PrefixesTask, RarityTask, count_rarity, sampled, write_prefixes
from corpus.dedup.rounds import Group
from corpus.dedup.spans import EVERY
from corpus.dedup.sums import Connected, Sizes, total
from corpus.dedup.tiers import TiersTask, cut_tiers
from corpus.dedup.visit import Place
from corpus.manifest import Manifest, Shard, fingerprint

# Records of a range, and at most: one shingle of all pages of a template is in one range.
RANGE_ROWS = 1_000_000
MOST_ROWS = 3_000_000


@dataclass(frozen=True)
class Parting:
    """What the steps have in common.

    Attributes:
        key: Digest of all that the outcome depends on.
        threshold: Least Jaccard index.
        scope: Which documents are compared.
        bounds: The first document of each range of them, and past them that of all.
        shingles: The shingles by bucket and pile.
        step: What makes a step: its name, what does a task, and the tasks.
    """

    key: str
    threshold: float
    scope: Scope
    bounds: tuple[int, ...]
    shingles: Manifest
    step: Callable[[str, Callable[[Any], Shard], Sequence[Any]], Manifest]

    def run(self, piles: Sequence[int]) -> tuple[list[Place], list[Group], dict[str, int]]:
        """Return buckets of whole groups, the groups that are cut into tiers, and the figures.

        Args:
            piles: The buckets with documents of large components.
        """
        prefixes = self._prefixes(piles)
        links = self._links(prefixes)
        key = f"{self.key}-groups-{fingerprint(self.bounds)[:12]}"
        labels = Labels(key, EVERY, self.bounds, self.step).find([links])
        size = components.BUCKET_SHINGLES
        own = self._overlapping(piles, prefixes)
        connected = Connected(
            labels=labels.folder,
            bounds=self.bounds,
            sizes=tuple(tuple(Sizes(path, "size", -1) for _, path in one) for one in own),
            copies=None,
            own=self.bounds[-1],  # documents of an index count like others
            large=size,
            bucket=size,
        )
        totals = total(key, connected, self.step)
        tasks = [
            AssignTask(
                name=f"{number:05d}",
                source=EVERY,
                key=f"{key}-{number}-{size}",
                weight=1,
                connected=connected,
                number=number,
                totals=totals.folder,
                piles=one,
                scope=self.scope,
            )
            for number, one in enumerate(own)
        ]
        groups = self.step("groups", assign, tasks)
        whole = max(int(shard.details["buckets"]) for shard in groups.shards)
        tiers = self._tiers(groups, whole)
        folder = self._moved(piles, groups, tiers)
        found: list[Group] = []
        first = whole
        for number, sizes in enumerate(tiers.shards[0].details["tiers"] if tiers else ()):
            places = tuple(Place(folder, first + n) for n in range(len(sizes)))
            found.append(Group(f"group-{number:05d}", places, tuple(sizes)))
            first += len(sizes)
        largest = max(shard.measures["largest"] for shard in totals.shards)
        figures = {
            "grouped": totals.measure("members"),
            "groups": totals.measure("components"),
            "largest_group": max(1, largest),
        }
        return [Place(folder, bucket) for bucket in range(whole)], found, figures

    def _overlapping(
        self, piles: Sequence[int], prefixes: Manifest
    ) -> list[tuple[tuple[int, str], ...]]:
        """Return, for each range, the piles that have documents of it, with their members."""
        ends = [shard.details["ends"] for shard in prefixes.shards]
        paths = [prefixes.path(shard.output("members")) for shard in prefixes.shards]
        return [
            tuple(
                (pile, path)
                for pile, path, (start, end) in zip(piles, paths, ends, strict=True)
                if start < last and end >= first
            )
            for first, last in itertools.pairwise(self.bounds)
        ]

    def _tiers(self, groups: Manifest, bucket: int) -> Manifest | None:
        """Return the tiers of groups that are too large for a bucket, if there are any."""
        ranked = [output for shard in groups.shards for output in shard.all("ranked")]
        if not ranked:
            return None
        size = components.BUCKET_SHINGLES
        task = TiersTask(
            name="tiers",
            source=EVERY,
            key=f"{self.key}-tiers-{size}",
            weight=1,
            ranked=tuple((groups.path(one), -(-one.rows // RANKED_ROWS)) for one in ranked),
            scope=self.scope,
            bucket=bucket,
            tier_shingles=size,
        )
        return self.step("tiers", cut_tiers, [task])

    def _moved(self, piles: Sequence[int], groups: Manifest, tiers: Manifest | None) -> str:
        """Return the folder of the shingles by their new buckets."""
        documents: dict[int, list[str]] = {}
        for shard in groups.shards:
            for pile, output in zip(shard.details["piles"], shard.all("assigned"), strict=True):
                documents.setdefault(pile, []).append(groups.path(output))
        size = components.BUCKET_SHINGLES
        tasks = [
            MoveTask(
                name=f"{pile:05d}",
                source=EVERY,
                key=f"{self.key}-move-{pile}-{size}",
                weight=1,
                shingles=self.shingles.folder,
                bucket=pile,
                documents=tuple(documents.get(pile, ())),
                tiers=tiers.folder if tiers else None,
            )
            for pile in piles
            if pile in documents or tiers
        ]
        return self.step("move", move, tasks).folder

    def _prefixes(self, piles: Sequence[int]) -> Manifest:
        size = components.BUCKET_SHINGLES
        counted = RarityTask(
            name="rarity",
            source=EVERY,
            key=f"{self.key}-rarity-{size}",
            weight=1,
            shingles=self.shingles.folder,
            piles=sampled(piles),
        )
        rarity = self.step("rarity", count_rarity, [counted])
        tasks = [
            PrefixesTask(
                name=f"{pile:05d}",
                source=EVERY,
                key=f"{self.key}-prefixes-{pile}-{size}",
                weight=1,
                shingles=self.shingles.folder,
                pile=pile,
                rarity=rarity.folder,
                threshold=self.threshold,
            )
            for pile in piles
        ]
        return self.step("prefixes", write_prefixes, tasks)

    def _links(self, prefixes: Manifest) -> Manifest:
        rows = sum(shard.output("prefixes").rows for shard in prefixes.shards)
        bits = exchange.bits(rows, RANGE_ROWS)
        tasks = [
            LinksTask(
                name=f"{partition:05d}",
                source=EVERY,
                key=f"{self.key}-links-{partition}-{bits}-{MOST_ROWS}",
                weight=1,
                prefixes=prefixes.folder,
                partition=partition,
                bits=bits,
                rows=MOST_ROWS,
                threshold=self.threshold,
                bounds=self.bounds,
            )
            for partition in range(1 << bits)
        ]
        return self.step("links", find_links, tasks)

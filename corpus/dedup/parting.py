"""The parting of large components, so that what is visited at a time fits into memory.

Documents that can be similar enough share one of their first shingles in the order of rarity
(`corpus.dedup.prefix`). So the records of these, exchanged by their hashes as band keys are, part a
component of a million pages of one template, which share a band and little else, into single pages.
What this leaves connected, and is too large for one bucket, is visited in rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from corpus.dedup import components, exchange
from corpus.dedup.groups import GroupsTask, MoveTask, find_groups, move
from corpus.dedup.links import LinksTask, find_links
from corpus.dedup.order import Scope
from corpus.dedup.prefixes import PrefixesTask, RarityTask, count_rarity, sampled, write_prefixes
from corpus.dedup.rounds import EVERY, Group
from corpus.dedup.visit import Place
from corpus.manifest import Manifest, Shard

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
        shingles: The shingles by bucket and pile.
        step: What makes a step: its name, what does a task, and the tasks.
    """

    key: str
    threshold: float
    scope: Scope
    shingles: Manifest
    step: Callable[[str, Callable[[Any], Shard], Sequence[Any]], Manifest]

    def run(self, piles: Sequence[int]) -> tuple[list[Place], list[Group], dict[str, int]]:
        """Return buckets of whole groups, the groups that are cut into tiers, and the figures.

        Args:
            piles: The buckets with documents of large components.
        """
        prefixes = self._prefixes(piles)
        links = self._links(prefixes)
        size = components.BUCKET_SHINGLES
        task = GroupsTask(
            name="groups",
            source=EVERY,
            key=f"{self.key}-groups-{size}",
            weight=1,
            prefixes=prefixes.folder,
            links=links.folder,
            scope=self.scope,
            bucket_shingles=size,
        )
        groups = self.step("groups", find_groups, [task])
        [shard] = groups.shards
        moves = [
            MoveTask(
                name=f"{pile:05d}",
                source=EVERY,
                key=f"{self.key}-move-{pile}-{size}",
                weight=1,
                shingles=self.shingles.folder,
                bucket=pile,
                documents=groups.path(output),
            )
            for pile, output in zip(piles, shard.outputs, strict=True)
            if output.rows
        ]
        folder = self.step("move", move, moves).folder
        whole = shard.details["buckets"]
        found: list[Group] = []
        first = whole
        for number, tiers in enumerate(shard.details["tiers"]):
            places = tuple(Place(folder, first + n) for n in range(len(tiers)))
            found.append(Group(f"group-{number:05d}", places, tuple(tiers)))
            first += len(tiers)
        return [Place(folder, bucket) for bucket in range(whole)], found, dict(shard.measures)

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
            )
            for partition in range(1 << bits)
        ]
        return self.step("links", find_links, tasks)

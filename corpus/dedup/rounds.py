"""The rounds of visits: one for the buckets of whole components, more for groups cut into tiers.

In the first round the first tier of each group is visited. In each later one what is left of the
tiers is compared with what the round before has kept, the first of them is then visited, and so on.
Where little is left of the tiers, as of near-copies of one page, it is put into fewer ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from corpus.dedup import visit
from corpus.dedup.components import cut
from corpus.dedup.groups import MoveTask
from corpus.dedup.order import Scope
from corpus.dedup.spans import EVERY
from corpus.dedup.visit import Place, VisitTask
from corpus.manifest import Manifest


@dataclass(frozen=True)
class Group:
    """A group that is cut, before a round.

    Attributes:
        name: Its number.
        tiers: Those that have not been visited, in the order of visits.
        shingles: What is left of each, in shingles.
        kept: What the round before has kept, or None before the first one.
    """

    name: str
    tiers: tuple[Place, ...]
    shingles: tuple[int, ...]
    kept: Place | None = None


@dataclass(frozen=True)
class Rounds:
    """What the rounds have in common.

    Attributes:
        key: Digest of all that the outcome depends on.
        threshold: Least Jaccard index.
        scope: Which documents are compared.
        bounds: The first document of each span of parts.
        bucket_shingles: Shingles in a tier.
        visit: What makes the step of a round.
        move: What makes the step that puts tiers together.
    """

    key: str
    threshold: float
    scope: Scope
    bounds: tuple[int, ...]
    bucket_shingles: int
    visit: Callable[[Sequence[VisitTask]], Manifest]
    move: Callable[[Sequence[MoveTask]], Manifest]

    def run(self, whole: Sequence[Place], groups: Sequence[Group]) -> Iterator[Manifest]:
        """Yield the manifest of each round.

        Args:
            whole: Buckets of whole components.
            groups: The groups that are cut.
        """
        turn = 0
        while whole or groups:
            tasks = [self._task(f"{n:05d}", place) for n, place in enumerate(whole)]
            for group in groups:
                # In the first round there is nothing that later tiers could be compared with.
                count = len(group.tiers) if group.kept else 1
                tasks += [self._task_of_tier(group, n, turn) for n in range(count)]
            done = self.visit(tasks)
            yield done
            made = {shard.name: shard for shard in done.shards}
            left = []
            for group in groups:
                tiers, shingles = list(group.tiers), list(group.shingles)
                for n in range(len(tiers) if group.kept else 1):
                    shard = made[_name(group, n, turn)]
                    tiers[n] = replace(tiers[n], left=done.path(shard.output("left")))
                    shingles[n] = shard.measures["left"]
                filled = [n for n in range(1, len(tiers)) if shingles[n]]
                if filled:
                    later = tuple(tiers[n] for n in filled)
                    sizes = tuple(shingles[n] for n in filled)
                    left.append(Group(group.name, later, sizes, tiers[0]))
            groups = self._packed(left, turn)
            whole = ()
            turn += 1

    def _task(self, name: str, place: Place) -> VisitTask:
        return VisitTask(
            name=name,
            source=EVERY,
            key=f"{self.key}-visit-{name}",
            weight=1,
            place=place,
            kept=None,
            last=True,
            cut=False,
            threshold=self.threshold,
            scope=self.scope,
            bounds=self.bounds,
            most_looked=visit.MOST_LOOKED,
            most_tried=visit.MOST_TRIED,
        )

    def _task_of_tier(self, group: Group, number: int, turn: int) -> VisitTask:
        task = self._task(_name(group, number, turn), group.tiers[number])
        return replace(task, kept=group.kept, last=number == 0, cut=True)

    def _packed(self, groups: Sequence[Group], turn: int) -> list[Group]:
        """Return groups, what is left being in half as many tiers where it fits into them."""
        tasks: list[MoveTask] = []
        packed: dict[str, tuple[list[int], list[int]]] = {}
        for group in groups:
            into = cut(np.array(group.shingles), self.bucket_shingles)
            compared = all(place.left for place in group.tiers)
            if not compared or 2 * (int(into[-1]) + 1) > len(group.tiers):
                continue
            first = len(packed) and 1 + max(max(buckets) for buckets, _ in packed.values())
            sums = np.bincount(into, weights=group.shingles).astype(np.int64)
            packed[group.name] = (list(range(first, first + len(sums))), sums.tolist())
            tasks += [
                MoveTask(
                    name=f"{_name(group, n, turn)}-tier",
                    source=EVERY,
                    key=f"{self.key}-move-{_name(group, n, turn)}",
                    weight=1,
                    shingles=place.shingles,
                    bucket=place.bucket,
                    documents=(str(place.left),),
                    into=first + int(into[n]),
                )
                for n, place in enumerate(group.tiers)
            ]
        if not tasks:
            return list(groups)
        folder = self.move(tasks).folder
        return [
            replace(
                group,
                tiers=tuple(Place(folder, bucket) for bucket in packed[group.name][0]),
                shingles=tuple(packed[group.name][1]),
            )
            if group.name in packed
            else group
            for group in groups
        ]


def _name(group: Group, number: int, turn: int) -> str:
    return f"{group.name}-{turn:05d}-{number:05d}"

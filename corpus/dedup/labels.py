"""Labels: the smallest document that each one is connected with, found in rounds by many tasks.

Large and small stars in turns (Kiveris et al. 2014: "Connected Components in MapReduce and
Beyond"). A small star connects the smaller neighbours of a document, and itself, with the smallest
of them; a large star connects the larger ones with it. Neither changes what is connected, and there
are never more edges than before. After a few rounds each component is a star around its smallest
document; a chain takes about as many as its length has bits.

In: edges, each in an exchange by the range of its larger end. Out: the last large stars, `edges`
(document, other) with the label of each document that has an edge at all, by the document's range.
A task holds 18 bytes for each document of its range, 24 more for one with edges, and twice as many
edges as it sorts at a time; edges are read file by file, twice, so that it does not matter how many
one document has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.dedup import exchange
from corpus.dedup.spans import span_of
from corpus.manifest import Manifest, Output, Shard, read_manifest
from corpus.parts import Part, read_columns, standing_rows

SORTED_EDGES = 500_000  # that a task sorts and writes at a time, in some 200 bytes each

Ints = npt.NDArray[np.int64]
Step = Callable[[str, Callable[[Any], Shard], Sequence[Any]], Manifest]


@dataclass(frozen=True)
class IndexPart:
    """A part of an index, of which only documents that were kept connect others.

    Attributes:
        part: The part.
        documents: Path of its signatures' documents.
        base: Number of its first document.
    """

    part: Part
    documents: str
    base: int


@dataclass(frozen=True)
class StarsTask:
    """The stars of the documents of one range.

    Attributes:
        edges: Folders of the edges.
        bounds: The first document of each range, and past them that of all.
        number: The range.
        index: The range's parts, if it is of an index and has not been looked at before.
    """

    name: str
    source: str
    key: str
    weight: int
    edges: tuple[str, ...]
    bounds: tuple[int, ...]
    number: int
    index: tuple[IndexPart, ...] = ()
    folder: str = ""


@dataclass(frozen=True)
class Labels:
    """What the rounds have in common.

    Attributes:
        key: Digest of all that the outcome depends on.
        source: Name for the files of the tasks.
        bounds: The first document of each range, and past them that of all.
        step: What makes a step: its name, what does a task, and the tasks.
        index: Of each range, its parts if these are of an index.
    """

    key: str
    source: str
    bounds: tuple[int, ...]
    step: Step
    index: tuple[tuple[IndexPart, ...], ...] = ()

    def find(self, edges: Sequence[Manifest]) -> Manifest:
        """Return the manifest of the stars that are left when nothing changes any more."""
        folders = tuple(manifest.folder for manifest in edges)
        turn = 0
        while True:
            smaller = self._tasks("small", turn, folders)
            if not turn and self.index:
                smaller = [replace(one, index=self.index[one.number]) for one in smaller]
            small = self.step("small-stars", small_stars, smaller)
            tasks = self._tasks("large", turn, (small.folder,))
            large = self.step("large-stars", large_stars, tasks)
            if not large.measure("changed"):
                return large
            folders = (large.folder,)
            turn += 1

    def _tasks(self, kind: str, turn: int, folders: tuple[str, ...]) -> list[StarsTask]:
        return [
            StarsTask(
                name=f"{number:05d}",
                source=self.source,
                key=f"{self.key}-{kind}-{turn}-{number}",
                weight=1,
                edges=folders,
                bounds=self.bounds,
                number=number,
            )
            for number in range(len(self.bounds) - 1)
        ]


def write_edges(folder: str, path: str, ends: pa.Table, bounds: Sequence[int]) -> Output:
    """Write edges for `Labels` and return the file's entry in the manifest.

    Args:
        folder: The step's folder.
        path: Relative to it.
        ends: `left`, the smaller end of each edge, and `right`.
        bounds: As in `Labels`.
    """
    table = pa.table({"document": ends["right"], "other": ends["left"]})
    partition = span_of(table["document"].to_numpy(), bounds)
    return exchange.write(folder, path, table, partition, "edges")


def read_labels(folder: str, bounds: Sequence[int], number: int) -> Ints:
    """Return the label of each document of a range, or -1 for one without edges."""
    first, last = bounds[number : number + 2]
    labels = np.full(last - first, -1, dtype=np.int64)
    for document, other in _edges((folder,), number):
        labels[document - first] = other
    return labels


def small_stars(task: StarsTask) -> Shard:
    """Connect the smaller neighbours of each document with the smallest; write both directions."""
    first, last = task.bounds[task.number : task.number + 2]
    least = np.arange(first, last)
    for document, other in _standing(task):
        np.minimum.at(least, document - first, other)
    pieces = _Pieces(task, both=True)
    for document, other in _standing(task):
        center = least[document - first]
        moved = other != center
        pieces.add(other[moved], center[moved])
    own = np.flatnonzero(least != np.arange(first, last))
    pieces.add(own + first, least[own])
    return Shard(task.name, task.source, task.key, pieces.written())


def large_stars(task: StarsTask) -> Shard:
    """Connect the larger neighbours of each document with its smallest one, or with itself.

    A document without smaller ones is written with itself. The measure `changed` is 0 when all that
    came in were stars already.
    """
    first, last = task.bounds[task.number : task.number + 2]
    least = np.arange(first, last)
    inner = np.zeros(last - first, dtype=np.bool_)  # has larger neighbours
    for document, other in _edges(task.edges, task.number):
        np.minimum.at(least, document - first, other)
        inner[document[other > document] - first] = True
    pieces = _Pieces(task, both=False)
    changed = 0
    for document, other in _edges(task.edges, task.number):
        center = least[document - first]
        larger = other > document
        changed += int((np.where(larger, document, other) != center).sum())
        pieces.add(other[larger], center[larger])
    own = first + np.flatnonzero(inner & (least == np.arange(first, last)))
    pieces.add(own, own)
    measures = {"changed": changed}
    return Shard(task.name, task.source, task.key, pieces.written(), measures=measures)


def _edges(folders: Sequence[str], number: int) -> Iterator[tuple[Ints, Ints]]:
    """Yield the edges of the documents of one range, file by file."""
    for folder in folders:
        manifest = read_manifest(folder)
        for shard in manifest.shards:
            for output in shard.all("edges"):
                table = exchange.read(manifest.path(output), number, number + 1)
                if len(table):
                    yield table["document"].to_numpy(), table["other"].to_numpy()


def _standing(task: StarsTask) -> Iterator[tuple[Ints, Ints]]:
    """Yield the edges but those of documents that an index has dropped."""
    if not task.index:
        yield from _edges(task.edges, task.number)
        return
    first, last = task.bounds[task.number : task.number + 2]
    stands = np.ones(last - first, dtype=np.bool_)
    for one in task.index:
        rows = read_columns(one.documents, ["row"])["row"].to_numpy()
        start = one.base - first
        stands[start : start + len(rows)] = standing_rows(one.part)[rows]
    for document, other in _edges(task.edges, task.number):
        kept = stands[document - first]
        yield document[kept], other[kept]


class _Pieces:
    """The edges that a task writes, sorted and each once in a file of so many.

    Args:
        task: The task.
        both: Whether each edge is written for both of its ends.
    """

    def __init__(self, task: StarsTask, *, both: bool) -> None:
        self._task = task
        self._both = both
        self._held: list[tuple[Ints, Ints]] = []
        self._rows = 0
        self._outputs: list[Output] = []

    def add(self, document: Ints, other: Ints) -> None:
        """Take in edges."""
        for start in range(0, len(document), SORTED_EDGES):
            piece = slice(start, start + SORTED_EDGES)
            self._held.append((document[piece], other[piece]))
            self._rows += len(document[piece])
            if self._rows >= SORTED_EDGES:
                self._write()

    def written(self) -> tuple[Output, ...]:
        """Write what is left and return the entries of all files."""
        self._write()
        return tuple(self._outputs)

    def _write(self) -> None:
        if not self._rows:
            return
        document, other = (np.concatenate(ends) for ends in zip(*self._held, strict=True))
        self._held, self._rows = [], 0
        if self._both:
            document, other = np.concatenate([document, other]), np.concatenate([other, document])
        order = np.lexsort((other, document))
        document, other = document[order], other[order]
        del order
        fresh = np.ones(len(document), dtype=np.bool_)
        fresh[1:] = (document[1:] != document[:-1]) | (other[1:] != other[:-1])
        table = pa.table({"document": document[fresh], "other": other[fresh]})
        del document, other
        partition = span_of(table["document"].to_numpy(), self._task.bounds)
        task, number = self._task, len(self._outputs)
        path = f"{task.source}/{task.name}.{number}.arrow"
        self._outputs.append(exchange.write(task.folder, path, table, partition, "edges"))

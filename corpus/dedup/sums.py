"""The sizes of components, whose documents are in many ranges, added up where their label is.

In: labels and the number of shingles of each document. `sums` writes, of each range, how many
documents and shingles each label has there, sorted into an exchange by the label's range. `totals`
adds these up and writes back to each range that has documents of a component whether it is large,
or how many shingles are in smaller components before it. A task holds some 50 bytes for each
document of its range that is connected with another, and 30 for any other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.dedup import exchange
from corpus.dedup.labels import Step, read_labels
from corpus.dedup.spans import EVERY, span_of
from corpus.manifest import Manifest, Output, Shard, read_manifest
from corpus.parts import read_columns

SORTED_PLACES = 1_000_000  # rows that a task of `totals` writes at a time
LARGE = -1  # the place of a component that is too large for a bucket

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sizes:
    """A file with the number of shingles of documents.

    Attributes:
        path: The file.
        column: Its column of numbers.
        base: The document of its first row, or -1 when it has a column `document`, ascending.
    """

    path: str
    column: str
    base: int


@dataclass(frozen=True)
class Connected:
    """What is known of connected documents.

    Attributes:
        labels: Folder of the labels.
        bounds: The first document of each range, and past them that of all.
        sizes: Of each range, where the numbers of shingles are.
        copies: Folder of the copies, those among which that are dropped do not count, or None.
        own: The first document of an index; components of such ones alone do not count.
        large: Shingles of a component that is not too large.
        bucket: Shingles in a bucket.
    """

    labels: str
    bounds: tuple[int, ...]
    sizes: tuple[tuple[Sizes, ...], ...]
    copies: str | None
    own: int
    large: int
    bucket: int

    def members(self, number: int) -> tuple[Ints, Ints, Ints]:
        """Return the documents of a range that count, their labels and numbers of shingles."""
        first = self.bounds[number]
        labels = read_labels(self.labels, self.bounds, number)
        if self.copies is not None:
            manifest = read_manifest(self.copies)
            for shard in manifest.shards:
                gone = exchange.read(manifest.path(shard.output("gone")), number, number + 1)
                labels[gone["document"].to_numpy() - first] = -1
        document = np.flatnonzero(labels >= 0)
        labels = labels[document]
        document += first
        shingles = np.zeros(len(document), dtype=np.int64)
        for one in self.sizes[number]:
            columns = [one.column] if one.base >= 0 else ["document", one.column]
            table = read_columns(one.path, columns)
            if not len(table):
                continue
            begin = one.base if one.base >= 0 else table["document"][0].as_py()
            end = begin + len(table) if one.base >= 0 else table["document"][-1].as_py() + 1
            own = slice(*np.searchsorted(document, [begin, end]).tolist())
            row = document[own] - one.base
            if one.base < 0:
                row = np.searchsorted(table["document"].to_numpy(), document[own])
            shingles[own] = table[one.column].to_numpy()[row]
        return document, labels, shingles


@dataclass(frozen=True)
class SumsTask:
    """The documents of one range."""

    name: str
    source: str
    key: str
    weight: int
    connected: Connected
    number: int
    folder: str = ""


@dataclass(frozen=True)
class TotalsTask:
    """The components whose label is in one range.

    Attributes:
        connected: What is known of the documents.
        number: The range.
        sums: Folder of the sums.
    """

    name: str
    source: str
    key: str
    weight: int
    connected: Connected
    number: int
    sums: str
    folder: str = ""


def total(key: str, connected: Connected, step: Step) -> Manifest:
    """Return the manifest of the places of components.

    Args:
        key: Digest of all that the outcome depends on.
        connected: What is known of the documents.
        step: What makes a step.
    """
    ranges = range(len(connected.bounds) - 1)
    sums = step(
        "sums",
        add_up,
        [SumsTask(f"{n:05d}", EVERY, f"{key}-sums-{n}", 1, connected, n) for n in ranges],
    )
    told = f"{key}-totals-{connected.large}-{connected.bucket}"
    return step(
        "totals",
        find_totals,
        [
            TotalsTask(f"{n:05d}", EVERY, f"{told}-{n}", 1, connected, n, sums.folder)
            for n in ranges
        ],
    )


def add_up(task: SumsTask) -> Shard:
    """Write how many documents and shingles of one range each label has."""
    connected = task.connected
    _, labels, shingles = connected.members(task.number)
    label, component, members = np.unique(labels, return_inverse=True, return_counts=True)
    totals = np.zeros(len(label), dtype=np.int64)
    np.add.at(totals, component, shingles)
    table = pa.table({"label": label, "members": members, "shingles": totals})
    path = f"{task.source}/{task.name}.arrow"
    partition = span_of(label, connected.bounds)
    output = exchange.write(task.folder, path, table, partition, "sums")
    return Shard(task.name, task.source, task.key, (output,))


def find_totals(task: TotalsTask) -> Shard:
    """Write the place of each component of a range for all ranges that have documents of it.

    The measures count components of several documents, of which one is the build's own.
    """
    connected = task.connected
    first, last = connected.bounds[task.number : task.number + 2]
    members, own, shingles = np.zeros((3, last - first), dtype=np.int64)
    sums = read_manifest(task.sums)
    paths = [sums.path(shard.output("sums")) for shard in sums.shards]
    for number, path in enumerate(paths):
        table = exchange.read(path, task.number, task.number + 1)
        row = table["label"].to_numpy() - first  # each label once
        members[row] += table["members"].to_numpy()
        shingles[row] += table["shingles"].to_numpy()
        if connected.bounds[number] < connected.own:
            own[row] += table["members"].to_numpy()
    counts = (members > 1) & (own > 0)
    small = counts & (shingles <= connected.large)
    before = np.cumsum(np.where(small, shingles, 0)) - np.where(small, shingles, 0)
    place = np.where(small, before, LARGE)
    outputs: list[Output] = []
    held: list[pa.Table] = []
    rows = 0
    for number, path in enumerate(paths):
        label = exchange.read(path, task.number, task.number + 1)["label"].to_numpy()
        label = label[counts[label - first]]
        held.append(_places(label, place[label - first], number))
        rows += len(label)
        if rows >= SORTED_PLACES or path == paths[-1]:
            table = pa.concat_tables(held)
            name = f"{task.source}/{task.name}.{len(outputs)}.arrow"
            partition = table["range"].to_numpy()
            table = table.drop_columns(["range"])
            outputs.append(exchange.write(task.folder, name, table, partition, "places"))
            held, rows = [], 0
    return Shard(
        task.name,
        task.source,
        task.key,
        tuple(outputs),
        measures={
            "members": int(members[counts].sum()),
            "others": int((members - own)[counts].sum()),
            "components": int(counts.sum()),
            "largest": int(members[counts].max(initial=0)),
            "shingles": int(shingles[small].sum()),
        },
    )


def _places(label: Ints, place: Ints, number: int) -> pa.Table:
    return pa.table({"label": label, "place": place, "range": np.full(len(label), number)})


def bucketed(connected: Connected, totals: Manifest, number: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Return the documents of a range that are in components that count.

    Returns:
        Their numbers, labels, buckets (`LARGE` for those of a large component) and shingles.
    """
    document, labels, shingles = connected.members(number)
    before = 0
    found, buckets = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for shard in totals.shards:
        for output in shard.all("places"):
            table = exchange.read(totals.path(output), number, number + 1)
            place = table["place"].to_numpy()
            found.append(table["label"].to_numpy())
            buckets.append(np.where(place == LARGE, LARGE, (before + place) // connected.bucket))
        before += shard.measures["shingles"]
    label, bucket = np.concatenate(found), np.concatenate(buckets)  # labels ascend
    row = np.searchsorted(label, labels)
    counts = np.zeros(len(labels), dtype=np.bool_)
    inside = row < len(label)
    counts[inside] = label[row[inside]] == labels[inside]
    return document[counts], labels[counts], bucket[row[counts]], shingles[counts]

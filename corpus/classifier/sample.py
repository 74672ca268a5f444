"""The documents that a classifier is trained and evaluated on: a seeded sample, and its two sides.

In: parts of documents. Out of the step `sample`: for each part a file with the documents that may
be in the sample, made by the engine. Out of `Sample`: batches of them, with what is held out.
Memory is a few numbers for each document of the sample, whatever the size of the sources.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from corpus import storage
from corpus.classifier.scored import OTHER
from corpus.classifier.training import held_out_rows
from corpus.manifest import Counts, Output, Shard
from corpus.parts import BATCH_ROWS, Part, batches, damaged
from corpus.sources.urls import host_of
from corpus.stage_folder import describe_output
from corpus.text import minhash, quality, sorting

COLUMNS = ("id", "url", "language", "text")
# A site with more than this share of its source is split by document: it cannot all be on one side.
_LARGE_SITE = 0.1
# Near copies are documents that share a band of FineWeb's signatures (docs/stages/dedup.md).
_BANDS, _ROWS, _SHINGLE = 14, 8, 5


@dataclass(frozen=True)
class SampleTask:
    """One part to draw from.

    Attributes:
        bound: Documents with a smaller draw may be in the sample.
    """

    name: str
    source: str
    key: str
    weight: int
    part: Part
    bound: float
    seed: int
    folder: str = ""


@dataclass(frozen=True)
class SampleFile:
    """One file of the step `sample`; `label` as in `corpus.classifier.scored.Scored`."""

    path: str
    source: str
    label: int


@dataclass(frozen=True)
class Batch:
    """Some documents of the sample.

    Attributes:
        source: Their source.
        label: 1 for positives, 0 for negatives, -1 for neither.
        columns: `id`, `url`, `language`, `text`.
        draws: float64, (n,).
        held_out: bool, (n,).
    """

    source: str
    label: int
    columns: pa.RecordBatch
    draws: NDArray[np.float64]
    held_out: NDArray[np.bool_]


def bound(documents: int, rows: int) -> float:
    """Return a draw that a wanted number of so many rows are under, six standard deviations up."""
    return min(1.0, (documents + 6 * math.sqrt(documents) + 10) / max(rows, 1))


def sample_shard(task: SampleTask) -> Shard:
    """Write the documents of one part that may be in the sample, with their draws."""
    path = f"{task.source}/{task.name}.parquet"
    kept = 0
    with storage.publish(storage.join(task.folder, path)) as temporary:
        writer: pq.ParquetWriter | None = None
        for _, batch in batches(task.part, COLUMNS):
            # Not the filter's draw: what it keeps would be what the classifier was told is bad.
            draws = quality.draws(batch.column("id"), seed=task.seed, purpose="classifier")
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            drawn = pa.table({**columns, "draw": draws}).filter(pa.array(draws < task.bound))
            writer = writer or pq.ParquetWriter(temporary, drawn.schema, compression="zstd")
            writer.write_table(drawn)
            kept += drawn.num_rows
        if writer is None:
            empty = {name: pa.array([], pa.large_string()) for name in COLUMNS}
            pq.write_table(pa.table({**empty, "draw": pa.array([], pa.float64())}), temporary)
        else:
            writer.close()
    output: Output = describe_output(task.folder, path, "sample", kept)
    counts = Counts(task.part.rows, kept, {"not_drawn": task.part.rows - kept})
    return Shard(task.name, task.source, task.key, (output,), counts)


class Sample:
    """The sample of both classes, read batch by batch as often as needed.

    Args:
        files: In the order of the build.
        documents: Most documents of each class, and of the sources of neither together.
        seed: The recipe's.
        held_out: Share that is held out.
    """

    def __init__(
        self, files: Sequence[SampleFile], *, documents: int, seed: int, held_out: float
    ) -> None:
        self._files = files
        self._seed = seed
        self._held_out = held_out
        self._bounds = {
            label: _bound([f for f in files if f.label == label], documents)
            for label in (1, 0, OTHER)
        }
        self._large_sites = self._sites()

    def batches(self) -> Iterator[Batch]:
        """Yield the documents of the sample, in the order of the files."""
        for file in self._files:
            for columns in _read(file.path, [*COLUMNS, "draw"]):
                draws = columns.column("draw").to_numpy()
                chosen = pa.array(draws < self._bounds[file.label])
                inside = columns.filter(chosen)
                if not len(inside):
                    continue
                aside = np.ones(len(inside), np.bool_)
                if file.label != OTHER:
                    keys = self._keys(file, inside)
                    aside = held_out_rows(keys, seed=self._seed, share=self._held_out)
                yield Batch(
                    file.source,
                    file.label,
                    inside.select(list(COLUMNS)),
                    inside.column("draw").to_numpy(),
                    aside,
                )

    def _keys(self, file: SampleFile, rows: pa.RecordBatch) -> pa.Array:
        """Return what decides on which side each document is: its site, or else its text."""
        keys = rows.column("text").to_pylist()
        for index, url in enumerate(rows.column("url").to_pylist()):
            host = host_of(url) if url else None
            if host and (file.source, host) not in self._large_sites:
                keys[index] = host
        return pa.array(keys, pa.large_string())

    def _sites(self) -> frozenset[tuple[str, str]]:
        hosts: dict[str, Counter[str]] = {}
        totals: Counter[str] = Counter()
        for file in self._files:
            for columns in _read(file.path, ["url", "draw"]):
                inside = columns.filter(
                    pa.array(columns.column("draw").to_numpy() < self._bounds[file.label])
                )
                totals[file.source] += len(inside)
                found = (host_of(url) for url in inside.column("url").to_pylist() if url)
                hosts.setdefault(file.source, Counter()).update(h for h in found if h)
        return frozenset(
            (source, host)
            for source, counts in hosts.items()
            for host, number in counts.items()
            if number > _LARGE_SITE * totals[source]
        )


class NearCopies:
    """Remembers documents, 112 bytes each, and tells those that are nearly the same.

    Only documents of five words or more are told: shorter ones are all the same to a signature.
    """

    def __init__(self) -> None:
        self._keys: list[NDArray[np.uint64]] = []
        self._known: NDArray[np.uint64] | None = None

    def add(self, texts: pa.Array) -> None:
        """Remember some documents."""
        keys, long = _bands(texts)
        self._keys.append(keys[long].ravel())
        self._known = None

    def found(self, texts: pa.Array) -> NDArray[np.bool_]:
        """Say which documents share a band with one that is remembered."""
        if self._known is None:
            self._known = sorting.distinct(np.concatenate([*self._keys, np.empty(0, np.uint64)]))
            self._keys = [self._known]
        keys, _ = _bands(texts)
        places = np.searchsorted(self._known, keys)
        places = np.minimum(places, max(self._known.size - 1, 0))
        if not self._known.size:
            return np.zeros(len(texts), np.bool_)
        same: NDArray[np.bool_] = (self._known[places] == keys).any(axis=1)
        return same


def _bands(texts: pa.Array) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    signatures = minhash.signatures(
        texts, permutations=_BANDS * _ROWS, shingle=_SHINGLE, words="word", seed=1
    )
    long = (signatures != np.uint32(0xFFFFFFFF)).any(axis=1)
    return minhash.band_keys(signatures, bands=_BANDS, rows=_ROWS), long


def _bound(files: Sequence[SampleFile], documents: int) -> float:
    """Return the draw that the wanted number of documents are under; infinity for all of them."""
    smallest = np.empty(0)
    for file in files:
        for columns in _read(file.path, ["draw"]):
            smallest = np.concatenate([smallest, columns.column("draw").to_numpy()])
            if smallest.size > 2 * documents + BATCH_ROWS:
                smallest = np.partition(smallest, documents)[: documents + 1]
    return (
        math.inf
        if smallest.size <= documents
        else float(np.partition(smallest, documents)[documents])
    )


def _read(path: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with storage.open_arrow(path) as file:
        try:
            yield from pq.ParquetFile(file).iter_batches(BATCH_ROWS, columns=list(columns))
        except (pa.ArrowInvalid, OSError) as error:
            raise damaged(path, error) from error

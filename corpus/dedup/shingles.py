"""The exchange of shingles: from files by part to files by bucket.

In: a part and its candidates. Out: `shingles`, each candidate with its rank's values and its set of
shingles, sorted into an exchange by bucket. Those of large components are put into piles here,
which are buckets with numbers of their own, in the order of their documents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.config import DedupScheme
from corpus.dedup import exchange
from corpus.dedup.sums import LARGE
from corpus.manifest import Output, Shard
from corpus.parts import Part, batches, read_columns

FILE_SHINGLES = 2_000_000  # in a file, which is sorted in memory

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ShinglesTask:
    """The candidates of one part.

    Attributes:
        part: The part.
        documents: Path of its signatures' documents.
        base: Number of its first document.
        source_number: Number of its source.
        candidates: Path of its candidates.
        scheme: Words and shingles.
        piles: The bucket that is the first pile.
        before: Shingles, with repetitions, of candidates that are in piles, in the parts before.
        pile_shingles: The same of a pile.
    """

    name: str
    source: str
    key: str
    weight: int
    part: Part
    documents: str
    base: int
    source_number: int
    candidates: str
    scheme: DedupScheme
    piles: int
    before: int
    pile_shingles: int
    folder: str = ""


def write_shingles(task: ShinglesTask) -> Shard:
    """Write the shingles of a part's candidates; `details["piles"]` are the piles that it has."""
    from corpus.text import ngrams

    candidates = read_columns(task.candidates, ["position", "component", "bucket"])
    position = candidates["position"].to_numpy()
    columns = ["row", "score", "length", "shingles"]
    signed = read_columns(task.documents, columns).take(pa.array(position))
    bucket, piles = _piled(task, candidates["bucket"].to_numpy(), signed["shingles"].to_numpy())
    rows = signed["row"].to_numpy()
    outputs: list[Output] = []
    waiting: list[pa.Table] = []
    size = 0
    for start, batch in batches(task.part, ["id", "text"], rows):
        first, last = np.searchsorted(rows, [start, start + len(batch)]).tolist()
        if first == last:
            continue
        if last - first < len(batch):
            batch = batch.take(pa.array(rows[first:last] - start))
        offsets, hashes = ngrams.shingle_sets(
            batch.column("text"), shingle=task.scheme.shingle, words=task.scheme.words
        )
        ids = batch.column("id")
        del batch
        if size and size + len(hashes) > FILE_SHINGLES:  # what is written by itself is not copied
            outputs.append(_write(task, waiting, len(outputs)))
            waiting, size = [], 0
        waiting.append(
            pa.table(
                {
                    "document": task.base + position[first:last].astype(np.int64),
                    "component": candidates["component"].slice(first, last - first),
                    "source": np.full(last - first, task.source_number, np.int64),
                    "score": signed["score"].slice(first, last - first),
                    "length": signed["length"].slice(first, last - first),
                    "id": ids,
                    "shingles": pa.LargeListArray.from_arrays(offsets, pa.array(hashes)),
                    "bucket": bucket[first:last],
                }
            )
        )
        size += len(hashes)
        del hashes
    if waiting:
        outputs.append(_write(task, waiting, len(outputs)))
    details = {"piles": piles.tolist()}
    return Shard(task.name, task.source, task.key, tuple(outputs), details=details)


def _piled(task: ShinglesTask, bucket: Ints, shingles: Ints) -> tuple[Ints, Ints]:
    """Return the buckets and piles of candidates, and all piles among them."""
    large = bucket == LARGE
    bucket = bucket.copy()
    before = task.before + np.cumsum(shingles[large]) - shingles[large]
    bucket[large] = task.piles + before // task.pile_shingles
    return bucket, np.unique(bucket[large])


def _write(task: ShinglesTask, tables: list[pa.Table], number: int) -> Output:
    table = pa.concat_tables(tables)
    bucket = table["bucket"].to_numpy()
    path = f"{task.source}/{task.name}.{number}.arrow"
    return exchange.write(task.folder, path, table.drop_columns(["bucket"]), bucket, "shingles")

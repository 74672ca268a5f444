"""The exchange of shingles: from files by part to files by bucket.

In: a part and its candidates. Out: `shingles`, each candidate with its rank's values and its set of
shingles, sorted into an exchange by bucket.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from corpus.config import DedupScheme
from corpus.dedup import exchange
from corpus.manifest import Output, Shard
from corpus.parts import Part, batches, read_columns

FILE_SHINGLES = 2_000_000  # in a file, which is sorted in memory


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
    folder: str = ""


def write_shingles(task: ShinglesTask) -> Shard:
    """Write the shingles of a part's candidates."""
    from corpus.text import ngrams

    candidates = read_columns(task.candidates, ["position", "component", "bucket"])
    position = candidates["position"].to_numpy()
    signed = read_columns(task.documents, ["row", "score", "length"]).take(pa.array(position))
    rows = signed["row"].to_numpy()
    outputs: list[Output] = []
    waiting: list[pa.Table] = []
    size = 0
    for start, batch in batches(task.part, ["id", "text"], rows):
        first, last = np.searchsorted(rows, [start, start + len(batch)]).tolist()
        if first == last:
            continue
        own = pa.array(rows[first:last] - start)
        offsets, hashes = ngrams.shingle_sets(
            batch.column("text").take(own), shingle=task.scheme.shingle, words=task.scheme.words
        )
        waiting.append(
            pa.table(
                {
                    "document": task.base + position[first:last].astype(np.int64),
                    "component": candidates["component"].slice(first, last - first),
                    "source": np.full(last - first, task.source_number, np.int64),
                    "score": signed["score"].slice(first, last - first),
                    "length": signed["length"].slice(first, last - first),
                    "id": batch.column("id").take(own),
                    "shingles": pa.LargeListArray.from_arrays(offsets, pa.array(hashes)),
                    "bucket": candidates["bucket"].slice(first, last - first),
                }
            )
        )
        size += len(hashes)
        if size >= FILE_SHINGLES:
            outputs.append(_write(task, waiting, len(outputs)))
            waiting, size = [], 0
    if waiting:
        outputs.append(_write(task, waiting, len(outputs)))
    return Shard(task.name, task.source, task.key, tuple(outputs))


def _write(task: ShinglesTask, tables: list[pa.Table], number: int) -> Output:
    table = pa.concat_tables(tables)
    bucket = table["bucket"].to_numpy()
    path = f"{task.source}/{task.name}.{number}.arrow"
    return exchange.write(task.folder, path, table.drop_columns(["bucket"]), bucket, "shingles")

"""The lines of each part: what is exchanged to find those that several documents have.

In: a part and the list of its drops. Out: `lines`, each distinct hash of the part's lines once,
with the best document that has it, how many have it, and how often it occurs, sorted into an
exchange by the first bits of the hash. So a line that a part has a million times is one row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.config import LineDedup
from corpus.dedup import exchange
from corpus.dedup.order import visiting_order
from corpus.dedup.signatures import joined, scores
from corpus.manifest import Counts, Shard
from corpus.parts import Part, batches, kept_rows, read_columns

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LinesTask:
    """One part whose lines are hashed.

    Attributes:
        part: The part.
        drops: Path of the list of its drops as duplicates.
        lines: What a line is, and which count.
    """

    name: str
    source: str
    key: str
    weight: int
    part: Part
    drops: str
    lines: LineDedup
    folder: str = ""


def hash_lines(task: LinesTask) -> Shard:
    """Write the distinct lines of one part."""
    from corpus.text import line_kernels, lines, ngrams

    part, settings = task.part, task.lines
    lengths, ids, hashes, rows = [], [], [], []
    first = 0
    for _, batch in documents(part, task.drops, ["id", "text"]):
        texts = batch.column("text")
        found = lines.find_lines(texts, unit=settings.unit, normalization=settings.normalization)
        heeded = found.words >= settings.minimum_words
        hashes.append(found.hashes[heeded])
        rows.append((first + found.rows[heeded]).astype(np.int32))
        lengths.append(np.diff(ngrams.text_buffers(texts)[1]))
        ids.append(batch.column("id"))
        first += len(batch)
    every = pa.table(
        {
            "score": scores(part)[kept_documents(part, task.drops)],
            "length": joined(lengths, np.int64),
            "id": pa.chunked_array(ids, pa.string()).combine_chunks(),
        }
    )
    ranks = np.empty(first, dtype=np.int64)
    same = np.zeros(first, dtype=np.int64)
    ranks[visiting_order(same, same, every)] = np.arange(first)
    each, best, having, times = line_kernels.count_lines(
        joined(hashes, np.uint64), joined(rows, np.int32), ranks
    )
    own = every.take(pa.array(best))
    table = pa.table(
        {
            "hash": each,
            "row": kept_documents(part, task.drops)[best].astype(np.int32),
            "documents": having,
            "times": times,
            **{name: own[name] for name in every.column_names},
        }
    )
    bits = exchange.bits(len(table), exchange.BATCH_ROWS)
    path = f"{task.source}/{task.name}.lines.{bits}.arrow"
    output = exchange.write(task.folder, path, table, exchange.by_hash(each, bits), "lines")
    measures = {"lines": sum(map(len, rows))}
    return Shard(task.name, task.source, task.key, (output,), Counts(first, first), measures)


def kept_documents(part: Part, drops: str) -> Ints:
    """Return the rows of a part that are still in and no duplicates, in their order."""
    kept = kept_rows(part).copy()
    kept[read_columns(drops, ["row"])["row"].to_numpy()] = False
    return np.flatnonzero(kept)


def documents(part: Part, drops: str, columns: list[str]) -> Iterator[tuple[Ints, pa.RecordBatch]]:
    """Yield the documents of a part that are no duplicates in batches, with the rows they are in.

    Args:
        part: The part.
        drops: Path of the list of its drops as duplicates.
        columns: Of the documents.
    """
    kept = kept_documents(part, drops)
    for start, batch in batches(part, columns):
        first, last = np.searchsorted(kept, [start, start + len(batch)])
        own = kept[first:last]
        yield own, batch if len(own) == len(batch) else batch.take(pa.array(own - start))

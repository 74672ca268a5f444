"""Where the grams of the benchmarks occur in the corpus, in a folder beside `decontaminate`.

In: the grams, documents, the verdict before. Out: `collisions-<fingerprint>` with every occurrence
in every part, and which grams are in too many documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.decontaminate.benchmark_grams import read_grams
from corpus.engine import Engine
from corpus.manifest import Counts, Manifest, Shard, fingerprint
from corpus.parts import Part, batches, kept_rows, read_columns, write_table
from corpus.progress import Progress
from corpus.stage_folder import make
from corpus.text import contamination, normalization
from corpus.text.contamination import Hits

VERSION = 2
COLUMNS = ("row", "start", "end", "gram")


@dataclass(frozen=True)
class CollisionsTask:
    """One part to search for grams."""

    name: str
    source: str
    key: str
    weight: int
    part: Part
    grams: str
    folder: str = ""


def collisions(
    found: Sequence[Part],
    grams: Manifest,
    output: str,
    engine: Engine,
    progress: Progress,
) -> Manifest:
    """List where the grams occur in every part."""
    merged = grams.shards[0].output("grams")
    digest = merged.sha256
    words = normalization.WORDS_VERSIONS[grams.settings["words"]]  # the benchmarks' may be older
    tasks = [
        CollisionsTask(
            name=part.name,
            source=part.source,
            key=fingerprint("collisions", VERSION, words, digest, part.sha256, part.verdict_sha256),
            weight=part.bytes + 1,
            part=part,
            grams=grams.path(merged),
        )
        for part in found
    ]
    stored = {"grams": digest}
    return make(output, "collisions", collisions_shard, tasks, engine, progress, settings=stored)


def collisions_shard(task: CollisionsTask) -> Shard:
    """List every occurrence of a gram in the documents of one part that are still in."""
    grams, kept = read_grams(task.grams), kept_rows(task.part)
    tables: list[pa.Table] = []
    for start, batch in batches(task.part, ["text"]):
        rows = np.flatnonzero(kept[start : start + len(batch)])
        hits = contamination.find(batch.column("text").take(pa.array(rows)), grams.index)
        columns = (rows[hits.rows] + start, hits.starts, hits.ends, hits.grams)
        tables.append(pa.table([pa.array(c, pa.int64()) for c in columns], list(COLUMNS)))
    schema = pa.schema([(name, pa.int64()) for name in COLUMNS])
    table = pa.concat_tables(tables) if tables else schema.empty_table()
    path = f"{task.source}/{task.name}.parquet"
    output = write_table(task.folder, path, table, "collisions")
    number = int(kept.sum())
    measures = {"collisions": table.num_rows}
    return Shard(task.name, task.source, task.key, (output,), Counts(number, number), measures)


def common_grams(
    paths: Sequence[str], grams: int, most: int
) -> tuple[npt.NDArray[np.int64], list[npt.NDArray[np.int64]]]:
    """Return which of all grams are in more than `most` documents, and the grams of each part."""
    totals = np.zeros(grams, dtype=np.int64)
    own: list[npt.NDArray[np.int64]] = []
    for path in paths:
        table = read_columns(path, list(COLUMNS))
        counts = contamination.count_documents(
            Hits(*(table[name].to_numpy() for name in COLUMNS)), grams
        )
        totals += counts
        own.append(np.flatnonzero(counts))
    return np.flatnonzero(totals > most), own

"""Benchmarks and where their grams occur, in folders of their own beside `decontaminate`.

In: benchmark files, documents, the verdict before. Out: `benchmarks-<fingerprint>` with the
distinct grams, and `collisions-<fingerprint>` with every occurrence in every part.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from corpus import storage
from corpus.config import FILE_NAMES, Decontaminate
from corpus.engine import Engine
from corpus.errors import InputError
from corpus.manifest import Counts, Manifest, Shard, fingerprint
from corpus.parts import Part, batches, kept_rows, read_columns, write_table
from corpus.progress import Progress
from corpus.stage_folder import describe_output, make
from corpus.text import contamination, normalization
from corpus.text.contamination import BenchmarkGrams, Hits
from corpus.text.ngrams import NGRAM_HASH_VERSION

VERSION = 1
COLUMNS = ("row", "start", "end", "gram")


@dataclass(frozen=True)
class BenchmarksTask:
    """Benchmarks by name: files and fields."""

    name: str
    source: str
    key: str
    weight: int
    benchmarks: tuple[tuple[str, tuple[str, ...], tuple[str, ...] | None], ...]
    ngram: int
    folder: str = ""


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


def benchmarks(
    settings: Decontaminate, output: str, engine: Engine, progress: Progress
) -> Manifest:
    """Collect the grams of all benchmarks; the one shard's details say what was too short."""
    named: list[tuple[str, tuple[str, ...], tuple[str, ...] | None]] = []
    for name, benchmark in settings.benchmarks.items():
        matches = [path for pattern in benchmark.paths for path in storage.find(pattern)]
        files = tuple(dict.fromkeys(matches))
        if not files:
            raise InputError(
                "no benchmark file matches",
                where=", ".join(benchmark.paths),
                fix=f"Check {'.'.join(filter(None, ('decontaminate.benchmarks', name)))} in the "
                "recipe (relative paths are relative to it)",
            )
        if name == FILE_NAMES:
            stems = [storage.name(path).split(".", 1)[0] for path in files]
            for stem in dict.fromkeys(stems):
                own = tuple(p for p, s in zip(files, stems, strict=True) if s == stem)
                named.append((stem, own, benchmark.fields))
        else:
            named.append((name, files, benchmark.fields))
    digests = [
        (name, [storage.digest(path)[1] for path in files], fields) for name, files, fields in named
    ]
    words = normalization.WORDS_VERSIONS[contamination.WORDS]
    key = fingerprint("benchmarks", VERSION, words, NGRAM_HASH_VERSION, digests, settings.ngram)
    task = BenchmarksTask("grams", "benchmarks", key, 1, tuple(named), settings.ngram)
    stored = {"ngram": settings.ngram}
    return make(output, "benchmarks", benchmarks_shard, [task], engine, progress, settings=stored)


def benchmarks_shard(task: BenchmarksTask) -> Shard:
    """Collect the grams of all benchmarks."""
    from corpus.sources import benchmarks

    texts = {
        name: [text for path in files for text in benchmarks.read(path, fields=fields)]
        for name, files, fields in task.benchmarks
    }
    grams = contamination.benchmark_grams(texts, ngram=task.ngram)
    details = {
        "items": dict(zip(grams.names, grams.items.tolist(), strict=True)),
        "too_short": dict(zip(grams.names, grams.too_short.tolist(), strict=True)),
        "grams": len(grams),
    }
    path = f"{task.source}/{task.name}.parquet"
    members = pa.LargeListArray.from_arrays(grams.offsets, pa.array(grams.members))
    table = pa.table({"hash": pa.array(grams.hashes), "benchmarks": members})
    facts = {"ngram": task.ngram, "names": grams.names, **details}
    table = table.replace_schema_metadata({"benchmarks": json.dumps(facts)})
    with storage.publish(storage.join(task.folder, path)) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    output = describe_output(task.folder, path, "grams", len(grams))
    return Shard(task.name, task.source, task.key, (output,), Counts(), {}, details)


def read_grams(path: str) -> BenchmarkGrams:
    """Return the grams that `benchmarks_shard` wrote."""
    table = read_columns(path, ["hash", "benchmarks"]).combine_chunks()
    facts = json.loads(table.schema.metadata[b"benchmarks"])
    chunks = table["benchmarks"].chunks
    members = chunks[0] if chunks else pa.array([], pa.large_list(pa.int64()))
    names = tuple(facts["names"])
    return BenchmarkGrams(
        ngram=facts["ngram"],
        hashes=table["hash"].to_numpy(),
        names=names,
        offsets=np.asarray(members.offsets, dtype=np.int64),
        members=np.asarray(members.values, dtype=np.int64),
        items=np.array([facts["items"][name] for name in names], dtype=np.int64),
        too_short=np.array([facts["too_short"][name] for name in names], dtype=np.int64),
    )


def collisions(
    found: Sequence[Part],
    grams: str,
    digest: str,
    output: str,
    engine: Engine,
    progress: Progress,
) -> Manifest:
    """List where the grams occur in every part."""
    words = normalization.WORDS_VERSIONS[contamination.WORDS]  # the benchmarks' may be older
    tasks = [
        CollisionsTask(
            name=part.name,
            source=part.source,
            key=fingerprint("collisions", VERSION, words, digest, part.sha256, part.verdict_sha256),
            weight=part.bytes + 1,
            part=part,
            grams=grams,
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
        hits = contamination.find(batch.column("text").take(pa.array(rows)), grams)
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

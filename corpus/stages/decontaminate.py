"""decontaminate: benchmark text cut out of the corpus (GPT-3, Appendix C, training side).

In: documents, the verdict before, and benchmark files. Out: a verdict for each document with the
byte ranges to cut and the benchmarks that were hit. Common grams are ignored, so counting comes
before cutting: three folders, `benchmarks` (the grams), `collisions` (where they occur), verdicts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from corpus import storage
from corpus.config import FILE_NAMES, Decontaminate, Recipe
from corpus.document import CUTS, DECONTAMINATE_SCHEMA
from corpus.engine import Engine
from corpus.errors import InputError
from corpus.manifest import Counts, Manifest, Shard, fingerprint
from corpus.parts import Part, batches, kept_rows, parts, read_columns, write_table, write_verdict
from corpus.progress import Progress
from corpus.stage_folder import StageFolder, describe_output
from corpus.text import contamination, cuts
from corpus.text.contamination import BenchmarkGrams, Hits

STAGE = "decontaminate"
VERSION = 1
COLLISIONS = ("row", "start", "end", "gram")


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


@dataclass(frozen=True)
class DecontaminateTask:
    """One part to cut.

    Attributes:
        collisions: Path of the grams found in it.
        grams: Path of the benchmarks' grams.
        ignored: Indices of those of its grams that are in too many documents.
    """

    name: str
    source: str
    key: str
    weight: int
    part: Part
    collisions: str
    grams: str
    ignored: tuple[int, ...]
    settings: Decontaminate
    folder: str = ""


def run(
    recipe: Recipe,
    settings: Decontaminate,
    extract: Manifest,
    last: Manifest | None,
    output: str,
    engine: Engine,
    progress: Progress,
) -> Manifest:
    """Cut benchmark text out of every document.

    Raises:
        InputError: A benchmark file cannot be read, or a pattern matches none.
    """
    found = parts(extract, last)
    grams_path, grams_digest, facts = _benchmarks(settings, output, engine, progress)
    collided = _collisions(found, grams_path, grams_digest, output, engine, progress)
    paths = [collided.path(shard.outputs[0]) for shard in collided.shards]
    common, own = _common_grams(paths, settings.max_documents)
    rules = settings.model_dump(mode="json", exclude={"benchmarks", "max_documents"})
    tasks: list[DecontaminateTask] = []
    for part, shard, path, present in zip(found, collided.shards, paths, own, strict=True):
        ignored = tuple(np.intersect1d(present, common).tolist())
        depends = (part.sha256, part.verdict_sha256, shard.outputs[0].sha256, ignored, rules)
        tasks.append(
            DecontaminateTask(
                name=part.name,
                source=part.source,
                key=fingerprint(STAGE, VERSION, grams_digest, depends),
                weight=part.rows + 1,
                part=part,
                collisions=path,
                grams=grams_path,
                ignored=ignored,
                settings=settings,
            )
        )
    stored = {"version": VERSION, "grams": grams_digest, "max_documents": settings.max_documents}
    folder = StageFolder(output, STAGE, settings={**stored, **rules}, versions={}, tasks=tasks)
    manifest = folder.manifest()
    if manifest is None:
        shards = folder.run(decontaminate_shard, engine, progress)
        manifest = folder.finish(shards, {**facts, "grams_ignored": len(common)})
    return manifest


def _benchmarks(
    settings: Decontaminate, output: str, engine: Engine, progress: Progress
) -> tuple[str, str, Mapping[str, object]]:
    """Return path and digest of the benchmarks' grams, and how many items were too short."""
    named: list[tuple[str, tuple[str, ...], tuple[str, ...] | None]] = []
    for name, benchmark in settings.benchmarks.items():
        matches = [path for pattern in benchmark.paths for path in storage.find(pattern)]
        files = tuple(dict.fromkeys(matches))
        if not files:
            raise InputError(
                "no benchmark file matches",
                where=", ".join(benchmark.paths),
                fix=f"Check decontaminate.benchmarks.{name} (relative paths are relative to the "
                "recipe)",
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
    key = fingerprint("benchmarks", VERSION, digests, settings.ngram)
    task = BenchmarksTask("grams", "benchmarks", key, 1, tuple(named), settings.ngram)
    stored = {"ngram": settings.ngram}
    folder = StageFolder(output, "benchmarks", settings=stored, versions={}, tasks=[task])
    manifest = folder.manifest()
    if manifest is None:
        manifest = folder.finish(folder.run(benchmarks_shard, engine, progress))
    made = manifest.shards[0]
    return manifest.path(made.outputs[0]), made.outputs[0].sha256, made.details


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


def _collisions(
    found: Sequence[Part],
    grams: str,
    digest: str,
    output: str,
    engine: Engine,
    progress: Progress,
) -> Manifest:
    tasks = [
        CollisionsTask(
            name=part.name,
            source=part.source,
            key=fingerprint("collisions", VERSION, digest, part.sha256, part.verdict_sha256),
            weight=part.bytes + 1,
            part=part,
            grams=grams,
        )
        for part in found
    ]
    folder = StageFolder(output, "collisions", settings={"grams": digest}, versions={}, tasks=tasks)
    manifest = folder.manifest()
    if manifest is None:
        manifest = folder.finish(folder.run(collisions_shard, engine, progress))
    return manifest


def collisions_shard(task: CollisionsTask) -> Shard:
    """List every occurrence of a gram in the documents of one part that are still in."""
    grams, kept = read_grams(task.grams), kept_rows(task.part)
    tables: list[pa.Table] = []
    for start, batch in batches(task.part, ["text"]):
        rows = np.flatnonzero(kept[start : start + len(batch)])
        hits = contamination.find(batch.column("text").take(pa.array(rows)), grams)
        columns = (rows[hits.rows] + start, hits.starts, hits.ends, hits.grams)
        tables.append(pa.table([pa.array(c, pa.int64()) for c in columns], list(COLLISIONS)))
    schema = pa.schema([(name, pa.int64()) for name in COLLISIONS])
    table = pa.concat_tables(tables) if tables else schema.empty_table()
    path = f"{task.source}/{task.name}.parquet"
    output = write_table(task.folder, path, table, "collisions")
    number = int(kept.sum())
    measures = {"collisions": table.num_rows}
    return Shard(task.name, task.source, task.key, (output,), Counts(number, number), measures)


def _common_grams(
    paths: Sequence[str], most: int
) -> tuple[npt.NDArray[np.int64], list[npt.NDArray[np.int64]]]:
    """Return the grams in more than `most` documents, and the grams of each part."""
    own: list[npt.NDArray[np.int64]] = []
    totals: dict[int, int] = {}
    for path in paths:
        table = read_columns(path, ["row", "gram"])
        pairs = np.unique(np.stack([table["row"].to_numpy(), table["gram"].to_numpy()]), axis=1)
        grams, counts = np.unique(pairs[1], return_counts=True)
        own.append(grams)
        for gram, count in zip(grams.tolist(), counts.tolist(), strict=True):
            totals[gram] = totals.get(gram, 0) + count
    common = sorted(gram for gram, count in totals.items() if count > most)
    return np.array(common, dtype=np.int64), own


def decontaminate_shard(task: DecontaminateTask) -> Shard:
    """Write the verdict of one part."""
    part, settings = task.part, task.settings
    table = read_columns(task.collisions, list(COLLISIONS))
    hits = Hits(*(table[name].to_numpy() for name in COLLISIONS))
    kept, grams = kept_rows(part), read_grams(task.grams)
    ignored = np.zeros(len(grams), dtype=np.bool_)
    ignored[list(task.ignored)] = True
    verdicts: list[pa.Table] = []
    for start, batch in batches(part, ["id", "text"]):
        first, last = np.searchsorted(hits.rows, [start, start + len(batch)])
        rest = (column[first:last] for column in (hits.starts, hits.ends, hits.grams))
        own = Hits(hits.rows[first:last] - start, *rest)
        made = cuts.cut_documents(
            batch.column("text"),
            own,
            grams,
            ignored=ignored,
            window=settings.window,
            minimum=settings.min_piece,
            maximum_pieces=settings.max_pieces,
        )
        inside = pa.array(kept[start : start + len(batch)])
        verdicts.append(
            pa.table(
                {
                    "id": batch.column("id"),
                    "kept": pa.compute.if_else(inside, made.kept, pa.scalar(None, pa.bool_())),
                    "reason": made.reason,
                    "cuts": made.cuts.cast(CUTS),
                    "benchmarks": made.benchmarks,
                }
            ).cast(DECONTAMINATE_SCHEMA)
        )
    whole = pa.concat_tables(verdicts) if verdicts else DECONTAMINATE_SCHEMA.empty_table()
    output, counts = write_verdict(task.folder, part, whole)
    cut = int(pa.compute.sum(pa.compute.list_value_length(whole["cuts"])).as_py() or 0)
    return Shard(task.name, task.source, task.key, (output,), counts, {"cuts": cut})

"""decontaminate: benchmark text cut out of the corpus (GPT-3, Appendix C, training side).

In: documents, the verdict before, and benchmark files. Out: a verdict for each document with the
byte ranges to cut and the benchmarks that were hit. What dedup cut is not searched, and stays cut:
`cuts` are those of both stages, by bytes of the whole text. Common grams are ignored, so counting
comes before cutting: the folders `benchmarks` (examples), `grams` (of all of them), `collisions`
(where they occur), and the verdicts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute

from corpus.config import Decontaminate, Recipe
from corpus.decontaminate import benchmark_examples, benchmark_grams, collisions
from corpus.document import CUTS, DECONTAMINATE_LINES_SCHEMA, DECONTAMINATE_SCHEMA
from corpus.engine import Engine
from corpus.manifest import Manifest, Shard, fingerprint
from corpus.parts import (
    Part,
    batches,
    kept_rows,
    parts,
    read_columns,
    read_cuts,
    write_verdict,
)
from corpus.progress import Progress
from corpus.stage_folder import StageFolder, used
from corpus.stages import ahead
from corpus.text import cut_texts, cuts
from corpus.text.contamination import Hits

STAGE = "decontaminate"
_LISTS = ("cuts", "benchmarks")
VERSION = 2


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
    engine = ahead.CompiledAhead(engine, ahead.of_decontaminate())
    benchmarks = benchmark_examples.benchmarks(settings, output, engine, progress)
    merged = benchmark_grams.grams(benchmarks, output, engine, progress)
    grams = merged.shards[0].output("grams")
    collided = collisions.collisions(found, merged, output, engine, progress)
    paths = [collided.path(shard.outputs[0]) for shard in collided.shards]
    common, own = collisions.common_grams(paths, grams.rows, settings.max_documents)
    rules = settings.model_dump(
        mode="json", exclude={"benchmarks", "max_documents", "ngram", "words"}
    )
    tasks: list[DecontaminateTask] = []
    for part, shard, path, present in zip(found, collided.shards, paths, own, strict=True):
        ignored = tuple(np.intersect1d(present, common).tolist())
        depends = (part.sha256, part.verdict_sha256, shard.outputs[0].sha256, ignored, rules)
        tasks.append(
            DecontaminateTask(
                name=part.name,
                source=part.source,
                key=fingerprint(STAGE, VERSION, grams.sha256, depends),
                weight=part.rows + 1,
                part=part,
                collisions=path,
                grams=merged.path(grams),
                ignored=ignored,
                settings=settings,
            )
        )
    stored = {"version": VERSION, "grams": grams.sha256, "max_documents": settings.max_documents}
    folder = StageFolder(output, STAGE, settings={**stored, **rules}, versions={}, tasks=tasks)
    manifest = folder.manifest()
    if manifest is None:
        shards = folder.run(decontaminate_shard, engine, progress)
        facts = [shard.details for shard in benchmarks.shards]
        summary = {
            "items": {own["benchmark"]: own["items"] for own in facts},
            "too_short": {own["benchmark"]: own["too_short"] for own in facts},
            "grams": grams.rows,
            "grams_ignored": len(common),
        }
        manifest = folder.finish(shards, {**summary, **used(benchmarks, merged, collided)})
    return manifest


def decontaminate_shard(task: DecontaminateTask) -> Shard:
    """Write the verdict of one part."""
    part, settings = task.part, task.settings
    table = read_columns(task.collisions, list(collisions.COLUMNS))
    hits = Hits(*(table[name].to_numpy() for name in collisions.COLUMNS))
    kept, grams = kept_rows(part), benchmark_grams.read_grams(task.grams)
    ignored = np.zeros(len(grams), dtype=np.bool_)
    ignored[list(task.ignored)] = True
    lines = read_cuts(part)
    schema = DECONTAMINATE_SCHEMA if lines is None else DECONTAMINATE_LINES_SCHEMA
    verdicts: list[pa.Table] = []
    # A part without a hit is not read again: its documents have nothing to be cut.
    for start, batch in batches(part, ["id", "text"] if len(hits) else ["id"]):
        inside = pa.array(kept[start : start + len(batch)])
        own = None if lines is None else _of_kept(lines.slice(start, len(batch)), inside)
        if not len(hits):
            verdicts.append(_with_lines(_untouched(batch, inside), own))
            continue
        first, last = np.searchsorted(hits.rows, [start, start + len(batch)])
        rest = (column[first:last] for column in (hits.starts, hits.ends, hits.grams))
        rows, texts = hits.rows[first:last] - start, batch.column("text")
        if own is not None:  # the others have nothing to be cut
            found = set(rows.tolist())
            spans = [one if row in found else [] for row, one in enumerate(own)]
            texts = cut_texts.without_cuts(texts, spans)
        made = cuts.cut_documents(
            texts,
            Hits(rows, *rest),
            grams,
            ignored=ignored,
            window=settings.window,
            minimum=settings.min_piece,
            maximum_pieces=settings.max_pieces,
        )
        verdict = {
            "id": batch.column("id"),
            "kept": pa.compute.if_else(inside, made.kept, pa.scalar(None, pa.bool_())),
            "reason": made.reason,
            "cuts": made.cuts.cast(CUTS),
            "benchmarks": made.benchmarks,
        }
        verdicts.append(_with_lines(pa.table(verdict).cast(DECONTAMINATE_SCHEMA), own))
    whole = pa.concat_tables(verdicts) if verdicts else schema.empty_table()
    output, counts = write_verdict(task.folder, part, whole)
    found_cuts = whole["cuts" if lines is None else "benchmark_cuts"]
    cut = int(pa.compute.sum(pa.compute.list_value_length(found_cuts)).as_py() or 0)
    return Shard(task.name, task.source, task.key, (output,), counts, {"cuts": cut})


def _of_kept(lines: pa.ChunkedArray, inside: pa.BooleanArray) -> list[list[dict[str, int]]]:
    """Return what dedup cut of each document of a batch, and nothing where it is not in."""
    given = zip(lines.to_pylist(), inside.to_pylist(), strict=True)
    return [spans if kept and spans else [] for spans, kept in given]


def _with_lines(verdicts: pa.Table, lines: list[list[dict[str, int]]] | None) -> pa.Table:
    """Return verdicts with the cuts of dedup among theirs, in the schema for that.

    Args:
        verdicts: Their `cuts` are by bytes of the text without what dedup cut.
        lines: What dedup cut of each document; None where it cuts no lines.
    """
    if lines is None:
        return verdicts
    own = zip(lines, verdicts["cuts"].to_pylist(), strict=True)
    found = [cut_texts.in_whole_text(before, later) for before, later in own]
    both = [cut_texts.merged(*pair) for pair in zip(lines, found, strict=True)]
    columns = {name: verdicts[name] for name in verdicts.column_names}
    columns |= {"cuts": pa.array(both, CUTS), "benchmark_cuts": pa.array(found, CUTS)}
    return pa.table(columns).cast(DECONTAMINATE_LINES_SCHEMA)


def _untouched(batch: pa.RecordBatch, inside: pa.BooleanArray) -> pa.Table:
    """Return the verdicts on documents without a hit; `inside` says which are still in."""
    empty = pa.array(np.zeros(len(batch) + 1, dtype=np.int32))
    spans, names = (pa.array([], DECONTAMINATE_SCHEMA.field(n).type.value_type) for n in _LISTS)
    return pa.table(
        {
            "id": batch.column("id"),
            "kept": pa.compute.if_else(inside, True, pa.scalar(None, pa.bool_())),
            "reason": pa.nulls(len(batch), pa.string()),
            "cuts": pa.ListArray.from_arrays(empty, spans),
            "benchmarks": pa.ListArray.from_arrays(empty, names),
        }
    ).cast(DECONTAMINATE_SCHEMA)

"""Which benchmark examples the corpus has text of: GPT-3, Appendix C, evaluation side.

In: a build with the stage decontaminate. Out: `overlap-<fingerprint>`, for each part the grams in
it and in how many documents, before and after cutting; and `evaluation-<fingerprint>`, for each
benchmark which examples are clean, and a table like the paper's C.1.

An example is dirty when a gram of it occurs in any document, and clean when none does. A gram has N
words, the 5th percentile of the lengths of the benchmark's examples, at least 8 and at most 13; of
an example with fewer, it is the whole. No gram is ignored here for being common.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus import storage
from corpus.build import Build
from corpus.decontaminate import benchmark_grams
from corpus.engine import Engine
from corpus.errors import InputError
from corpus.look.clean_examples import COLUMNS, EvaluationTask, evaluation_shard
from corpus.manifest import Counts, Manifest, Shard, fingerprint, read_manifest
from corpus.parts import Part, batches, parts, read_columns, write_table
from corpus.progress import Progress
from corpus.stage_folder import make
from corpus.stages.tokenize import apply_cuts
from corpus.tables import Block, Table, printable
from corpus.text import normalization
from corpus.text.contamination import DocumentCounter

VERSION = 1
_SHOWN_GRAMS = 10

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True)
class OverlapTask:
    """One part, with the verdict of decontaminate, to count grams in."""

    name: str
    source: str
    key: str
    weight: int
    part: Part
    grams: str
    words: str
    folder: str = ""


def evaluate(build: Build, engine: Engine, progress: Progress) -> Manifest:
    """Say which benchmark examples are clean; the summary has the table.

    Raises:
        InputError: The stage decontaminate is not built, or its steps are gone.
    """
    stage = build.stage("decontaminate")
    benchmarks, grams = (_step(build, stage, name) for name in ("benchmarks", "grams"))
    evaluation = grams.shards[0].output("evaluation")
    words = str(grams.settings["words"])
    version = normalization.WORDS_VERSIONS[words]
    settings = {"decontaminate": storage.name(stage.folder)}
    with storage.lock(build.output):
        tasks = [
            OverlapTask(
                name=part.name,
                source=part.source,
                key=fingerprint(
                    "overlap", VERSION, version, evaluation.sha256, part.sha256, part.verdict_sha256
                ),
                weight=part.bytes + 1,
                part=part,
                grams=grams.path(evaluation),
                words=words,
            )
            for part in parts(build.stage("extract"), stage)
        ]
        counted = make(
            build.output, "overlap", overlap_shard, tasks, engine, progress, settings=settings
        )
        outputs = [shard.outputs[0] for shard in counted.shards]
        bounds = (stage.settings["max_documents"], grams.settings["ngram"])
        task = EvaluationTask(
            name="evaluation",
            source="benchmarks",
            key=fingerprint(
                "evaluation",
                VERSION,
                [shard.key for shard in benchmarks.shards],
                [output.sha256 for output in outputs],
                bounds,
            ),
            weight=1,
            benchmarks=tuple(
                (
                    shard.details["benchmark"],
                    benchmarks.path(shard.output("examples")),
                    shard.details["size"],
                )
                for shard in benchmarks.shards
            ),
            grams=grams.path(evaluation),
            overlaps=tuple(counted.path(output) for output in outputs),
            words=words,
            common=bounds[0],
            ngram=bounds[1],
        )
        return make(
            build.output,
            "evaluation",
            evaluation_shard,
            [task],
            engine,
            progress,
            settings=settings,
            uses=[counted, grams, benchmarks],
        )


def _step(build: Build, stage: Manifest, name: str) -> Manifest:
    """Return the manifest of a step that a stage was made with."""
    folders = [used for used in stage.summary.get("uses", ()) if used.startswith(f"{name}-")]
    if not folders:
        raise InputError(
            f"it is not recorded which {name} this stage used",
            where=stage.folder,
            fix="It was made by an older version: run corpus decontaminate again",
        )
    return read_manifest(storage.join(build.output, folders[0]))


def overlap_shard(task: OverlapTask) -> Shard:
    """Count the documents of one part with each gram, before and after cutting."""
    indices = benchmark_grams.read_evaluation(task.grams, task.words)
    verdict = read_columns(task.part.verdict or "", ["kept", "cuts"])
    kept = verdict["kept"].fill_null(False).combine_chunks().to_numpy(zero_copy_only=False)
    was_in = verdict["kept"].is_valid().combine_chunks().to_numpy(zero_copy_only=False)
    cuts = pc.list_value_length(verdict["cuts"]).fill_null(0).to_numpy() > 0
    whole, gone, left = ([DocumentCounter(index) for index in indices] for _ in range(3))
    for start, batch in batches(task.part, ["text"]):
        texts = batch.column("text")
        here = slice(start, start + len(batch))
        _add(whole, texts.filter(pa.array(kept[here] & ~cuts[here])))
        _add(gone, texts.filter(pa.array(was_in[here] & (cuts[here] | ~kept[here]))))
        rows = np.flatnonzero(kept[here] & cuts[here])
        spans = verdict["cuts"].take(pa.array(rows + start)).to_pylist()
        pieces = zip(texts.take(pa.array(rows)).to_pylist(), spans, strict=True)
        _add(left, pa.array([apply_cuts(text, own) for text, own in pieces], pa.large_string()))
    before = _counts(whole) + _counts(gone)
    after = _counts(whole) + _counts(left)
    present = np.flatnonzero(before + after)
    table = pa.table([present, before[present], after[present]], list(COLUMNS))
    output = write_table(task.folder, f"{task.source}/{task.name}.parquet", table, "overlap")
    number = int(was_in.sum())
    return Shard(task.name, task.source, task.key, (output,), Counts(number, number))


def _add(counters: Sequence[DocumentCounter], texts: pa.Array) -> None:
    for counter in counters if len(texts) else ():
        counter.add(texts)


def _counts(counters: Sequence[DocumentCounter]) -> Int64s:
    return np.concatenate([np.empty(0, np.int64), *(counter.counts for counter in counters)])


def report(manifest: Manifest) -> dict[str, Any]:
    """Return the table as plain JSON: what `evaluate` found, and where the lists of ids are."""
    return {"folder": manifest.folder, **manifest.shards[0].details}


def describe(manifest: Manifest) -> Iterator[Block]:
    """Yield what a person reads: the table like C.1, and the most frequent colliding grams."""
    details = manifest.shards[0].details
    head = ("benchmark", "N", "examples", "short", "dirty before", "clean before", "dirty", "clean")
    rows = []
    for row in details["benchmarks"]:
        cells = [printable(row["benchmark"]), str(row["n"])]
        cells += [f"{row[name]:,}" for name in ("examples", "short")]
        for state in ("before", "after"):
            cells += [f"{row[state]['dirty']:,}", f"{row[state]['clean_percent']:.1f}%"]
        rows.append(cells)
    yield "Examples that share a gram of N words with the corpus, before and after cutting"
    yield Table(head, rows)
    if details["grams"]:
        yield ""
        yield "The most frequent colliding grams"
        grams = [
            (
                f"{gram['before']:,}",
                f"{gram['after']:,}",
                "common, left" if gram["ignored"] else "",
                printable(gram["text"]),
            )
            for gram in details["grams"][:_SHOWN_GRAMS]
        ]
        yield Table(("documents before", "after", "", "gram"), grams)
    yield ""
    yield f"Clean and dirty examples by id: {manifest.folder}/benchmarks/"

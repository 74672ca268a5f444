"""Which benchmark examples the corpus has text of: GPT-3, Appendix C, evaluation side.

In: a build with the stage decontaminate. Out: `overlap-<fingerprint>`, for each part the grams in
it and in how many documents, before and after cutting; and `evaluation-<fingerprint>`, for each
benchmark which examples are clean, and a table like the paper's C.1.

An example is dirty when a gram of it occurs in any document, and clean when none does. A gram has N
words, the 5th percentile of the lengths of the benchmark's examples, at least 8 and at most 13; of
an example with fewer, it is the whole. No gram is ignored here for being common.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus import benchmark_grams, storage
from corpus.build import Build
from corpus.engine import Engine
from corpus.errors import InputError
from corpus.manifest import Counts, Manifest, Output, Shard, fingerprint, read_manifest
from corpus.parts import Part, batches, parts, read_columns, write_table
from corpus.progress import Progress
from corpus.stage_folder import describe_output, make
from corpus.stages.tokenize import apply_cuts
from corpus.tables import Block, Table, printable
from corpus.text import contamination, normalization
from corpus.text.contamination import DocumentCounter, GramIndex

VERSION = 1
COLUMNS = ("gram", "before", "after")
_MOST_GRAMS = 20  # of the most frequent ones
_SHOWN_GRAMS = 10
_UNSAFE = re.compile(r"[^\w.-]+")

Int64s = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


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


@dataclass(frozen=True)
class EvaluationTask:
    """All benchmarks to judge.

    Attributes:
        benchmarks: Name, examples and N of each.
        grams: Path of the grams of the evaluation side.
        overlaps: Paths of the counts of all parts.
        common: A gram of the training side in more documents than this was not cut out.
        ngram: Words of such a gram.
    """

    name: str
    source: str
    key: str
    weight: int
    benchmarks: tuple[tuple[str, str, int], ...]
    grams: str
    overlaps: tuple[str, ...]
    words: str
    common: int
    ngram: int
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


@dataclass(frozen=True)
class _Totals:
    """The grams of all sizes, and in how many documents of the corpus each is."""

    indices: Mapping[int, GramIndex]
    starts: Mapping[int, int]
    before: Int64s
    after: Int64s

    def places(self, size: int, hashes: npt.NDArray[np.uint64]) -> Int64s:
        """Return the places of hashes of one size in `before` and `after`."""
        return self.starts[size] + np.searchsorted(self.indices[size].hashes, hashes)

    def gram(self, place: int) -> tuple[int, np.uint64]:
        """Return the size and the hash at a place."""
        size = max((s for s in self.starts if self.starts[s] <= place), key=self.starts.__getitem__)
        return size, self.indices[size].hashes[place - self.starts[size]]


def _totals(task: EvaluationTask) -> _Totals:
    indices = benchmark_grams.read_evaluation(task.grams, task.words)
    starts = np.cumsum([0, *map(len, indices)]).tolist()
    sums = np.zeros((2, starts[-1]), dtype=np.int64)
    for path in task.overlaps:
        table = read_columns(path, list(COLUMNS))
        for row, name in enumerate(COLUMNS[1:]):
            sums[row, table["gram"].to_numpy()] += table[name].to_numpy()
    sizes = [index.size for index in indices]
    by_size = dict(zip(sizes, indices, strict=True))
    return _Totals(by_size, dict(zip(sizes, starts, strict=False)), sums[0], sums[1])


def evaluation_shard(task: EvaluationTask) -> Shard:
    """Judge the examples of every benchmark; the details have the table and the grams."""
    totals = _totals(task)
    outputs: list[Output] = []
    rows: list[dict[str, Any]] = []
    for number, (name, examples, size) in enumerate(task.benchmarks):
        dirty, lengths, places = _judged(examples, size, task.words, totals)
        ids = read_columns(examples, ["id"])["id"].combine_chunks()
        path = f"{task.source}/{number:03d}-{_UNSAFE.sub('_', name)}"
        outputs += _write_examples(task.folder, path, ids, lengths, dirty)
        grams = _most_frequent(examples, places, task, totals)
        facts = {"benchmark": name, "n": size, "examples": len(ids), "files": path}
        rows.append({**facts, **_shares(lengths, size, dirty), "grams": grams})
    every = {(gram["words"], gram["text"]): gram for row in rows for gram in row["grams"]}
    ranked = sorted(every.values(), key=lambda gram: (-gram["before"], gram["text"]))
    details = {"benchmarks": rows, "grams": ranked[:_MOST_GRAMS]}
    return Shard(task.name, task.source, task.key, tuple(outputs), Counts(), {}, details)


def _judged(examples: str, size: int, words: str, totals: _Totals) -> tuple[Flags, Int64s, Int64s]:
    """Return bool[2, examples] (dirty before and after), their lengths, and the grams found."""
    flags: list[Flags] = [np.empty((2, 0), dtype=np.bool_)]
    lengths: list[Int64s] = [np.empty(0, dtype=np.int64)]
    found: list[Int64s] = [np.empty(0, dtype=np.int64)]
    for texts, own in benchmark_grams.read_examples(examples):
        dirty = np.zeros((2, len(texts)), dtype=np.bool_)
        for length, rows, hashes in benchmark_grams.example_grams(
            texts, own, size=size, words=words
        ):
            places = totals.places(length, hashes)
            for state, counts in enumerate((totals.before, totals.after)):
                dirty[state, rows[counts[places] > 0]] = True
            found.append(np.unique(places[totals.before[places] + totals.after[places] > 0]))
        flags.append(dirty)
        lengths.append(own)
    return np.concatenate(flags, axis=1), np.concatenate(lengths), np.unique(np.concatenate(found))


def _shares(lengths: Int64s, size: int, dirty: Flags) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "short": int(np.count_nonzero(lengths < size)),
        "empty": int(np.count_nonzero(lengths == 0)),
    }
    for name, flags in zip(("before", "after"), dirty, strict=True):
        number = int(flags.sum())
        clean = len(flags) - number
        share = round(100 * clean / len(flags), 2) if len(flags) else 100.0
        facts[name] = {"dirty": number, "clean": clean, "clean_percent": share}
    return facts


def _write_examples(
    folder: str, path: str, ids: pa.Array, lengths: Int64s, dirty: Flags
) -> Iterator[Output]:
    """Write which examples are dirty, and the ids of the clean and of the dirty ones as text."""
    names = ["id", "words", "dirty_before", "dirty"]
    table = pa.table([ids, pa.array(lengths), pa.array(dirty[0]), pa.array(dirty[1])], names)
    yield write_table(folder, f"{path}.parquet", table, "examples")
    for name, flags in (("clean", ~dirty[1]), ("dirty", dirty[1])):
        chosen = ids.filter(pa.array(flags)).to_pylist()
        file = f"{path}.{name}.txt"
        lines = "".join(f"{' '.join(id.split())}\n" for id in chosen)
        storage.write_bytes(storage.join(folder, file), lines.encode())
        yield describe_output(folder, file, name, len(chosen))


def _most_frequent(
    examples: str, places: Int64s, task: EvaluationTask, totals: _Totals
) -> list[dict[str, Any]]:
    """Return the grams of a benchmark that are in most documents, with their words."""
    before = totals.before[places]
    # By number of documents, then by hash: places are in the order of the hashes.
    chosen = places[np.lexsort((places, -before))][:_MOST_GRAMS].tolist()
    wanted = {totals.gram(place): place for place in chosen}
    texts: dict[int, str] = {}
    for size in sorted({size for size, _ in wanted}):
        hashes = np.array(sorted(h for s, h in wanted if s == size), dtype=np.uint64)
        index = contamination.make_index(hashes, size=size, words=task.words)
        left = len(hashes)
        for column, _ in benchmark_grams.read_examples(examples):
            hits = contamination.find(column, index)
            grams, firsts = np.unique(hits.grams, return_index=True)
            for gram, hit in zip(grams.tolist(), firsts.tolist(), strict=True):
                place = wanted[size, hashes[gram]]
                if place not in texts:
                    data = column[int(hits.rows[hit])].as_py().encode()
                    written = data[hits.starts[hit] : hits.ends[hit]].decode()
                    texts[place] = " ".join(normalization.words(written, kind=task.words))
                    left -= 1
            if not left:
                break
    return [
        {
            "text": texts[place],
            "words": totals.gram(place)[0],
            "before": int(totals.before[place]),
            "after": int(totals.after[place]),
            "ignored": totals.gram(place)[0] == task.ngram
            and bool(totals.before[place] > task.common),
        }
        for place in chosen
    ]


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

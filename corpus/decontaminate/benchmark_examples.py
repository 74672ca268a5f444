"""The examples of every benchmark and their grams, in a folder of its own beside `decontaminate`.

In: benchmark files. Out: `benchmarks-<fingerprint>`, for each benchmark its examples, the grams
that are cut out (training side), and those that say whether an example is clean (evaluation side).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from corpus import storage
from corpus.config import FILE_NAMES, Benchmark, Decontaminate
from corpus.engine import Engine
from corpus.errors import InputError
from corpus.manifest import Counts, Manifest, Shard, fingerprint
from corpus.parts import write_table
from corpus.progress import Progress
from corpus.sources import benchmarks as benchmark_source
from corpus.stage_folder import describe_output, make
from corpus.text import contamination, normalization, sorting

VERSION = 2
EXAMPLES = pa.schema([("id", pa.string()), ("text", pa.large_string()), ("words", pa.int64())])
_CHUNK = 4096  # examples in memory at a time

UInt64s = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class BenchmarkTask:
    """One benchmark: its files, and how they are read."""

    name: str
    source: str
    key: str
    weight: int
    benchmark: str
    files: tuple[str, ...]
    preset: str | None
    fields: tuple[str, ...] | None
    id: str | None
    ngram: int
    words: str
    folder: str = ""


def benchmarks(
    settings: Decontaminate, output: str, engine: Engine, progress: Progress
) -> Manifest:
    """Read every benchmark; the details of a shard say what is in it.

    Raises:
        InputError: A benchmark file cannot be read, or a pattern matches none.
    """
    version = normalization.WORDS_VERSIONS[settings.words]
    tasks: list[BenchmarkTask] = []
    for name, files, benchmark in named_files(settings):
        inputs = [storage.digest(path) for path in files]
        digests = [(storage.name(p), d) for p, (_, d) in zip(files, inputs, strict=True)]
        known = benchmark_source.layouts(benchmark.preset, benchmark.fields, benchmark.id)
        rules = (settings.ngram, [dataclasses.asdict(layout) for layout in known])
        tasks.append(
            BenchmarkTask(
                name=f"benchmark-{len(tasks):05d}",
                source="benchmarks",
                key=fingerprint(
                    "benchmarks", VERSION, version, contamination.HASH_VERSION, name, digests, rules
                ),
                weight=sum(size for size, _ in inputs) + 1,
                benchmark=name,
                files=files,
                preset=benchmark.preset,
                fields=benchmark.fields,
                id=benchmark.id,
                ngram=settings.ngram,
                words=settings.words,
            )
        )
    stored = {"ngram": settings.ngram, "words": settings.words}
    return make(output, "benchmarks", benchmark_shard, tasks, engine, progress, settings=stored)


def named_files(settings: Decontaminate) -> Iterator[tuple[str, tuple[str, ...], Benchmark]]:
    """Yield the name and the files of each benchmark."""
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
                yield (
                    stem,
                    tuple(p for p, s in zip(files, stems, strict=True) if s == stem),
                    benchmark,
                )
        else:
            yield name, files, benchmark


def benchmark_shard(task: BenchmarkTask) -> Shard:
    """Write the examples of one benchmark and their grams."""
    path = f"{task.source}/{task.name}"
    examples = f"{path}.parquet"
    found: list[UInt64s] = []
    lengths: list[npt.NDArray[np.int64]] = []
    with (
        storage.publish(storage.join(task.folder, examples)) as temporary,
        pq.ParquetWriter(temporary, EXAMPLES, compression="zstd") as writer,
    ):
        for ids, texts in _chunks(task):
            bounds, _ = contamination.gram_hashes(texts, size=1, words=task.words)
            lengths.append(np.diff(bounds))
            columns = [pa.array(ids), texts, pa.array(lengths[-1])]
            writer.write_table(pa.table(columns, schema=EXAMPLES))
            _, hashes = contamination.gram_hashes(texts, size=task.ngram, words=task.words)
            found.append(sorting.distinct(hashes))
    words = np.concatenate(lengths)
    size = contamination.gram_size(words)
    grams = distinct(found)
    evaluation = _evaluation_grams(storage.join(task.folder, examples), size, task.words)
    outputs = (
        describe_output(task.folder, examples, "examples", len(words)),
        write_table(task.folder, f"{path}.grams.parquet", pa.table({"hash": grams}), "grams"),
        write_table(task.folder, f"{path}.evaluation.parquet", evaluation, "evaluation"),
    )
    details = {
        "benchmark": task.benchmark,
        "items": len(words),
        "too_short": int(np.count_nonzero(words < task.ngram)),
        "grams": len(grams),
        "size": size,
    }
    return Shard(task.name, task.source, task.key, outputs, Counts(), {}, details)


def _chunks(task: BenchmarkTask) -> Iterator[tuple[list[str], pa.Array]]:
    """Yield the ids and texts of some examples at a time."""
    known = benchmark_source.layouts(task.preset, task.fields, task.id)
    every = itertools.chain.from_iterable(
        benchmark_source.read(path, known=known) for path in task.files
    )
    while chunk := list(itertools.islice(every, _CHUNK)):
        texts = [example.text.encode("utf-8", "replace").decode() for example in chunk]
        yield [example.id for example in chunk], pa.array(texts, pa.large_string())


def distinct(found: Sequence[UInt64s]) -> UInt64s:
    """Return the sorted distinct hashes of several arrays."""
    return sorting.distinct(np.concatenate([np.empty(0, dtype=np.uint64), *found]))


def example_grams(
    texts: pa.Array, lengths: npt.NDArray[np.int64], *, size: int, words: str
) -> Iterator[tuple[int, npt.NDArray[np.int64], UInt64s]]:
    """Yield the grams of the evaluation side: (size, row of the text, hash), size by size.

    Those of N words; of a text that has fewer, the whole of it (GPT-3, section 4).

    Args:
        texts: Examples.
        lengths: Words of each, int64[texts].
        size: N.
        words: Kind of words.
    """
    own = np.minimum(lengths, size)
    for length in np.unique(own[own > 0]).tolist():
        rows = np.flatnonzero(own == length)
        chosen = texts.take(pa.array(rows))
        bounds, hashes = contamination.gram_hashes(chosen, size=length, words=words)
        yield length, np.repeat(rows, np.diff(bounds)), hashes


def _evaluation_grams(examples: str, size: int, words: str) -> pa.Table:
    """Return the distinct grams of the evaluation side, by size and hash."""
    found: dict[int, list[UInt64s]] = {}
    for texts, lengths in read_examples(examples):
        for length, _, hashes in example_grams(texts, lengths, size=size, words=words):
            found.setdefault(length, []).append(sorting.distinct(hashes))
    return by_size({length: distinct(found[length]) for length in sorted(found)})


def by_size(hashes: Mapping[int, UInt64s]) -> pa.Table:
    """Return hashes of each size as one table."""
    sizes = [np.full(len(own), size, dtype=np.int8) for size, own in hashes.items()]
    return pa.table(
        {
            "size": np.concatenate([np.empty(0, dtype=np.int8), *sizes]),
            "hash": np.concatenate([np.empty(0, dtype=np.uint64), *hashes.values()]),
        }
    )


def read_examples(path: str) -> Iterator[tuple[pa.Array, npt.NDArray[np.int64]]]:
    """Yield the texts of some examples at a time, and their words."""
    with storage.open_arrow(path) as file:
        for batch in pq.ParquetFile(file).iter_batches(_CHUNK, columns=["text", "words"]):
            yield batch.column("text"), batch.column("words").to_numpy()

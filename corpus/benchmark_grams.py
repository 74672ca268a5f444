"""Benchmarks and their grams, in folders of their own beside `decontaminate`.

In: benchmark files. Out: `benchmarks-<fingerprint>` with the examples of each benchmark and their
grams, and `grams-<fingerprint>` with the distinct grams of all: those of the training side, which
are cut out, and those of the evaluation side, which say whether an example is clean.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterator, Sequence
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
from corpus.parts import read_columns, write_table
from corpus.progress import Progress
from corpus.stage_folder import describe_output, make
from corpus.text import contamination, normalization
from corpus.text.contamination import BenchmarkGrams, GramIndex

VERSION = 2
EXAMPLES = pa.schema([("id", pa.string()), ("text", pa.large_string()), ("words", pa.int64())])
_CHUNK = 4096  # examples in memory at a time
_RANGES = 64  # of hashes, merged one after the other

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


@dataclass(frozen=True)
class GramsTask:
    """The grams of all benchmarks: (name, grams of training, grams of evaluation)."""

    name: str
    source: str
    key: str
    weight: int
    benchmarks: tuple[tuple[str, str, str], ...]
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
    for name, files, benchmark in _named(settings):
        inputs = [storage.digest(path) for path in files]
        digests = [(storage.name(p), d) for p, (_, d) in zip(files, inputs, strict=True)]
        rules = (benchmark.preset, benchmark.fields, benchmark.id, settings.ngram)
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


def _named(settings: Decontaminate) -> Iterator[tuple[str, tuple[str, ...], Benchmark]]:
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
            found.append(np.unique(hashes))
    words = np.concatenate(lengths)
    size = contamination.gram_size(words)
    grams = _distinct(found)
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
    from corpus.sources import benchmarks as source

    known = source.layouts(task.preset, task.fields, task.id)
    every = itertools.chain.from_iterable(source.read(path, known=known) for path in task.files)
    while chunk := list(itertools.islice(every, _CHUNK)):
        texts = [example.text.encode("utf-8", "replace").decode() for example in chunk]
        yield [example.id for example in chunk], pa.array(texts, pa.large_string())


def _distinct(found: Sequence[UInt64s]) -> UInt64s:
    return np.unique(np.concatenate([np.empty(0, dtype=np.uint64), *found]))


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
            found.setdefault(length, []).append(np.unique(hashes))
    return _sized({length: _distinct(found[length]) for length in sorted(found)})


def _sized(hashes: dict[int, UInt64s]) -> pa.Table:
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


def grams(read: Manifest, output: str, engine: Engine, progress: Progress) -> Manifest:
    """Merge the grams of all benchmarks: one shard with `grams` and `evaluation`."""
    task = GramsTask(
        name="grams",
        source="benchmarks",
        key=fingerprint("grams", VERSION, [shard.key for shard in read.shards]),
        weight=1,
        benchmarks=tuple(
            (
                shard.details["benchmark"],
                read.path(shard.output("grams")),
                read.path(shard.output("evaluation")),
            )
            for shard in read.shards
        ),
        **read.settings,
    )
    return make(
        output, "grams", grams_shard, [task], engine, progress, settings=read.settings, uses=[read]
    )


def grams_shard(task: GramsTask) -> Shard:
    """Write the grams of all benchmarks, each once, with the set of benchmarks that it is in."""
    names = [name for name, _, _ in task.benchmarks]
    own = [read_columns(path, ["hash"])["hash"].to_numpy() for _, path, _ in task.benchmarks]
    numbers: dict[tuple[int, ...], int] = {(index,): index for index in range(len(names))}
    path = f"{task.source}/{task.name}.parquet"
    schema = pa.schema([("hash", pa.uint64()), ("set", pa.int32())])
    rows = 0
    with (
        storage.publish(storage.join(task.folder, path)) as temporary,
        pq.ParquetWriter(temporary, schema, compression="none", use_dictionary=False) as writer,
    ):
        for hashes, sets in _merged(own, numbers):
            rows += len(hashes)
            writer.write_table(pa.table([hashes, sets], schema=schema))
        facts = {"ngram": task.ngram, "words": task.words, "names": names}
        in_order = sorted(numbers, key=numbers.__getitem__)
        writer.add_key_value_metadata({"benchmarks": json.dumps({**facts, "sets": in_order})})
    found: dict[int, list[UInt64s]] = {}
    for _, _, evaluation in task.benchmarks:
        table = read_columns(evaluation, ["size", "hash"])
        sizes, hashes = table["size"].to_numpy(), table["hash"].to_numpy()
        for size in np.unique(sizes).tolist():
            found.setdefault(size, []).append(hashes[sizes == size])
    evaluation_grams = _sized({size: _distinct(found[size]) for size in sorted(found)})
    outputs = (
        describe_output(task.folder, path, "grams", rows),
        write_table(
            task.folder, f"{task.source}/evaluation.parquet", evaluation_grams, "evaluation"
        ),
    )
    return Shard(task.name, task.source, task.key, outputs)


def _merged(
    own: Sequence[UInt64s], numbers: dict[tuple[int, ...], int]
) -> Iterator[tuple[UInt64s, npt.NDArray[np.int32]]]:
    """Yield the distinct hashes in order, range by range, and the number of each one's set."""
    for part in range(_RANGES):
        first = np.uint64(part << 58)
        pieces = []
        for hashes in own:
            begin = np.searchsorted(hashes, first)
            last = part + 1 == _RANGES
            end = len(hashes) if last else np.searchsorted(hashes, np.uint64((part + 1) << 58))
            pieces.append(hashes[begin:end])
        every = np.concatenate([np.empty(0, dtype=np.uint64), *pieces])
        members = np.repeat(np.arange(len(pieces)), [len(piece) for piece in pieces])
        order = np.argsort(every, kind="stable")  # benchmarks stay ascending within a gram
        distinct, firsts = np.unique(every[order], return_index=True)
        members = members[order]
        sets = members[firsts].astype(np.int32)
        ends = np.append(firsts[1:], len(every))
        for gram in np.flatnonzero(ends - firsts > 1).tolist():
            of = tuple(members[firsts[gram] : ends[gram]].tolist())
            sets[gram] = numbers.setdefault(of, len(numbers))
        yield distinct, sets


@functools.lru_cache(maxsize=1)  # a process does many parts with the same grams
def read_grams(path: str) -> BenchmarkGrams:
    """Return the grams of the training side that `grams_shard` wrote."""
    table = read_columns(path, ["hash", "set"])
    with storage.open_arrow(path) as file:
        facts = json.loads(pq.read_metadata(file).metadata[b"benchmarks"])
    sets = facts["sets"]
    return BenchmarkGrams(
        index=contamination.make_index(
            table["hash"].to_numpy(), size=facts["ngram"], words=facts["words"]
        ),
        names=tuple(facts["names"]),
        sets=table["set"].to_numpy(),
        offsets=np.cumsum([0, *map(len, sets)], dtype=np.int64),
        members=np.array([member for one in sets for member in one], dtype=np.int64),
    )


@functools.lru_cache(maxsize=1)
def read_evaluation(path: str, words: str) -> tuple[GramIndex, ...]:
    """Return the grams of the evaluation side that `grams_shard` wrote, an index for each size."""
    table = read_columns(path, ["size", "hash"])
    sizes, hashes = table["size"].to_numpy(), table["hash"].to_numpy()
    return tuple(
        contamination.make_index(hashes[sizes == size], size=size, words=words)
        for size in np.unique(sizes).tolist()
    )

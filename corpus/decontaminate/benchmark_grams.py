"""The distinct grams of all benchmarks, in a folder of its own beside `decontaminate`.

In: the grams of each benchmark (`corpus.decontaminate.benchmark_examples`). Out:
`grams-<fingerprint>`, with each gram once: those of the training side with the benchmarks that they
are in, and those of the evaluation side.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from corpus import storage
from corpus.decontaminate.benchmark_examples import by_size, distinct
from corpus.engine import Engine
from corpus.manifest import Manifest, Shard, fingerprint
from corpus.parts import read_columns, write_table
from corpus.progress import Progress
from corpus.stage_folder import describe_output, make
from corpus.text import contamination
from corpus.text.contamination import BenchmarkGrams, GramIndex

VERSION = 1
_RANGES = 64  # of hashes, merged one after the other

UInt64s = npt.NDArray[np.uint64]


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
    evaluation_grams = by_size({size: distinct(found[size]) for size in sorted(found)})
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
        for one in own:
            begin = np.searchsorted(one, first)
            last = part + 1 == _RANGES
            end = len(one) if last else np.searchsorted(one, np.uint64((part + 1) << 58))
            pieces.append(one[begin:end])
        every = np.concatenate([np.empty(0, dtype=np.uint64), *pieces])
        members = np.repeat(np.arange(len(pieces)), [len(piece) for piece in pieces])
        order = np.argsort(every, kind="stable")  # benchmarks stay ascending within a gram
        hashes, firsts = np.unique(every[order], return_index=True)
        members = members[order]
        sets = members[firsts].astype(np.int32)
        ends = np.append(firsts[1:], len(every))
        for gram in np.flatnonzero(ends - firsts > 1).tolist():
            of = tuple(members[firsts[gram] : ends[gram]].tolist())
            sets[gram] = numbers.setdefault(of, len(numbers))
        yield hashes, sets


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

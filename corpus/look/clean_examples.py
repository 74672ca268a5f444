"""Which examples of a benchmark are clean: the grams of each looked up in the counts of the corpus.

In: the examples of all benchmarks, and in how many documents each gram is, part by part. Out: files
with the clean and the dirty examples, and the rows of the table; see `corpus.look.overlap`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus import storage
from corpus.decontaminate import benchmark_examples, benchmark_grams
from corpus.manifest import Counts, Output, Shard
from corpus.parts import read_columns, write_table
from corpus.stage_folder import describe_output
from corpus.text import contamination, normalization
from corpus.text.contamination import GramIndex

COLUMNS = ("gram", "before", "after")  # of the counts of a part
_MOST_GRAMS = 20  # of the most frequent ones
_UNSAFE = re.compile(r"[^\w.-]+")

Int64s = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


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
    for texts, own in benchmark_examples.read_examples(examples):
        dirty = np.zeros((2, len(texts)), dtype=np.bool_)
        for length, rows, hashes in benchmark_examples.example_grams(
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
        for column, _ in benchmark_examples.read_examples(examples):
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

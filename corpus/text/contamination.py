"""Benchmark text in the training data: find it and count it (GPT-3, Appendix C).

The training side of the appendix, as pure functions, in the order in which they are called:

1. `benchmark_grams`: the 13-grams of the benchmarks, in "plain" words.
2. `find`: where they occur in a column of documents.
3. `count_documents`: in how many documents each occurs. The counts of several columns are added,
   and grams in more than ten documents are ignored from there on.
4. `corpus.text.cuts.cut_documents`: what is cut out of each document, or that it is dropped.

A gram is "a lowercase, whitespace delimited word with no punctuation" thirteen times over, the
``plain`` words of `corpus.text.normalization`. A benchmark item of fewer than thirteen words has no
gram and removes nothing; `BenchmarkGrams` says how many there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.text import kernels
from corpus.text.ngrams import check_size, shingle_sets, text_buffers
from corpus.text.unicode_tables import word_tables

WORDS = "plain"

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BenchmarkGrams:
    """The distinct n-grams of a set of benchmarks.

    Attributes:
        ngram: Words in a gram.
        hashes: Sorted distinct hashes (`corpus.text.ngrams`), uint64[grams].
        names: The benchmarks.
        offsets: int64[grams + 1]: gram i is in the benchmarks
            ``names[b] for b in members[offsets[i]:offsets[i + 1]]``.
        members: Indices into `names`, int64, ascending within a gram.
        items: Texts of each benchmark, int64[names].
        too_short: Those among them with fewer than `ngram` words, int64[names].
    """

    ngram: int
    hashes: npt.NDArray[np.uint64]
    names: tuple[str, ...]
    offsets: Int64s
    members: Int64s
    items: Int64s
    too_short: Int64s

    def __len__(self) -> int:
        return len(self.hashes)


@dataclass(frozen=True)
class Hits:
    """Occurrences of grams in a column of texts, in the order of the text.

    Attributes:
        rows: Row of the text, int64[hits], ascending.
        starts: First byte within the text, int64[hits], ascending within a row.
        ends: The byte behind the last one, int64[hits], ascending within a row.
        grams: Index of the gram in `BenchmarkGrams.hashes`, int64[hits].
    """

    rows: Int64s
    starts: Int64s
    ends: Int64s
    grams: Int64s

    def __len__(self) -> int:
        return len(self.rows)


def benchmark_grams(
    texts_by_benchmark: Mapping[str, Sequence[str]], *, ngram: int
) -> BenchmarkGrams:
    """Return the distinct n-grams of benchmark texts.

    Args:
        texts_by_benchmark: The texts of each benchmark's items, by its name.
        ngram: Words in a gram; 13 in the paper.

    Raises:
        ValueError: `ngram` is less than 1.
    """
    hashes, members = [np.empty(0, dtype=np.uint64)], [np.empty(0, dtype=np.int64)]
    too_short = np.zeros(len(texts_by_benchmark), dtype=np.int64)
    for benchmark, texts in enumerate(texts_by_benchmark.values()):
        column = pa.array(texts, type=pa.large_string())
        offsets, found = shingle_sets(column, shingle=ngram, words=WORDS)
        too_short[benchmark] = np.count_nonzero(np.diff(offsets) == 0)
        distinct = np.unique(found)
        hashes.append(distinct)
        members.append(np.full(len(distinct), benchmark, dtype=np.int64))
    every, benchmarks = np.concatenate(hashes), np.concatenate(members)
    order = np.argsort(every, kind="stable")  # benchmarks stay ascending within a gram
    grams, firsts = np.unique(every[order], return_index=True)
    return BenchmarkGrams(
        ngram=ngram,
        hashes=grams,
        names=tuple(texts_by_benchmark),
        offsets=np.append(firsts, len(every)).astype(np.int64),
        members=benchmarks[order],
        items=np.array([len(texts) for texts in texts_by_benchmark.values()], dtype=np.int64),
        too_short=too_short,
    )


def find(texts: pa.Array, grams: BenchmarkGrams) -> Hits:
    """Find every occurrence of the grams, in one pass over the texts.

    Args:
        texts: A string or large_string array without nulls.
        grams: What to look for.

    Raises:
        TypeError, ValueError: As in `corpus.text.ngrams.text_buffers`.
    """
    check_size(grams.ngram)
    data, offsets = text_buffers(texts)
    tables = word_tables(WORDS)
    # At most one gram a bucket on average, and at most 2^20 buckets (8 MB).
    bits = min(max(len(grams).bit_length(), 1), 20)
    firsts = np.arange(1 << bits, dtype=np.uint64) << np.uint64(64 - bits)
    buckets = np.append(np.searchsorted(grams.hashes, firsts), len(grams)).astype(np.int64)
    hits = kernels.find_ngrams(
        data,
        offsets,
        tables.entries,
        tables.expansions,
        grams.ngram,
        grams.hashes,
        buckets,
        64 - bits,
    )
    rows, starts, ends, found = np.ascontiguousarray(hits.T)
    return Hits(rows=rows, starts=starts, ends=ends, grams=found)


def count_documents(hits: Hits, n_grams: int) -> Int64s:
    """Return in how many distinct documents each gram occurs, int64[n_grams].

    Args:
        hits: Of one column of texts.
        n_grams: ``len(grams)`` of the `BenchmarkGrams` that were looked for.
    """
    pairs = np.unique(hits.rows * n_grams + hits.grams)
    return np.bincount(pairs % max(n_grams, 1), minlength=n_grams).astype(np.int64)

"""Benchmark text in the training data: find it and count it (GPT-3, Appendix C).

Pure functions, in the order in which they are called on the training side:

1. `gram_hashes`: the 13-grams of the benchmarks, in "plain" words.
2. `find`: where they occur in a column of documents.
3. `count_documents`: in how many documents each occurs. The counts of several columns are added,
   and grams in more than ten documents are ignored from there on.
4. `corpus.text.cuts.cut_documents`: what is cut out of each document, or that it is dropped.

On the evaluation side `gram_size` says how long a benchmark's grams are, and `DocumentCounter` in
how many documents each of them occurs.

A gram is "a lowercase, whitespace delimited word with no punctuation" thirteen times over: the
``plain`` words of `corpus.text.normalization`. The grams that OpenAI published as examples have a
space where punctuation was ("i m going to go out on a limb"), which are the ``word`` words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.text import gram_kernels, gram_words, sorting
from corpus.text.ngrams import check_size, text_buffers
from corpus.text.unicode_tables import ascii_table, word_tables

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]

# Of the hashes that are kept across runs.
HASH_VERSION = gram_words.HASH_VERSION
# The range of N on the evaluation side (Appendix C), and the percentile that it is taken from.
SMALLEST, LARGEST, PERCENTILE = 8, 13, 5
_FIXED_BITS = 10  # of the bit set and the buckets of few grams
_AT_A_TIME = 1 << 20  # hashes, so that an index is made in little more memory than it takes


@dataclass(frozen=True)
class GramIndex:
    """Word n-grams of one length that can be looked for: some 13 bytes a gram.

    Attributes:
        size: Words in a gram.
        words: Kind of words (`corpus.text.normalization.WORDS_VERSIONS`).
        hashes: Sorted distinct hashes, uint64[grams].
        bits: A bit set over the first bits of a hash, uint64: 16 to 32 bits a gram.
        buckets: Where the hashes with the same first bits begin, int64: 4 to 8 hashes each.
    """

    size: int
    words: str
    hashes: UInt64s
    bits: UInt64s
    buckets: Int64s

    def __len__(self) -> int:
        return len(self.hashes)


@dataclass(frozen=True)
class BenchmarkGrams:
    """The grams of a set of benchmarks, and which benchmark has which.

    Attributes:
        index: The grams.
        names: The benchmarks.
        sets: Number of the set of benchmarks that each gram is in, int32[grams].
        offsets: int64[sets + 1]: set i is ``names[b] for b in members[offsets[i]:offsets[i + 1]]``.
        members: Indices into `names`, int64, ascending within a set.
    """

    index: GramIndex
    names: tuple[str, ...]
    sets: Int32s
    offsets: Int64s
    members: Int64s

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True)
class Hits:
    """Occurrences of grams in a column of texts, in the order of the text.

    Attributes:
        rows: Row of the text, int64[hits], ascending.
        starts: First byte within the text, int64[hits], ascending within a row.
        ends: The byte behind the last one, int64[hits], ascending within a row.
        grams: Index of the gram in `GramIndex.hashes`, int64[hits].
    """

    rows: Int64s
    starts: Int64s
    ends: Int64s
    grams: Int64s

    def __len__(self) -> int:
        return len(self.rows)


def gram_hashes(texts: pa.Array, *, size: int, words: str) -> tuple[Int64s, UInt64s]:
    """Return the hash of every word n-gram of each text, in the order of the text.

    Args:
        texts: A string or large_string array without nulls.
        size: Words in a gram, at least 1.
        words: Kind of words.

    Returns:
        int64[n + 1] offsets and the uint64 hashes: those of text i are
        ``hashes[offsets[i]:offsets[i + 1]]``. With ``size=1`` the offsets count the words.

    Raises:
        TypeError, ValueError: As in `corpus.text.ngrams.text_buffers`; or a setting is out of its
            range.
    """
    check_size(size)
    data, offsets = text_buffers(texts)
    tables = word_tables(words)
    bounds, hashes = gram_words.gram_hashes(
        data, offsets, ascii_table(words), tables.entries, tables.expansions, size
    )
    return bounds, hashes


def make_index(hashes: UInt64s, *, size: int, words: str) -> GramIndex:
    """Return an index of sorted distinct hashes.

    Raises:
        ValueError: `size` is less than 1.
    """
    check_size(size)
    digits = len(hashes).bit_length()
    bit_shift = 64 - max(digits + 4, _FIXED_BITS)
    bits = np.zeros(1 << (64 - bit_shift - 6), dtype=np.uint64)
    for first in range(0, len(hashes), _AT_A_TIME):
        slots = hashes[first : first + _AT_A_TIME] >> np.uint64(bit_shift)
        np.bitwise_or.at(bits, slots >> np.uint64(6), np.uint64(1) << (slots & np.uint64(63)))
    bucket_bits = max(digits - 3, _FIXED_BITS)
    firsts = np.arange(1 << bucket_bits, dtype=np.uint64) << np.uint64(64 - bucket_bits)
    buckets = np.append(np.searchsorted(hashes, firsts), len(hashes)).astype(np.int64)
    return GramIndex(size=size, words=words, hashes=hashes, bits=bits, buckets=buckets)


def find(texts: pa.Array, index: GramIndex) -> Hits:
    """Find every occurrence of the grams, in one pass over the texts.

    Args:
        texts: A string or large_string array without nulls.
        index: What to look for.

    Raises:
        TypeError, ValueError: As in `corpus.text.ngrams.text_buffers`.
    """
    data, offsets = text_buffers(texts)
    hits = gram_kernels.find_grams(data, offsets, *_arguments(index))
    rows, starts, ends, found = np.ascontiguousarray(hits.T)
    return Hits(rows=rows, starts=starts, ends=ends, grams=found)


def _arguments(
    index: GramIndex,
) -> tuple[npt.NDArray[np.uint8], object, object, int, UInt64s, UInt64s, int, Int64s, int]:
    tables = word_tables(index.words)
    return (
        ascii_table(index.words),
        tables.entries,
        tables.expansions,
        index.size,
        index.hashes,
        index.bits,
        64 - (6 + len(index.bits).bit_length() - 1),
        index.buckets,
        64 - ((len(index.buckets) - 1).bit_length() - 1),
    )


def count_documents(hits: Hits, n_grams: int) -> Int64s:
    """Return in how many distinct documents each gram occurs, int64[n_grams].

    Args:
        hits: Of one column of texts.
        n_grams: ``len(index)`` of the grams that were looked for.
    """
    pairs = sorting.distinct(hits.rows * n_grams + hits.grams)
    return np.bincount(pairs % max(n_grams, 1), minlength=n_grams).astype(np.int64)


class DocumentCounter:
    """Counts documents for each gram, column by column, however often it occurs: 8 bytes a gram.

    Args:
        index: The grams.

    Attributes:
        counts: Documents with each gram so far, int32[grams].
    """

    def __init__(self, index: GramIndex) -> None:
        self.index = index
        self.counts: Int32s = np.zeros(len(index), dtype=np.int32)
        self._marks: Int32s = np.zeros(len(index), dtype=np.int32)
        self._documents = 1

    def add(self, texts: pa.Array) -> None:
        """Count a column of documents.

        Raises:
            TypeError, ValueError: As in `corpus.text.ngrams.text_buffers`.
        """
        if not len(self.index):
            return
        data, offsets = text_buffers(texts)
        arguments = _arguments(self.index)
        gram_kernels.count_grams(
            data, offsets, *arguments, self.counts, self._marks, self._documents
        )
        self._documents += len(texts)


def gram_size(lengths: Sequence[int] | Int64s) -> int:
    """Return N of a benchmark: "the 5th percentile example length in words", 8 to 13.

    The nearest rank: the smallest length that at least 5 % of the examples do not exceed.

    Args:
        lengths: Words of each example.
    """
    if not len(lengths):
        return LARGEST
    rank = -(-len(lengths) * PERCENTILE // 100)
    length = int(np.partition(np.asarray(lengths), rank - 1)[rank - 1])
    return min(max(length, SMALLEST), LARGEST)

"""fastText's model files: supervised models, `.bin` and quantised `.ftz`, versions 11 and 12.

The bytes of a file go in (mapped: nothing large is copied); out comes a `FastText` whose words and
matrices are views of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.errors import InputError
from corpus.text import fasttext_index, fasttext_kernels
from corpus.text.fasttext_matrices import (
    FIX,
    Bytes,
    Floats,
    Quantised,
    Reader,
    read_matrix,
    read_output,
)

_MAGIC = 793712314
_VERSIONS = (11, 12)
_SUPERVISED = 3
_LOSSES = {  # negative sampling predicts as one-versus-all does
    1: fasttext_kernels.HIERARCHICAL,
    2: fasttext_kernels.SIGMOID,
    3: fasttext_kernels.SOFTMAX,
    4: fasttext_kernels.SIGMOID,
}
_LONGEST = 64  # characters of a subword, and words of an n-gram: fastText's defaults are 6 and 1
UNBUILT = 10**15  # weight of a node of the labels' tree that is not made yet


@dataclass(frozen=True, slots=True, eq=False)
class FastText:
    """A supervised model.

    Attributes:
        where: The file, for errors.
        data: uint8; the file's bytes, which the words and matrices are views of.
        starts: int64 (entries + 1,); where the dictionary's entries begin in it.
        table: The hash table of the entries: int32 slots, uint32 hashes.
        shape: Words, buckets, shortest and longest subword, words in an n-gram.
        pruned: Whether n-grams were pruned; the buckets left, their rows, their hash table.
        dense: float32; the input matrix, row after row, or nothing when it is quantised.
        coded: The quantised input matrix.
        output: float32 (labels, dimension).
        loss: Which of the three ways from the output to a probability.
        labels: In the model's order.
        counts: int64; how often each was met in training, which makes the tree of the hierarchical
            softmax.
    """

    where: str
    data: Bytes
    starts: NDArray[np.int64]
    table: tuple[NDArray[np.int32], NDArray[np.uint32]]
    shape: tuple[int, int, int, int, int]
    pruned: tuple[bool, NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]
    dense: Floats
    coded: Quantised
    output: Floats
    loss: int
    labels: tuple[str, ...]
    counts: NDArray[np.int64]


def parse(data: Bytes, *, where: str) -> FastText:
    """Return the model in a file's bytes; words and matrices stay views of them.

    Beside the views, memory goes to the dictionary's hash table and the places of its words: some
    20 bytes a word.

    Raises:
        InputError: They are not a supervised fastText model of version 11 or 12, or cut short, or
            what they say cannot be.
    """
    reader = Reader(data, where)
    if data.size < 8:
        raise InputError("this is not a fastText model", where=where, why="It is empty", fix=FIX)
    magic, version = reader.numbers("ii")
    if magic != _MAGIC:
        why = "It does not begin with fastText's sign"
        raise InputError("this is not a fastText model", where=where, why=why, fix=FIX)
    if version not in _VERSIONS:
        raise InputError(
            f"the fastText model has version {version} of the format",
            where=where,
            why="Versions 11 and 12 are read",
            fix="Save it anew with fastText 0.2 or later",
        )
    dimension, *_, ngrams, loss, model, bucket, shortest, longest, _, _ = reader.numbers("12id")
    if model != _SUPERVISED:
        raise InputError(
            "this fastText model is no classifier",
            where=where,
            why="It holds word vectors (cbow or skipgram)",
            fix=FIX,
        )
    if version == 11:
        longest = 0  # supervised models of then were trained without subwords, whatever they say
    reader.require(loss in _LOSSES, f"It has loss {loss}")
    reader.require(0 < dimension <= 1 << 16, f"Its vectors have {dimension} dimensions")
    reader.require(
        longest <= _LONGEST and ngrams <= _LONGEST,
        f"It has subwords of {longest} characters and n-grams of {ngrams} words",
    )
    words, labels, starts, counts, kept = _dictionary(reader)
    frequent = counts[words:]
    counted = bool((frequent >= 0).all()) and sum(frequent.tolist()) < UNBUILT
    reader.require(counted, "Its labels were met a number of times that cannot be")
    reader.require(bucket > 0 or (longest <= 0 and ngrams <= 1), f"It has {bucket} buckets")
    pruned = kept is not None
    keys, values = kept if kept is not None else (np.empty((2, 0), np.int32))
    slots = np.full(_table_size(len(keys)), -1, np.int32)
    fasttext_index.index_pruned(keys, slots)
    rows = words + (len(keys) if pruned else max(bucket, 0))
    dense, coded, quantised = read_matrix(reader, rows, dimension, may_be_quantised=True)
    reader.require(quantised or not pruned, "It is pruned and not quantised")
    output = read_output(reader, labels, dimension, quantised)
    reader.require(reader.at == data.size, f"It goes on behind its end, byte {reader.at:,}")
    table = (
        np.full(_table_size(len(counts)), -1, np.int32),
        np.zeros(_table_size(len(counts)), np.uint32),
    )
    fasttext_index.index_words(data, starts, *table)
    names = tuple(
        data[starts[i] : starts[i + 1] - 10].tobytes().decode("utf-8", "replace")
        for i in range(words, words + labels)
    )
    return FastText(
        where=where,
        data=data,
        starts=starts,
        table=table,
        shape=(words, max(bucket, 1), shortest, longest, ngrams),
        pruned=(pruned, keys, values, slots),
        dense=dense,
        coded=coded,
        output=output,
        loss=_LOSSES[loss],
        labels=names,
        counts=counts[words:],
    )


def _table_size(entries: int) -> int:
    """Return a power of two that is at least 1.5 times the entries."""
    return 1 << max(4, (entries + entries // 2).bit_length())


def _dictionary(
    reader: Reader,
) -> tuple[
    int, int, NDArray[np.int64], NDArray[np.int64], tuple[NDArray[Any], NDArray[Any]] | None
]:
    """Read the dictionary.

    Returns:
        Words, labels, where entries begin, their counts, and the buckets and rows that pruning
        left, or None for a model that is not pruned.
    """
    entries, words, labels, _, left = reader.numbers("3i2q")
    sound = words >= 0 and labels > 0 and words + labels == entries
    reader.require(sound, f"Its dictionary has {words} words and {labels} labels of {entries}")
    reader.bytes(10 * entries)  # an entry has at least so many bytes: none is set aside in vain
    reader.at -= 10 * entries
    starts, counts, types = fasttext_index.scan_entries(reader.data, reader.at, entries)
    reader.bytes(int(starts[-1]) - reader.at)
    ordered = bool((types[:words] == 0).all() and (types[words:] == 1).all())
    reader.require(ordered, "Its dictionary does not have words first and labels last")
    if left < 0:
        return words, labels, starts, counts, None
    pairs = reader.bytes(8 * left).view(np.dtype("<i4")).reshape(-1, 2)
    keys, values = pairs[:, 0].copy(), pairs[:, 1].copy()
    reader.require(bool(((values >= 0) & (values < left)).all()), "Its pruned n-grams are damaged")
    return words, labels, starts, counts, (keys, values)

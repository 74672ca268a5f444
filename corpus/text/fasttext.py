r"""fastText's supervised models, `.bin` and quantised `.ftz`: their format and their probabilities.

The bytes of a model go in (a mapped file: nothing large is copied), then Arrow columns of text; out
come the probabilities that fastText's own `predict` reports for one label, capped at 1 (it reports
up to 1.00001, because it takes the logarithm of p + 0.00001).

A text is read as one line, as DCLM and datatrove read it: a line break is white space like others,
and the word `</s>` closes the text. White space is fastText's: space, \t, \n, \v, \f, \r and the
zero byte. Words that begin with `__label__` are passed over; a text that says `</s>` ends there.

Sources: Joulin et al. 2017 (arXiv:1607.01759), Joulin et al. 2016 for the quantised form
(arXiv:1612.03651), and the behaviour of fastText 0.9.
"""

from __future__ import annotations

import difflib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpus.errors import InputError
from corpus.text import fasttext_kernels as kernels
from corpus.text.ngrams import text_buffers

VERSION = 1  # another number when the same model and text give another probability
_MAGIC = 793712314
_VERSIONS = (11, 12)
_SUPERVISED = 3
_LOSSES = {  # negative sampling predicts as one-versus-all does
    1: kernels.HIERARCHICAL,
    2: kernels.SIGMOID,
    3: kernels.SOFTMAX,
    4: kernels.SIGMOID,
}
_CENTROIDS = 256
_LONGEST = 64  # characters of a subword, and words of an n-gram: fastText's defaults are 6 and 1
_MAXIMUM_OUTPUT = 1 << 28  # floats of the output matrix, which is unpacked when it is quantised
_UNBUILT = 10**15  # weight of a node of the labels' tree that is not made yet
_EOS = np.frombuffer(b"</s>", np.uint8)
_PREFIX = np.frombuffer(b"__label__", np.uint8)
_SHOWN = 8  # labels that an error names
_FIX = "Name a supervised model as fastText saves it: model.bin or model.ftz"

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Quantised:
    """A matrix by product quantisation: a byte for each part of a row.

    Attributes:
        codes: uint8, row after row.
        centroids: float32, those of each part after another.
        norm_codes: uint8, one a row; nothing when norms are not apart.
        norms: float32, 256.
        parts: Parts of a row.
        width: Columns of a part.
        last: Columns of the last part.
    """

    codes: Bytes
    centroids: Floats
    norm_codes: Bytes
    norms: Floats
    parts: int
    width: int
    last: int


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


class _Reader:
    """Reads a model's bytes in order; what is not there is an error and never an allocation."""

    def __init__(self, data: Bytes, where: str) -> None:
        self.data, self.where, self.at = data, where, 0

    def numbers(self, form: str) -> tuple[Any, ...]:
        """Return little-endian numbers by `struct`'s letters."""
        size = struct.calcsize(f"<{form}")
        return struct.unpack(f"<{form}", self.bytes(size).tobytes())

    def bytes(self, size: int) -> Bytes:
        """Return a view of the next bytes."""
        if not 0 <= size <= self.data.size - self.at:
            raise InputError(
                "the fastText model is cut short or damaged",
                where=self.where,
                why=f"It has {self.data.size:,} bytes, and {size:,} more were to follow byte "
                f"{self.at:,}",
                fix="Fetch the file again",
            )
        self.at += size
        return self.data[self.at - size : self.at]

    def floats(self, number: int) -> Floats:
        """Return a view of the next floats."""
        return self.bytes(4 * number).view(np.dtype("<f4"))

    def require(self, holds: bool, why: str) -> None:
        """Refuse a model whose numbers cannot be."""
        if not holds:
            raise InputError("the fastText model is damaged", where=self.where, why=why, fix=_FIX)


def parse(data: Bytes, *, where: str) -> FastText:
    """Return the model in a file's bytes; words and matrices stay views of them.

    Beside the views, memory goes to the dictionary's hash table and the places of its words: some
    20 bytes a word.

    Raises:
        InputError: They are not a supervised fastText model of version 11 or 12, or cut short, or
            what they say cannot be.
    """
    reader = _Reader(data, where)
    if data.size < 8:
        raise InputError("this is not a fastText model", where=where, why="It is empty", fix=_FIX)
    magic, version = reader.numbers("ii")
    if magic != _MAGIC:
        why = "It does not begin with fastText's sign"
        raise InputError("this is not a fastText model", where=where, why=why, fix=_FIX)
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
            fix=_FIX,
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
    counted = bool((frequent >= 0).all()) and sum(frequent.tolist()) < _UNBUILT
    reader.require(counted, "Its labels were met a number of times that cannot be")
    reader.require(bucket > 0 or (longest <= 0 and ngrams <= 1), f"It has {bucket} buckets")
    pruned = kept is not None
    keys, values = kept if kept is not None else (np.empty((2, 0), np.int32))
    slots = np.full(_table_size(len(keys)), -1, np.int32)
    kernels.index_pruned(keys, slots)
    rows = words + (len(keys) if pruned else max(bucket, 0))
    dense, coded, quantised = _matrix(reader, rows, dimension, may_be_quantised=True)
    reader.require(quantised or not pruned, "It is pruned and not quantised")
    output = _output(reader, labels, dimension, quantised)
    reader.require(reader.at == data.size, f"It goes on behind its end, byte {reader.at:,}")
    table = (
        np.full(_table_size(len(counts)), -1, np.int32),
        np.zeros(_table_size(len(counts)), np.uint32),
    )
    kernels.index_words(data, starts, *table)
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
    reader: _Reader,
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
    starts, counts, types = kernels.scan_entries(reader.data, reader.at, entries)
    reader.bytes(int(starts[-1]) - reader.at)
    ordered = bool((types[:words] == 0).all() and (types[words:] == 1).all())
    reader.require(ordered, "Its dictionary does not have words first and labels last")
    if left < 0:
        return words, labels, starts, counts, None
    pairs = reader.bytes(8 * left).view(np.dtype("<i4")).reshape(-1, 2)
    keys, values = pairs[:, 0].copy(), pairs[:, 1].copy()
    reader.require(bool(((values >= 0) & (values < left)).all()), "Its pruned n-grams are damaged")
    return words, labels, starts, counts, (keys, values)


def _matrix(
    reader: _Reader, rows: int, columns: int, *, may_be_quantised: bool
) -> tuple[Floats, Quantised, bool]:
    """Read a matrix, dense or quantised: the other of the two is empty."""
    none = reader.bytes(0)
    no_floats = none.view(np.float32)
    [flag] = reader.numbers("B")
    if not (flag and may_be_quantised):
        found = reader.numbers("2q")
        reader.require(found == (rows, columns), f"It has a matrix of {found[0]} × {found[1]}")
        values = reader.floats(rows * columns)
        return values, Quantised(none, no_floats, none, no_floats, 0, 0, 0), False
    has_norms, found_rows, found_columns, size = reader.numbers("Bqqi")
    shape = (found_rows, found_columns)
    reader.require(shape == (rows, columns), f"It has a matrix of {shape[0]} × {shape[1]}")
    codes = reader.bytes(size)
    of, parts, width, last = reader.numbers("4i")
    sound = of == columns and 0 < width <= columns and 0 < last <= width
    sound = sound and (parts - 1) * width + last == columns and size == rows * parts
    reader.require(sound, "Its quantised vectors do not have the parts that they should")
    centroids = reader.floats(columns * _CENTROIDS)
    norm_codes, norms = none, no_floats
    if has_norms:
        norm_codes = reader.bytes(rows)
        reader.require(reader.numbers("4i") == (1, 1, 1, 1), "Its quantised norms are damaged")
        norms = reader.floats(_CENTROIDS)
    return no_floats, Quantised(codes, centroids, norm_codes, norms, parts, width, last), True


def _output(reader: _Reader, labels: int, dimension: int, quantised: bool) -> Floats:
    """Read the output matrix; a quantised one, which has a row a label, is unpacked."""
    dense, coded, packed = _matrix(reader, labels, dimension, may_be_quantised=quantised)
    if not packed:
        return dense.reshape(labels, dimension)
    reader.require(labels * dimension <= _MAXIMUM_OUTPUT, f"It has {labels:,} labels")
    unpacked = np.empty((labels, dimension), np.float32)
    codes = coded.codes.reshape(labels, coded.parts)
    for part in range(coded.parts):
        start = part * coded.width
        own = coded.last if part == coded.parts - 1 else coded.width
        first = part * _CENTROIDS * coded.width
        centroids = coded.centroids[first : first + _CENTROIDS * own].reshape(_CENTROIDS, own)
        unpacked[:, start : start + own] = centroids[codes[:, part]]
    if coded.norm_codes.size:
        unpacked *= coded.norms[coded.norm_codes][:, np.newaxis]
    unpacked.flags.writeable = False
    return unpacked


def scores(texts: pa.Array, model: FastText, label: str) -> NDArray[np.float64]:
    """Return the probability of a label for each text.

    Args:
        texts: StringArray or LargeStringArray of n texts, without nulls.
        model: The model.
        label: One of its labels, whole: `__label__hq`.

    Returns:
        (n,) numbers from 0 to 1, equal to fastText's `predict` with k=-1 to the rounding of 32-bit
        floats, and capped at 1. 0 for a text of which the model knows nothing at all, for which
        `predict` returns no label.

    Raises:
        InputError: The model has no such label, or its numbers are not numbers.
        ValueError: There is a null among the texts.
    """
    target = label_index(model, label)
    path, turns = _path(model.counts, target) if model.loss == kernels.HIERARCHICAL else ([], [])
    data, offsets = text_buffers(texts)
    coded = model.coded
    found = kernels.probabilities(
        data,
        offsets,
        model.data,
        model.starts,
        model.table,
        model.shape,
        model.pruned,
        model.dense,
        (
            coded.codes,
            coded.centroids,
            coded.norm_codes,
            coded.norms,
            coded.parts,
            coded.width,
            coded.last,
        ),
        model.output,
        model.loss,
        target,
        np.array(path, np.int64),
        np.array(turns, np.bool_),
        _PREFIX,
        _EOS,
    )
    if np.isnan(found).any():
        raise InputError(
            "the fastText model gives no probability for a text",
            where=model.where,
            why="There are values in its matrices that are not numbers",
            fix="Train it again, with a lower learning rate",
        )
    return cast(NDArray[np.float64], np.minimum(found, 1.0))


def label_index(model: FastText, label: str) -> int:
    """Return the place of a label among the model's.

    Raises:
        InputError: It is not there; those that are there are named.
    """
    if label in model.labels:
        return model.labels.index(label)
    near = difflib.get_close_matches(label, model.labels, n=_SHOWN, cutoff=0.6)
    named = list(dict.fromkeys([*near, *model.labels[:_SHOWN]]))[:_SHOWN]
    more = f" and {len(model.labels) - len(named):,} more" if len(model.labels) > len(named) else ""
    raise InputError(
        f"the fastText model has no label {label!r}",
        where=model.where,
        why=f"It has {', '.join(named)}{more}",
        fix="Name one of them: filter: {classifier: {fasttext: ..., label: ...}}",
    )


def _path(counts: Sequence[int] | NDArray[np.int64], target: int) -> tuple[list[int], list[bool]]:
    """Return the nodes from the root of the labels' Huffman tree to one of them.

    Returns:
        Rows of the output matrix, and whether the way goes right at each.
    """
    leaves = len(counts)
    weights = [int(count) for count in counts] + [_UNBUILT] * (leaves - 1)
    parent, right = [-1] * len(weights), [False] * len(weights)
    leaf, node = leaves - 1, leaves
    for inner in range(leaves, 2 * leaves - 1):
        children: list[int] = []
        for _ in range(2):
            # fastText's order, which has to be met: labels stand by falling count.
            if leaf >= 0 and weights[leaf] < weights[node]:
                children.append(leaf)
                leaf -= 1
            else:
                children.append(node)
                node += 1
        weights[inner] = sum(weights[child] for child in children)
        for child in children:
            parent[child] = inner
        right[children[1]] = True
    path: list[int] = []
    turns: list[bool] = []
    while parent[target] >= 0:
        path.append(parent[target] - leaves)
        turns.append(right[target])
        target = parent[target]
    return path[::-1], turns[::-1]

"""The compiled part of `corpus.text.fasttext`: fastText's reading of a text, over Arrow buffers.

The order of every sum and the precision of every step are fastText's (32-bit floats, words before
n-grams), so that the probabilities are its own to rounding. Rows of the input matrix are summed
where they lie, in the mapped file; that floats stand there at any byte is no matter to a processor.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from corpus.text.fasttext_index import (
    FNV_OFFSET,
    FNV_PRIME,
    equal,
    find_word,
    row_of,
    word_hash,
)
from corpus.text.kernel_cache import njit
from corpus.text.prefetch import prefetch

_AHEAD = 8  # rows that are asked for before they are needed: 4 to 32 are as good
_LINE = 16  # floats of a cache line
_IDS = 4096  # rows of the input matrix that are summed in one go
_CENTROIDS = 256  # of each part of a vector in a quantised matrix: a code is a byte
_SIGMOID_STEPS, _SIGMOID_BOUND = 512, 8  # fastText's table of the logistic function
_NGRAM_FACTOR = np.uint64(116049371)
SOFTMAX, SIGMOID, HIERARCHICAL = 0, 1, 2


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _add_rows(hidden: Any, ids: Any, used: Any, dense: Any, coded: Any) -> None:
    """Add rows of the input matrix, which is dense or quantised (then `dense` is empty)."""
    if dense.size:
        columns = hidden.size
        for place in range(used):
            if place + _AHEAD < used:
                base = ids[place + _AHEAD] * columns
                for column in range(0, columns, _LINE):
                    prefetch(dense, base + column)
            base = ids[place] * columns
            for column in range(columns):
                hidden[column] += dense[base + column]
        return
    codes, centroids, norm_codes, norms, parts, width, last = coded
    for place in range(used):
        if place + _AHEAD < used:
            prefetch(codes, ids[place + _AHEAD] * parts)
        row = ids[place]
        norm = norms[norm_codes[row]] if norm_codes.size else np.float32(1.0)
        for part in range(parts):
            own = last if part == parts - 1 else width
            base = part * _CENTROIDS * width + np.int64(codes[row * parts + part]) * own
            for column in range(own):
                hidden[part * width + column] += norm * centroids[base + column]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _dot(hidden: Any, output: Any, row: Any) -> Any:
    total = np.float32(0.0)
    for column in range(hidden.size):
        total += output[row, column] * hidden[column]
    return total


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _log(x: Any) -> Any:
    """Return fastText's logarithm of a probability, which never is that of zero."""
    return np.float32(math.log(np.float64(x) + 1e-5))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _probability(
    hidden: Any, output: Any, loss: Any, target: Any, path: Any, turns: Any, scratch: Any
) -> Any:
    """Return the probability of one label as fastText reports it: its logarithm's exponential."""
    if loss == HIERARCHICAL:
        score = np.float32(0.0)
        for step in range(path.size):
            f = np.float32(1.0 / (1.0 + math.exp(-np.float64(_dot(hidden, output, path[step])))))
            score += _log(f) if turns[step] else _log(np.float32(1.0 - np.float64(f)))
        return math.exp(np.float64(score))
    if loss == SIGMOID:
        x = _dot(hidden, output, target)
        if x != x:
            return np.nan
        if x < -_SIGMOID_BOUND:
            p = np.float32(0.0)
        elif x > _SIGMOID_BOUND:
            p = np.float32(1.0)
        else:
            place = np.int64((x + np.float32(8.0)) * np.float32(512.0) / np.float32(8.0) / 2)
            edge = np.float32(place * 2 * _SIGMOID_BOUND) / np.float32(_SIGMOID_STEPS)
            p = np.float32(1.0 / (1.0 + math.exp(-np.float64(edge - np.float32(8.0)))))
        return math.exp(np.float64(_log(p)))
    for row in range(scratch.size):
        scratch[row] = _dot(hidden, output, row)
    highest = scratch.max()
    total = np.float32(0.0)
    for row in range(scratch.size):
        scratch[row] = np.float32(math.exp(np.float64(scratch[row] - highest)))
        total += scratch[row]
    return math.exp(np.float64(_log(scratch[target] / total)))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def probabilities(
    data: Any,
    offsets: Any,
    names: Any,
    starts: Any,
    table: Any,
    shape: Any,
    pruned: Any,
    dense: Any,
    coded: Any,
    output: Any,
    loss: Any,
    target: Any,
    path: Any,
    turns: Any,
    prefix: Any,
    eos: Any,
) -> Any:
    """Return the probability of one label for each text, 0 for one of which no word is known.

    Args:
        data: uint8; the bytes of all texts.
        offsets: int64 (n + 1,); where each text begins in them, and where the last one ends.
        names: uint8; the model's file, for its words.
        starts: int64; where the entries of the dictionary begin in it.
        table: The hash table of `index_words`.
        shape: Words, buckets, shortest and longest subword, words in an n-gram.
        pruned: See `row_of`.
        dense: float32; the input matrix, row after row, or nothing.
        coded: The quantised input matrix; see `_add_rows`.
        output: float32 (labels or nodes, dimension).
        loss: One of the three constants.
        target: The label's row.
        path: int64; the nodes from the root to the label, for the hierarchical softmax.
        turns: bool; whether the path goes right at each of them.
        prefix: uint8; what a label begins with: such words of a text are passed over.
        eos: uint8; the word that stands for the end of a line.

    Returns:
        float64 (n,), NaN where the model's numbers are none.
    """
    words, buckets, shortest, longest, size = shape
    rows = offsets.size - 1
    result = np.zeros(rows, np.float64)
    hidden = np.empty(output.shape[1], np.float32)
    scratch = np.empty(output.shape[0], np.float32)
    ids = np.empty(_IDS, np.int64)
    longest_text = np.int64(0)
    for row in range(rows):
        longest_text = max(longest_text, offsets[row + 1] - offsets[row])
    hashes = np.empty(longest_text // 2 + 2 if size > 1 else 1, np.int32)
    eos_hash = word_hash(eos, 0, eos.size)
    for row in range(rows):
        hidden[:] = 0
        used = 0  # rows that wait in `ids`
        total = 0  # rows in all
        tokens = 0
        at, end = offsets[row], offsets[row + 1]
        ended = False
        while not ended:
            while at < end and (data[at] == 32 or (9 <= data[at] <= 13) or data[at] == 0):
                at += 1
            begin = at
            h = FNV_OFFSET
            while at < end and not (data[at] == 32 or (9 <= data[at] <= 13) or data[at] == 0):
                h = np.uint32((h ^ np.uint32(np.int8(data[at]))) * FNV_PRIME)
                at += 1
            if begin == at:
                ended = True
                h = eos_hash
                entry = find_word(eos, 0, eos.size, h, names, starts, table)
            else:
                entry = find_word(data, begin, at, h, names, starts, table)
                length = at - begin
                ended = h == eos_hash and length == eos.size and equal(data, begin, eos, 0, length)
            unknown_label = (
                entry < 0
                and at - begin >= prefix.size
                and equal(data, begin, prefix, 0, prefix.size)
            )
            if entry >= words or unknown_label:
                continue
            if size > 1:
                hashes[tokens] = np.int32(h)
                tokens += 1
            if entry >= 0:
                ids[used] = entry
                used += 1
                total += 1
                if used == _IDS:
                    _add_rows(hidden, ids, used, dense, coded)
                    used = 0
            if longest <= 0 or ended:
                continue
            length = at - begin + 2  # with a sign before and one behind the word
            for first in range(length):
                if 0 < first < length - 1 and data[begin + first - 1] & 0xC0 == 0x80:
                    continue
                h = FNV_OFFSET
                place = first
                characters = 0
                while place < length and characters < longest:
                    while True:  # a character: a byte and those that follow on it
                        if place == 0:
                            byte = np.uint8(60)
                        elif place == length - 1:
                            byte = np.uint8(62)
                        else:
                            byte = data[begin + place - 1]
                        h = np.uint32((h ^ np.uint32(np.int8(byte))) * FNV_PRIME)
                        place += 1
                        if place >= length - 1 or data[begin + place - 1] & 0xC0 != 0x80:
                            break
                    characters += 1
                    lone = characters == 1 and (first == 0 or place == length)
                    if characters >= shortest and not lone:
                        own = row_of(np.int64(h) % buckets, words, pruned)
                        if own >= 0:
                            ids[used] = own
                            used += 1
                            total += 1
                            if used == _IDS:
                                _add_rows(hidden, ids, used, dense, coded)
                                used = 0
        for one in range(tokens if size > 1 else 0):
            mixed = np.uint64(np.int64(hashes[one]))
            for other in range(one + 1, min(one + size, tokens)):
                mixed = mixed * _NGRAM_FACTOR + np.uint64(np.int64(hashes[other]))
                own = row_of(np.int64(mixed % np.uint64(buckets)), words, pruned)
                if own >= 0:
                    ids[used] = own
                    used += 1
                    total += 1
                    if used == _IDS:
                        _add_rows(hidden, ids, used, dense, coded)
                        used = 0
        if total == 0:
            continue
        _add_rows(hidden, ids, used, dense, coded)
        share = np.float32(1.0 / total)
        for column in range(hidden.size):
            hidden[column] *= share
        result[row] = _probability(hidden, output, loss, target, path, turns, scratch)
    return result

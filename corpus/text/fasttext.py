r"""The probabilities of fastText classifiers, such as DCLM's, for Arrow columns of text.

They are those that fastText's own `predict` reports for one label, capped at 1 (it reports up to
1.00001, because it takes the logarithm of p + 0.00001).

A text is read as one line, as DCLM reads it: a line break is white space like others, and the word
`</s>` closes the text. White space is fastText's: space, \t, \n, \v, \f, \r and the
zero byte. Words that begin with `__label__` are passed over; a text that says `</s>` ends there.

Sources: Joulin et al. 2017 (arXiv:1607.01759), Joulin et al. 2016 for the quantised form
(arXiv:1612.03651), and the behaviour of fastText 0.9.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpus.errors import InputError
from corpus.text import fasttext_kernels as kernels
from corpus.text.fasttext_format import UNBUILT, FastText, parse
from corpus.text.ngrams import text_buffers

__all__ = ["VERSION", "FastText", "label_index", "parse", "scores"]

VERSION = 1  # another number when the same model and text give another probability
_EOS = np.frombuffer(b"</s>", np.uint8)
_PREFIX = np.frombuffer(b"__label__", np.uint8)
_SHOWN = 8  # labels that an error names


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
    weights = [int(count) for count in counts] + [UNBUILT] * (leaves - 1)
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

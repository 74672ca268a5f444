"""Labelled documents and their scores: some 40 bytes a document, no text (`Scored`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from corpus.text import quality
from corpus.text.quality import LinearModel

OTHER = -1  # label of documents of neither class, which are scored and told apart from the crawl
# A word without a letter or a digit, and the white space before and behind it.
_MARKS = r"(^|\s)[^\pL\pN\s]+(\s|$)"

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]


@dataclass(frozen=True)
class Scored:
    """Documents without their text: n of each.

    Attributes:
        scores: float64, (n,).
        labels: int8, (n,): 1 for a positive, 0 for a negative, -1 for a document of neither class.
        lengths: int64, (n,), characters.
        without_marks: Scores of the texts without words that have no letter or digit, or None.
        groups: For each kind of group, the name of each document's; None for no group.
    """

    scores: Floats
    labels: Labels
    lengths: NDArray[np.int64]
    without_marks: Floats | None
    groups: Mapping[str, NDArray[np.object_]]


def score(
    model: LinearModel,
    texts: pa.Array,
    labels: NDArray[np.bool_] | Labels,
    groups: Mapping[str, NDArray[np.object_]] | None = None,
    *,
    marks: bool = False,
) -> Scored:
    """Score labelled documents for `measure`.

    Args:
        model: The classifier.
        texts: n documents.
        labels: (n,), as in `Scored`.
        groups: As in `Scored`.
        marks: Whether to score them without marks as well.
    """
    return Scored(
        scores=quality.scores(texts, model),
        labels=np.asarray(labels, np.int8),
        lengths=pc.utf8_length(texts).to_numpy(zero_copy_only=False).astype(np.int64),
        without_marks=quality.scores(without_marks(texts), model) if marks else None,
        groups=groups or {},
    )


def without_marks(texts: pa.Array) -> pa.Array:
    """Return texts without the words that have no letter and no digit, such as bars and bullets."""
    for _ in range(2):  # the second time for every other one of a row of them
        texts = pc.replace_substring_regex(texts, _MARKS, r"\1\2")
    return texts


def joined(parts: list[Scored]) -> Scored:
    """Return all documents of some parts as one, in their order."""
    marks = [part.without_marks for part in parts if part.without_marks is not None]
    kinds = {kind for part in parts for kind in part.groups}
    none = {id(part): np.full(part.scores.size, None, np.object_) for part in parts}
    return Scored(
        scores=np.concatenate([part.scores for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        lengths=np.concatenate([part.lengths for part in parts]),
        without_marks=np.concatenate(marks) if len(marks) == len(parts) else None,
        groups={
            kind: np.concatenate([part.groups.get(kind, none[id(part)]) for part in parts])
            for kind in sorted(kinds)
        },
    )

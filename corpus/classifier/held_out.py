"""The documents of a sample that a classifier is evaluated on: which they are, and their scores."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from corpus.classifier.measuring import f1
from corpus.classifier.metrics import CurvePoint
from corpus.classifier.sample import NearCopies, Sample
from corpus.classifier.scored import Scored, joined, score
from corpus.errors import InputError
from corpus.text.quality import LinearModel


@dataclass(frozen=True)
class HeldOut:
    """The documents of a sample that a classifier is evaluated on, scored.

    Attributes:
        scored: By each model.
        ids: Ids and labels of those of both classes.
        digest: SHA-256 over label, id and text of each, in the order of the ids.
        near_copies: Documents left out because one that was trained on is nearly the same.
    """

    scored: list[Scored]
    ids: pa.Table
    digest: str
    near_copies: int


def score_held_out(
    models: Sequence[LinearModel],
    sample: Sample,
    copies: NearCopies,
    groups: Mapping[str, str] | None = None,
) -> HeldOut:
    """Score what is held out by each model; the last one also without marks.

    Args:
        models: At least one.
        sample: The documents.
        copies: Those that were trained on.
        groups: A group for an id or URL.
    """
    parts: list[list[Scored]] = [[] for _ in models]
    lines: list[tuple[str, int, str]] = []
    near_copies = 0
    for batch in sample.batches():
        columns = batch.columns.filter(pa.array(batch.held_out))
        if batch.label in (0, 1):
            copied = copies.found(columns.column("text"))
            near_copies += int(copied.sum())
            columns = columns.filter(pa.array(~copied))
        if not len(columns):
            continue
        texts, ids = columns.column("text"), columns.column("id").to_pylist()
        kinds: dict[str, np.ndarray[Any, np.dtype[np.object_]]] = {
            "source": np.full(len(columns), batch.source, np.object_),
            "language": _objects(columns.column("language").to_pylist()),
        }
        if groups:
            urls = columns.column("url").to_pylist()
            pairs = zip(ids, urls, strict=True)
            kinds["group"] = _objects([groups.get(i) or groups.get(u or "") for i, u in pairs])
        labels = np.full(len(columns), batch.label, np.int8)
        for number, model in enumerate(models):
            last = number == len(models) - 1
            parts[number].append(score(model, texts, labels, kinds, marks=last))
        if batch.label in (0, 1):
            hashes = (xxhash.xxh3_128_hexdigest(text.encode()) for text in texts.to_pylist())
            lines += [(i, batch.label, h) for i, h in zip(ids, hashes, strict=True)]
    lines.sort()
    digest = hashlib.sha256("".join(f"{y} {i} {h}\n" for i, y, h in lines).encode()).hexdigest()
    ids_table = pa.table(
        {
            "id": pa.array([i for i, _, _ in lines], pa.string()),
            "positive": pa.array([y == 1 for _, y, _ in lines], pa.bool_()),
        }
    )
    if not lines:
        raise InputError(
            "nothing is left to evaluate the classifier on",
            where="filter.classifier.held_out",
            why=f"{near_copies} documents held out are near copies of some that are trained on",
            fix="Name sources with more, or more different, documents",
        )
    return HeldOut([joined(part) for part in parts], ids_table, digest, near_copies)


def _objects(values: Sequence[str | None]) -> np.ndarray[Any, np.dtype[np.object_]]:
    found = np.empty(len(values), np.object_)
    found[:] = values
    return found


def learning_curve(
    scored: Sequence[Scored], shares: Sequence[float], documents: int
) -> tuple[CurvePoint, ...]:
    """Return what models that were trained on shares of the documents do to those held out."""
    from sklearn.metrics import roc_auc_score

    if len(shares) == 1:
        return ()
    points = []
    for share, one in zip(shares, scored, strict=True):
        ours = one.labels >= 0
        labels, scores = one.labels[ours] == 1, one.scores[ours]
        auc = float(roc_auc_score(labels, scores))
        points.append(CurvePoint(round(share * documents), auc, f1(scores, labels)))
    return tuple(points)

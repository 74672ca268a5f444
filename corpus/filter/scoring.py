"""The quality classifier and its scores, in folders of their own beside the stage `filter`.

In: documents. Out: `score-<fingerprint>` with a score for each document, and what
`corpus.classifier.steps` makes when the recipe trains a classifier. None of it depends on alpha.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus import storage
from corpus.config import ClassifierTraining, FastTextClassifier, Filter, Recipe
from corpus.engine import Engine
from corpus.manifest import Counts, Manifest, Shard, fingerprint
from corpus.parts import Part, batches, read_columns, write_table
from corpus.progress import Progress
from corpus.stage_folder import make

VERSION = 2


@dataclass(frozen=True)
class ScoreTask:
    """One part to score with one classifier.

    Attributes:
        classifier: The folder of a regression, or the file of a fastText model.
        label: The fastText model's label, or "" for a regression.
    """

    name: str
    source: str
    key: str
    weight: int
    part: Part
    classifier: str
    label: str = ""
    folder: str = ""


@dataclass(frozen=True)
class Scores:
    """The scores of a build.

    Attributes:
        paths: For each source and part, path and digest of its scores; empty without a classifier.
        alpha: The Pareto exponent, fitted if the recipe says so.
        steps: The folder of the scores, if there is one.
    """

    paths: Mapping[tuple[str, str], tuple[str, str]]
    alpha: float
    steps: tuple[Manifest, ...]


def scores(
    recipe: Recipe,
    settings: Filter,
    found: Sequence[Part],
    output: str,
    engine: Engine,
    progress: Progress,
) -> Scores:
    """Score every part, by a classifier that is trained now if the recipe says so."""
    alpha = 0.0 if settings.alpha == "fit" else settings.alpha
    if settings.classifier is None:
        return Scores({}, alpha, ())
    trained: list[Manifest] = []
    path, label = named(settings)
    if isinstance(settings.classifier, ClassifierTraining):
        from corpus.classifier import steps

        training = settings.classifier
        trained.append(steps.train(training, found, recipe.seed, output, engine, progress))
        path = storage.join(trained[0].folder, "classifier", "quality")
    digest = model_digest(path, label)
    tasks = [
        ScoreTask(
            name=part.name,
            source=part.source,
            key=fingerprint("score", VERSION, unicodedata.unidata_version, part.sha256, digest),
            weight=part.rows + 1,
            part=part,
            classifier=path,
            label=label,
        )
        for part in found
    ]
    stored = {"model": digest}
    manifest = make(
        output, "score", score_shard, tasks, engine, progress, settings=stored, uses=trained
    )
    if settings.alpha == "fit":
        alpha = _fitted(recipe, manifest, path, trained[0] if trained else None)
    outputs = {(s.source, s.name): s.output("scores") for s in manifest.shards}
    paths = {k: (manifest.path(o), o.sha256) for k, o in outputs.items()}
    return Scores(paths, alpha, (manifest,))


def named(settings: Filter) -> tuple[str, str]:
    """Return path and label of the classifier that a recipe names; "" for one that it trains."""
    match settings.classifier:
        case str(path):
            return path, ""
        case FastTextClassifier(fasttext=path, label=label):
            return path, label
        case _:
            return "", ""


def model_digest(path: str, label: str) -> str:
    """Return what a model's scores depend on: its bytes, and of a fastText model the label.

    Raises:
        InputError: It is not there, or it is a fastText model that has no such label.
    """
    if not label:
        return storage.digest(storage.join(path, "model.npz"))[1]
    from corpus.filter import fasttext_file
    from corpus.text import fasttext

    fasttext.label_index(fasttext_file.load(path), label)  # known before any text is read
    return fingerprint("fasttext", fasttext.VERSION, storage.digest(path)[1], label)


def scorer(path: str, label: str) -> Callable[[pa.Array], np.ndarray[Any, np.dtype[np.float64]]]:
    """Return the function from a column of n texts to (n,) scores from 0 to 1.

    Args:
        path: The folder of a regression, or the file of a fastText model.
        label: The fastText model's label, or "" for a regression.

    Raises:
        InputError: The model cannot be read.
    """
    if label:
        from corpus.filter import fasttext_file
        from corpus.text import fasttext

        return functools.partial(fasttext.scores, model=fasttext_file.load(path), label=label)
    from corpus import classifier
    from corpus.text import quality

    return functools.partial(quality.scores, model=classifier.load(path))


def _fitted(recipe: Recipe, scores: Manifest, classifier: str, trained: Manifest | None) -> float:
    """Return the alpha that fits the positives that the classifier has not been trained on.

    It is fitted to the negatives held out, or, with a classifier that was trained elsewhere, to all
    documents of the filtered sources.
    """
    from corpus.classifier import alpha, artefact

    counts = alpha.ScoreCounts()
    unseen: pa.Array | None = None
    if trained is not None:
        output = trained.shards[0].output("held_out")
        table = read_columns(trained.path(output), ["id", "positive"])
        negatives = table.filter(pc.invert(table["positive"]))
        unseen = negatives["id"].combine_chunks()
    for shard in scores.shards:
        if unseen is None and not recipe.sources[shard.source].filter:
            continue
        columns = read_columns(scores.path(shard.output("scores")), ["id", "score"])
        if unseen is not None:
            columns = columns.filter(pc.is_in(columns["id"], value_set=unseen))
        counts.add(columns["score"].to_numpy())
    return alpha.fit_alpha(artefact.positive_quantiles(classifier), *counts.scores())


def score_shard(task: ScoreTask) -> Shard:
    """Score every document of one part."""
    score = scorer(task.classifier, task.label)
    ids: list[pa.Array] = []
    scores: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []
    for _, batch in batches(task.part, ["id", "text"]):
        ids.append(batch.column("id"))
        scores.append(score(batch.column("text")))
    table = pa.table(
        {
            "id": pa.chunked_array(ids, pa.string()),
            "score": pa.array(np.concatenate(scores) if scores else np.empty(0), pa.float64()),
        }
    )
    output = write_table(task.folder, f"{task.source}/{task.name}.parquet", table, "scores")
    rows = table.num_rows
    return Shard(task.name, task.source, task.key, (output,), Counts(rows, rows))

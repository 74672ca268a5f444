"""The quality classifier and its scores, in folders of their own beside the stage `filter`.

In: documents. Out: `classifier-<fingerprint>` when the recipe trains one, and `score-<fingerprint>`
with a score for each document. Neither depends on alpha.
"""

from __future__ import annotations

import functools
import importlib.metadata
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
from corpus.errors import InputError
from corpus.manifest import Counts, Manifest, Shard, fingerprint
from corpus.parts import Part, batches, read_columns, write_table
from corpus.progress import Progress
from corpus.stage_folder import describe_output, make

VERSION = 2  # 2: a draw of its own for the sample; alpha fitted to documents held out


@dataclass(frozen=True)
class TrainTask:
    """The documents of both classes."""

    name: str
    source: str
    key: str
    weight: int
    positives: tuple[Part, ...]
    negatives: tuple[Part, ...]
    settings: ClassifierTraining
    seed: int
    folder: str = ""


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
        trained.append(_train(recipe, settings.classifier, found, output, engine, progress))
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
        from corpus import classifier_alpha

        alpha = classifier_alpha.fit_alpha(
            _held_out_scores(manifest, trained[0], positive=True),
            _held_out_scores(manifest, trained[0], positive=False),
        )
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
    from corpus import fasttext_file
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
        from corpus import fasttext_file
        from corpus.text import fasttext

        return functools.partial(fasttext.scores, model=fasttext_file.load(path), label=label)
    from corpus import classifier
    from corpus.text import quality

    return functools.partial(quality.scores, model=classifier.load(path))


def _held_out_scores(
    scores: Manifest, trained: Manifest, *, positive: bool
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the scores of the documents of one class that the classifier has not seen."""
    output = trained.shards[0].output("held_out")
    table = read_columns(trained.path(output), ["id", "positive"])
    ids = table.filter(pc.equal(table["positive"], positive))["id"].combine_chunks()
    found: list[pa.ChunkedArray] = []
    for shard in scores.shards:
        columns = read_columns(scores.path(shard.output("scores")), ["id", "score"])
        found.append(columns.filter(pc.is_in(columns["id"], value_set=ids))["score"])
    return np.concatenate([column.to_numpy() for column in found])


def _train(
    recipe: Recipe,
    settings: ClassifierTraining,
    found: Sequence[Part],
    output: str,
    engine: Engine,
    progress: Progress,
) -> Manifest:
    """Train a classifier on this build's documents."""
    positives = tuple(part for part in found if part.source in settings.positives)
    negatives = tuple(part for part in found if part.source in settings.negatives)
    digests = [[part.sha256 for part in side] for side in (positives, negatives)]
    values = settings.model_dump(mode="json")
    names = ("numpy", "scikit-learn", "scipy")
    versions = {name: importlib.metadata.version(name) for name in names}
    task = TrainTask(
        name="quality",
        source="classifier",
        key=fingerprint("classifier", VERSION, digests, values, recipe.seed, versions),
        weight=1,
        positives=positives,
        negatives=negatives,
        settings=settings,
        seed=recipe.seed,
    )
    return make(
        output,
        "classifier",
        train_shard,
        [task],
        engine,
        progress,
        settings=values,
        versions=versions,
    )


def train_shard(task: TrainTask) -> Shard:
    """Fit the classifier on a seeded sample of both classes."""
    from corpus import classifier
    from corpus.text.quality import Features

    settings = task.settings
    sides = {
        True: _sample(task.positives, settings.documents, task.seed),
        False: _sample(task.negatives, settings.documents, task.seed),
    }
    held_out: list[pa.Table] = []
    for positive, names in ((True, settings.positives), (False, settings.negatives)):
        number = sum(len(ids) for ids, _ in sides[positive])
        if number < 10:
            raise InputError(
                f"there are only {number} documents to train the classifier on",
                where=f"filter.classifier ({', '.join(names)})",
                fix="Name more sources, or a trained classifier's folder",
            )
        for ids, texts in sides[positive]:
            chosen = ids.filter(
                pa.array(classifier.held_out_rows(texts, seed=task.seed, share=settings.held_out))
            )
            label = pa.array([positive] * len(chosen), pa.bool_())
            held_out.append(pa.table({"id": chosen, "positive": label}))
    model, metrics = classifier.fit(
        [texts for _, texts in sides[True]],
        [texts for _, texts in sides[False]],
        features=Features(settings.features, settings.ngrams, settings.norm),
        seed=task.seed,
        inverse_regularisation=settings.inverse_regularisation,
        truncate_characters=settings.truncate_characters,
        held_out=settings.held_out,
    )
    path = f"{task.source}/{task.name}"
    classifier.save(model, storage.join(task.folder, path), metrics)
    outputs = (
        describe_output(task.folder, f"{path}/metrics.json", "classifier"),
        describe_output(task.folder, f"{path}/model.npz", "classifier"),
        write_table(
            task.folder, f"{path}/held_out.parquet", pa.concat_tables(held_out), "held_out"
        ),
    )
    return Shard(task.name, task.source, task.key, outputs, Counts())


def _sample(side: Sequence[Part], most: int, seed: int) -> list[tuple[pa.Array, pa.Array]]:
    """Return ids and texts of the documents with the smallest draws, in the order of the input."""
    from corpus.text import quality

    draws = [
        # Not the filter's draw: what it keeps would be what the classifier was told is bad.
        quality.draws(
            read_columns(part.documents, ["id"])["id"].combine_chunks(),
            seed=seed,
            purpose="classifier",
        )
        for part in side
    ]
    everything = np.concatenate(draws) if draws else np.empty(0)
    bound = np.inf if len(everything) <= most else np.partition(everything, most)[most]
    sample: list[tuple[pa.Array, pa.Array]] = []
    for part, part_draws in zip(side, draws, strict=True):
        for row, batch in batches(part, ["id", "text"]):
            chosen = pa.array(part_draws[row : row + len(batch)] < bound)
            sample.append((batch.column("id").filter(chosen), batch.column("text").filter(chosen)))
    return sample


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

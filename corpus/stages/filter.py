"""filter: which pages of the filtered sources are kept (GPT-3, Appendix A).

In: documents. Out: a verdict for each, with the classifier's score. Three folders: the classifier
(when the recipe trains one), the scores, and the verdicts, so that another alpha reads only scores.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from corpus import storage
from corpus.config import ClassifierTraining, Filter, Recipe
from corpus.document import FILTER_SCHEMA, DropReason
from corpus.engine import Engine
from corpus.errors import InputError
from corpus.manifest import Counts, Manifest, Shard, fingerprint
from corpus.parts import Part, batches, parts, read_columns, write_table, write_verdict
from corpus.progress import Progress
from corpus.stage_folder import StageFolder, describe_output

STAGE = "filter"
VERSION = 1


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
    """One part to score with one classifier."""

    name: str
    source: str
    key: str
    weight: int
    part: Part
    classifier: str
    folder: str = ""


@dataclass(frozen=True)
class FilterTask:
    """One part to decide about.

    Attributes:
        scores: Path of the part's scores, or "" without a classifier.
        filtered: Whether documents of this source may be dropped at all.
        alpha: The Pareto exponent.
        urls: Files of blocked domains and prefixes.
    """

    name: str
    source: str
    key: str
    weight: int
    part: Part
    scores: str
    filtered: bool
    alpha: float
    settings: Filter
    urls: tuple[str, ...]
    seed: int
    folder: str = ""


def run(
    recipe: Recipe,
    settings: Filter,
    extract: Manifest,
    output: str,
    engine: Engine,
    progress: Progress,
) -> Manifest:
    """Score every document and decide about those of the filtered sources.

    Raises:
        InputError: The classifier cannot be read, or has nothing to learn from.
    """
    found = parts(extract, None)
    scores, alpha = _scores(recipe, settings, found, output, engine, progress)
    urls = tuple(path for pattern in settings.urls or () for path in storage.find(pattern))
    rules = settings.model_dump(mode="json", exclude={"classifier", "alpha", "urls"})
    lists = [storage.digest(path)[1] for path in urls]
    tasks: list[FilterTask] = []
    for part in found:
        score_path, score_digest = scores.get((part.source, part.name), ("", ""))
        filtered = recipe.sources[part.source].filter
        depends = (part.sha256, score_digest, recipe.seed)
        if filtered:
            depends = (*depends, alpha, rules, lists)  # type: ignore[assignment]
        tasks.append(
            FilterTask(
                name=part.name,
                source=part.source,
                key=fingerprint(STAGE, VERSION, filtered, depends),
                weight=part.rows + 1,
                part=part,
                scores=score_path,
                filtered=filtered,
                alpha=alpha,
                settings=settings,
                urls=urls,
                seed=recipe.seed,
            )
        )
    stored = {"version": VERSION, "alpha": alpha, "seed": recipe.seed, **rules}
    folder = StageFolder(output, STAGE, settings=stored, versions={}, tasks=tasks)
    manifest = folder.manifest()
    if manifest is None:
        manifest = folder.finish(folder.run(filter_shard, engine, progress))
    return manifest


Scores = dict[tuple[str, str], tuple[str, str]]


def _scores(
    recipe: Recipe,
    settings: Filter,
    found: Sequence[Part],
    output: str,
    engine: Engine,
    progress: Progress,
) -> tuple[Scores, float]:
    """Return path and digest of each part's scores, and alpha, fitted when the recipe says so."""
    alpha = 0.0 if settings.alpha == "fit" else settings.alpha
    if settings.classifier is None:
        return {}, alpha
    if isinstance(settings.classifier, ClassifierTraining):
        path = _train(recipe, settings.classifier, found, output, engine, progress)
    else:
        path = settings.classifier
    digest = storage.digest(storage.join(path, "model.npz"))[1]
    tasks = [
        ScoreTask(
            name=part.name,
            source=part.source,
            key=fingerprint("score", VERSION, part.sha256, digest),
            weight=part.rows + 1,
            part=part,
            classifier=path,
        )
        for part in found
    ]
    folder = StageFolder(output, "score", settings={"model": digest}, versions={}, tasks=tasks)
    manifest = folder.manifest()
    if manifest is None:
        manifest = folder.finish(folder.run(score_shard, engine, progress))
    if settings.alpha == "fit" and isinstance(settings.classifier, ClassifierTraining):
        from corpus import classifier_alpha

        reference = _of(manifest, settings.classifier.positives)
        crawl = _of(manifest, [n for n, source in recipe.sources.items() if source.filter])
        alpha = classifier_alpha.fit_alpha(reference, crawl)
    outputs = {(s.source, s.name): s.output("scores") for s in manifest.shards}
    return {k: (manifest.path(o), o.sha256) for k, o in outputs.items()}, alpha


def _of(manifest: Manifest, sources: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    columns = [
        read_columns(manifest.path(shard.output("scores")), ["score"])["score"].to_numpy()
        for source in sources
        for shard in manifest.of(source)
    ]
    return np.concatenate(columns) if columns else np.empty(0)


def _train(
    recipe: Recipe,
    settings: ClassifierTraining,
    found: Sequence[Part],
    output: str,
    engine: Engine,
    progress: Progress,
) -> str:
    """Return the folder of the classifier that is trained on this build's documents."""
    positives = tuple(part for part in found if part.source in settings.positives)
    negatives = tuple(part for part in found if part.source in settings.negatives)
    digests = [[part.sha256 for part in side] for side in (positives, negatives)]
    values = settings.model_dump(mode="json")
    versions = {"scikit-learn": importlib.metadata.version("scikit-learn")}
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
    folder = StageFolder(output, "classifier", settings=values, versions=versions, tasks=[task])
    if folder.manifest() is None:
        folder.finish(folder.run(train_shard, engine, progress))
    return storage.join(folder.path, "classifier", "quality")


def train_shard(task: TrainTask) -> Shard:
    """Fit the classifier on a seeded sample of both classes."""
    from corpus import classifier
    from corpus.text.quality import Features

    settings = task.settings
    both = (task.positives, task.negatives)
    sides = [_sample(side, settings.documents, task.seed) for side in both]
    for side, names in zip(sides, (settings.positives, settings.negatives), strict=True):
        if sum(map(len, side)) < 10:
            raise InputError(
                f"there are only {sum(map(len, side))} documents to train the classifier on",
                where=f"filter.classifier ({', '.join(names)})",
                fix="Name more sources, or a trained classifier's folder",
            )
    model, metrics = classifier.fit(
        sides[0],
        sides[1],
        features=Features(settings.features, settings.ngrams, settings.norm),
        seed=task.seed,
        inverse_regularisation=settings.inverse_regularisation,
        truncate_characters=settings.truncate_characters,
        held_out=settings.held_out,
    )
    path = f"{task.source}/{task.name}"
    classifier.save(model, storage.join(task.folder, path), metrics)
    outputs = tuple(
        describe_output(task.folder, f"{path}/{name}", "classifier")
        for name in ("metrics.json", "model.npz")
    )
    return Shard(task.name, task.source, task.key, outputs, Counts())


def _sample(side: Sequence[Part], most: int, seed: int) -> list[pa.Array]:
    """Return the texts of the documents with the smallest draws, in the order of the input."""
    from corpus.text import quality

    draws = [
        quality.draws(read_columns(part.documents, ["id"])["id"].combine_chunks(), seed=seed)
        for part in side
    ]
    everything = np.concatenate(draws) if draws else np.empty(0)
    bound = np.inf if len(everything) <= most else np.partition(everything, most)[most]
    texts: list[pa.Array] = []
    for part, part_draws in zip(side, draws, strict=True):
        for row, batch in batches(part, ["text"]):
            chosen = part_draws[row : row + len(batch)] < bound
            texts.append(batch.column("text").filter(pa.array(chosen)))
    return texts


def score_shard(task: ScoreTask) -> Shard:
    """Score every document of one part."""
    from corpus import classifier
    from corpus.text import quality

    model = classifier.load(task.classifier)
    ids: list[pa.Array] = []
    scores: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []
    for _, batch in batches(task.part, ["id", "text"]):
        ids.append(batch.column("id"))
        scores.append(quality.scores(batch.column("text"), model))
    table = pa.table(
        {
            "id": pa.chunked_array(ids, pa.string()),
            "score": pa.array(np.concatenate(scores) if scores else np.empty(0), pa.float64()),
        }
    )
    output = write_table(task.folder, f"{task.source}/{task.name}.parquet", table, "scores")
    rows = table.num_rows
    return Shard(task.name, task.source, task.key, (output,), Counts(rows, rows))


def filter_shard(task: FilterTask) -> Shard:
    """Decide about one part: languages, URLs and rules first, then the Pareto draw."""
    from corpus.rules import first_failures
    from corpus.text import quality

    part = task.part
    ids = read_columns(part.documents, ["id"])["id"].combine_chunks()
    reasons = np.full(part.rows, None, dtype=object)
    rules = reasons
    score = None
    if task.scores:
        score = read_columns(task.scores, ["score"])["score"].to_numpy()
    if task.filtered:
        failures = first_failures(part, task.settings, task.urls)
        reasons, rules = failures.reasons, failures.rules
        if score is not None:
            draws = quality.draws(ids, seed=task.seed)
            passed = np.array([reason is None for reason in reasons], dtype=np.bool_)
            lost = ~quality.keep(score, draws, alpha=task.alpha)
            reasons[passed & lost] = str(DropReason.QUALITY)
    table = pa.table(
        {
            "id": ids,
            "kept": pa.array([reason is None for reason in reasons], pa.bool_()),
            "reason": pa.array(reasons, pa.string()),
            "rule": pa.array(rules, pa.string()),
            "score": pa.array(score, pa.float64()) if score is not None else pa.nulls(part.rows),
        }
    ).cast(FILTER_SCHEMA)
    output, counts = write_verdict(task.folder, part, table)
    return Shard(part.name, part.source, task.key, (output,), counts)

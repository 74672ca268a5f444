"""The steps `sample` and `classifier`, in folders of their own: documents in, a trained model out.

In: parts of documents and the settings of a training. Out: `sample-<fingerprint>` with the
documents that may be in the sample, drawn by the engine, and `classifier-<fingerprint>` with the
classifier's folder and the ids that it has not been trained on.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from corpus import storage
from corpus.classifier import artefact
from corpus.classifier.held_out import learning_curve, score_held_out
from corpus.classifier.measuring import measure
from corpus.classifier.metrics import Metrics
from corpus.classifier.sample import (
    NearCopies,
    Sample,
    SampleFile,
    SampleTask,
    bound,
    sample_shard,
)
from corpus.classifier.training import TrainingRows, require_both_sides
from corpus.config import ClassifierTraining
from corpus.engine import Engine
from corpus.errors import InputError
from corpus.manifest import Counts, Manifest, Shard, fingerprint
from corpus.parts import Part, write_table
from corpus.progress import Progress
from corpus.stage_folder import describe_output, make
from corpus.text.quality import Features

# 3: the sample is a step of its own; whole sites are held out; near copies are not evaluated
VERSION = 3
_FEWEST = 10  # documents of a class


@dataclass(frozen=True)
class TrainTask:
    """The sample of both classes."""

    name: str
    source: str
    key: str
    weight: int
    files: tuple[SampleFile, ...]
    settings: ClassifierTraining
    seed: int
    folder: str = ""


def sample_files(
    settings: ClassifierTraining,
    found: Sequence[Part],
    seed: int,
    output: str,
    engine: Engine,
    progress: Progress,
) -> tuple[Manifest, list[SampleFile]]:
    """Draw the sample of a training, and return its files with their classes.

    Parts of sources of neither class are drawn from too: they are evaluated, not trained on.
    """
    labels = _labels(settings, found)
    rows = {label: sum(p.rows for p in found if labels[p.source] == label) for label in (1, 0, -1)}
    bounds = {label: bound(settings.documents, number) for label, number in rows.items()}
    tasks = [
        SampleTask(
            name=part.name,
            source=part.source,
            key=fingerprint("sample", VERSION, part.sha256, seed, bounds[labels[part.source]]),
            weight=part.rows + 1,
            part=part,
            bound=bounds[labels[part.source]],
            seed=seed,
        )
        for part in found
    ]
    manifest = make(
        output, "sample", sample_shard, tasks, engine, progress, settings={"seed": seed}
    )
    files = [
        SampleFile(manifest.path(shard.output("sample")), shard.source, labels[shard.source])
        for shard in manifest.shards
    ]
    return manifest, files


def _labels(settings: ClassifierTraining, found: Sequence[Part]) -> Mapping[str, int]:
    return {
        part.source: 1
        if part.source in settings.positives
        else (0 if part.source in settings.negatives else -1)
        for part in found
    }


def train(
    settings: ClassifierTraining,
    found: Sequence[Part],
    seed: int,
    output: str,
    engine: Engine,
    progress: Progress,
) -> Manifest:
    """Train a classifier on documents of a build, unless that has been done."""
    sample, files = sample_files(settings, found, seed, output, engine, progress)
    digests = [shard.output("sample").sha256 for shard in sample.shards]
    values = settings.model_dump(mode="json")
    names = ("numpy", "scikit-learn", "scipy")
    versions = {name: importlib.metadata.version(name) for name in names}
    labels = [file.label for file in files]
    task = TrainTask(
        name="quality",
        source="classifier",
        key=fingerprint("classifier", VERSION, digests, labels, values, seed, versions),
        weight=1,
        files=tuple(files),
        settings=settings,
        seed=seed,
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
        uses=[sample],
    )


def train_shard(task: TrainTask) -> Shard:
    """Fit the classifier on the sample and measure it on what was held out."""
    settings = task.settings
    sample = read_sample(task.files, settings, task.seed)
    rows = TrainingRows(
        Features(settings.features, settings.ngrams, settings.norm),
        settings.truncate_characters,
        settings.pieces,
    )
    copies = NearCopies()
    sizes = {(label, aside): 0 for label in (True, False) for aside in (True, False)}
    trained: dict[str, int] = {}
    for batch in sample.batches():
        if batch.label not in (0, 1):
            continue
        mine = batch.columns.column("text").filter(pa.array(~batch.held_out))
        positive = batch.label == 1
        rows.add(mine, positive=positive, source=batch.source, draws=batch.draws[~batch.held_out])
        copies.add(mine)
        sizes[positive, True] += int(batch.held_out.sum())
        sizes[positive, False] += len(mine)
        trained[batch.source] = trained.get(batch.source, 0) + len(mine)
    for positive, names in ((True, settings.positives), (False, settings.negatives)):
        if sizes[positive, True] + sizes[positive, False] < _FEWEST:
            raise InputError(
                f"there are only {sizes[positive, True] + sizes[positive, False]} documents to "
                "train the classifier on",
                where=f"filter.classifier ({', '.join(names)})",
                fix="Name more sources, or a trained classifier's folder",
            )
        require_both_sides(positive, sizes[positive, False], sizes[positive, True])
    memory, documents = rows.bytes(), rows.documents
    fitted = rows.fit(
        inverse_regularisation=settings.inverse_regularisation,
        balance=settings.balance,
        shares=settings.learning_curve,
    )
    held_out = score_held_out([model for _, _, model in fitted], sample, copies)
    curve = learning_curve(held_out.scored, [share for share, _, _ in fitted], documents)
    metrics = measure(held_out.scored[-1], trained_on=documents, learning_curve=curve)
    record = {
        "trained_on": dict(sorted(trained.items())),
        "held_out_sha256": held_out.digest,
        "near_copies": held_out.near_copies,
        "row_bytes": round(memory / documents),
        "floors": floors(metrics),
    }
    path = f"{task.source}/{task.name}"
    artefact.save(fitted[-1][2], storage.join(task.folder, path), metrics, record)
    outputs = (
        describe_output(task.folder, f"{path}/metrics.json", "classifier"),
        describe_output(task.folder, f"{path}/model.npz", "classifier"),
        write_table(task.folder, f"{path}/held_out.parquet", held_out.ids, "held_out"),
    )
    return Shard(task.name, task.source, task.key, outputs, Counts())


def read_sample(files: Sequence[SampleFile], settings: ClassifierTraining, seed: int) -> Sample:
    """Return the sample of a training."""
    return Sample(files, documents=settings.documents, seed=seed, held_out=settings.held_out)


def floors(metrics: Metrics) -> dict[str, float]:
    """Return what an evaluation must not fall under: what was measured, less half a hundredth."""
    names = ("roc_auc", "average_precision", "f1")
    return {name: round(max(getattr(metrics, name) - 0.005, 0.0), 3) for name in names}

"""Evaluating a classifier on the documents that its recipe holds out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from corpus import storage
from corpus.classifier import artefact, steps
from corpus.classifier.config import ClassifierRecipe
from corpus.classifier.held_out import score_held_out
from corpus.classifier.measuring import measure
from corpus.classifier.sample import NearCopies
from corpus.classifier_folder.inputs import NewProgress, documents, probes, read_groups
from corpus.engine import Engine
from corpus.errors import InputError

# What may have a floor: each is measured in every evaluation, and larger is better.
_MEASURED = ("roc_auc", "average_precision", "f1", "mean_positive_score")


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        folder: The classifier's.
        record: As `metrics.json`, of this evaluation.
        problems: Floors that were not reached.
        notes: What a person should know, such as that other documents were held out.
    """

    folder: str
    record: Mapping[str, Any]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def evaluate(
    recipe: ClassifierRecipe,
    folder: str,
    output: str,
    engine: Engine,
    new_progress: NewProgress,
    *,
    groups: str | None = None,
    others: bool = False,
) -> Evaluation:
    """Evaluate a classifier on what its recipe holds out.

    Args:
        recipe: Its recipe: the sources, and which of their documents were trained on.
        folder: The classifier.
        output: Where the sources are built.
        engine: What runs the tasks.
        new_progress: Makes who is told.
        groups: A JSONL file with `id` or `url` and `group`, to tell kinds of pages apart.
        others: Whether documents other than those held out in training were asked for: they are a
            note then, and no floor is checked on them.

    Raises:
        InputError: A source cannot be read, these are other documents, not asked for, or a floor
            is not one.
    """
    model, stored = artefact.load(folder), artefact.load_record(folder)
    floors = _floors(folder, stored)
    names = read_groups(groups) if groups else None
    found = documents(recipe, output, engine, new_progress())
    progress = new_progress()
    settings = recipe.training()
    try:
        with storage.lock(output):
            progress.begin()
            _, files = steps.sample_files(settings, found, recipe.seed, output, engine, progress)
            progress.end("sample: drawn")
    finally:
        progress.close()
    sample = steps.read_sample(files, settings, recipe.seed)
    copies = NearCopies()
    trained: dict[str, int] = {}
    for batch in sample.batches():
        if batch.label in (0, 1):
            mine = batch.columns.column("text").filter(pa.array(~batch.held_out))
            copies.add(mine)
            trained[batch.source] = trained.get(batch.source, 0) + len(mine)
    held_out = score_held_out([model], sample, copies, names)
    same = stored.get("held_out_sha256") == held_out.digest
    if not same and not others:
        raise InputError(
            "these are not the documents that were held out when the classifier was trained",
            where=folder,
            why="Other files, or another version of the extraction, and some may have been trained "
            "on: what they measure says nothing of its floors",
            fix="Name the texts that it was trained with, --set sources.<name>.<kind>=PATH; that, "
            "or --config, evaluates it on other documents too",
        )
    metrics = measure(held_out.scored[-1], trained_on=sum(trained.values()))
    record: dict[str, Any] = {
        "features": dataclasses.asdict(model.features),
        "metrics": dataclasses.asdict(metrics),
        "trained_on": dict(sorted(trained.items())),
        "held_out_sha256": held_out.digest,
        "near_copies": held_out.near_copies,
        "probes": probes(folder, model),
    }
    notes = []
    if not same:
        notes.append(
            "These are not the documents that the classifier was evaluated on when it was trained: "
            "other sources, another seed, or other text. Some may have been trained on, and no "
            "floor is checked on them."
        )
    problems = _problems(floors, record["metrics"]) if same else []
    return Evaluation(folder, record, tuple(problems), tuple(notes))


def _floors(folder: str, stored: Mapping[str, Any]) -> dict[str, float]:
    """Return the floors of a classifier's metrics; none of one that was given none.

    Raises:
        InputError: They are no numbers by name, or of what is not measured.
    """
    given = stored.get("floors")
    if given is None:
        return {}
    where = storage.join(folder, artefact.METRICS)
    fix = 'Write them as {"floors": {"roc_auc": 0.95}}, or train the classifier again'
    if not isinstance(given, dict):
        raise InputError("the floors are not an object", where=where, why=f"{given!r}", fix=fix)
    for name, floor in given.items():
        if name not in _MEASURED:
            raise InputError(
                f"there is a floor of {name!r}, which is not measured",
                where=where,
                why=f"These are: {', '.join(_MEASURED)}",
                fix=fix,
            )
        if isinstance(floor, bool) or not isinstance(floor, int | float) or floor != floor:
            raise InputError(
                f"the floor of {name} is no number", where=where, why=f"It is {floor!r}", fix=fix
            )
    return given


def _problems(floors: Mapping[str, float], metrics: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} is {metrics[name]:.4f}, its floor is {floor}"
        for name, floor in sorted(floors.items())
        if metrics[name] < floor
    ]

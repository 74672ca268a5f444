"""Classifiers with a recipe of their own: train one into a folder, evaluate one, score with one.

In: `train.yaml`. Out: `classifiers/<name>` with `model.npz`, `metrics.json`, `train.yaml` and the
model card `README.md`. The sources go through the build's own stages, so that a run that was
stopped goes on, and the same pages are not extracted twice.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from corpus import storage
from corpus.build import build
from corpus.classifier import artefact, card, steps
from corpus.classifier.config import RECIPE, ClassifierRecipe
from corpus.classifier.contributions import ScoredText, explain
from corpus.classifier.metrics import measure
from corpus.classifier.sample import NearCopies
from corpus.engine import Engine
from corpus.errors import InputError, OutputError
from corpus.parts import Part, parts
from corpus.progress import Progress
from corpus.text.quality import LinearModel

CARD = "README.md"
PROBES = "probes.jsonl"
_MOST_GROUPS_BYTES = 1 << 30
_WORDS_SHOWN = 4  # of each sign, for a probe
# What may have a floor: each is measured in every evaluation, and larger is better.
_MEASURED = ("roc_auc", "average_precision", "f1", "mean_positive_score")

NewProgress = Callable[[], Progress]


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


def train(
    recipe: ClassifierRecipe,
    text: bytes,
    folder: str,
    output: str,
    engine: Engine,
    new_progress: NewProgress,
    *,
    force: bool = False,
) -> dict[str, Any]:
    """Train a classifier and write its folder.

    Args:
        recipe: What to train.
        text: The recipe to keep beside the model: `text_beside_model`.
        folder: Where the classifier goes.
        output: Where its sources are built.
        engine: What runs the tasks.
        new_progress: Makes who is told, for the build and for the training.
        force: Whether another classifier, or another recipe, in the folder may be replaced.

    Returns:
        The content of `metrics.json`.

    Raises:
        OutputError: There is another classifier in the folder, or another recipe.
    """
    kept = storage.join(folder, RECIPE)
    if storage.exists(kept) and not force and storage.read_bytes(kept) != text:
        raise OutputError(
            "there is another recipe in this folder",
            where=kept,
            why="It is not what would be trained, and what was trained is kept in its place",
            fix="Name another folder with --to, write the settings of --set into the recipe, or "
            "replace it with --force",
        )
    found = _documents(recipe, output, engine, new_progress())
    progress = new_progress()
    try:
        with storage.lock(output):
            progress.begin()
            made = steps.train(recipe.training(), found, recipe.seed, output, engine, progress)
            progress.end(f"classifier: trained in {made.folder}")
    finally:
        progress.close()
    inner = storage.join(made.folder, "classifier", "quality")
    model = storage.read_bytes(storage.join(inner, artefact.MODEL))
    target = storage.join(folder, artefact.MODEL)
    if storage.exists(target) and not force and storage.read_bytes(target) != model:
        raise OutputError(
            "there is another classifier in this folder",
            where=folder,
            why=f"The one that was trained just now is in {inner}",
            fix="Name another folder with --to, or replace this one with --force",
        )
    record = artefact.load_record(inner)
    record["probes"] = _probes(folder, artefact.load(inner))
    storage.write_bytes(target, model)
    storage.write_json(storage.join(folder, artefact.METRICS), record)
    storage.write_bytes(kept, text)
    path = storage.join(folder, CARD)
    page = storage.read_bytes(path).decode("utf-8") if storage.exists(path) else _new_card(recipe)
    storage.write_bytes(path, card.renewed(page, record).encode())
    return record


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
    found = _documents(recipe, output, engine, new_progress())
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
    held_out = steps.score_held_out([model], sample, copies, names)
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
        "probes": _probes(folder, model),
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


def _documents(
    recipe: ClassifierRecipe, output: str, engine: Engine, progress: Progress
) -> list[Part]:
    try:
        made = build(recipe.recipe(), output, engine, progress, until="extract")
    except InputError as error:
        for name, source in recipe.sources.items():
            given = getattr(source, source.kind)
            paths = getattr(given, "paths", given)
            if isinstance(paths, tuple) and error.where in paths:
                why = "The texts of a classifier are not in its folder: they are needed here"
                setting = f"sources.{name}.{source.kind}"
                fix = f"{error.fix}. Or name them: --set {setting}=PATH"
                raise InputError(error.what, where=error.where, why=why, fix=fix) from error
        raise
    return parts(made.stage("extract"), None)


def read_groups(path: str) -> dict[str, str]:
    """Return the group of each id or URL of a JSONL file.

    Raises:
        InputError: The file is too large, or a line of it is not what it should be.
    """
    fix = 'Write lines like {"url": "https://example.org/", "group": "shop"}'
    if storage.size(path) > _MOST_GROUPS_BYTES:
        raise InputError("the file of groups is too large", where=path, fix=fix)
    found: dict[str, str] = {}
    for number, line in enumerate(storage.read_bytes(path).splitlines(), 1):
        try:
            value = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError) as error:
            where = f"{path}:{number}"
            raise InputError("this is not JSON", where=where, why=str(error), fix=fix) from error
        if value is None:
            continue
        key = (value.get("id") or value.get("url")) if isinstance(value, dict) else None
        group = value.get("group") if isinstance(value, dict) else None
        if not isinstance(key, str) or not isinstance(group, str):
            what = "a line needs `id` or `url`, and `group`, all text"
            raise InputError(what, where=f"{path}:{number}", fix=fix)
        found[key] = group
    return found


def read_probes(folder: str) -> list[tuple[str, str]]:
    """Return name and text of each probe of a classifier's folder; none without the file.

    Raises:
        InputError: A line of it is not what it should be.
    """
    path = storage.join(folder, PROBES)
    if not storage.exists(path):
        return []
    found = []
    for number, line in enumerate(storage.read_bytes(path).splitlines(), 1):
        try:
            value = json.loads(line)
            found.append((str(value["name"]), str(value["text"])))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(
                "this is not a probe",
                where=f"{path}:{number}",
                why=str(error),
                fix='Write lines like {"name": "shop page", "text": "..."}',
            ) from error
    return found


def _probes(folder: str, model: LinearModel) -> list[dict[str, Any]]:
    return [probe(name, explain(text, model)) for name, text in read_probes(folder)]


def probe(name: str, scored: ScoredText) -> dict[str, Any]:
    """Return the entry of one probe: its score and the words that moved it most."""
    words = scored.contributions
    raised = [one.words for one in words[:_WORDS_SHOWN] if one.log_odds > 0]
    lowered = [one.words for one in words[::-1][:_WORDS_SHOWN] if one.log_odds < 0]
    return {"name": name, "score": scored.score, "raised_by": raised, "lowered_by": lowered}


def _new_card(recipe: ClassifierRecipe) -> str:
    return (
        f"# {recipe.name}\n\n"
        f"Tells {', '.join(recipe.positives)} from {', '.join(recipe.negatives)}. Trained by "
        "`corpus classifier train` from [train.yaml](train.yaml). Say here what it is good for and "
        "what not; the part below is measured and written anew by each training.\n"
    )

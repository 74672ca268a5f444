"""Training a classifier into its folder: `model.npz`, `metrics.json`, recipe and model card."""

from __future__ import annotations

from typing import Any

from corpus import storage
from corpus.classifier import artefact, card, steps
from corpus.classifier.config import RECIPE, ClassifierRecipe
from corpus.classifier_folder.inputs import NewProgress, documents, probes
from corpus.engine import Engine
from corpus.errors import OutputError

CARD = "README.md"


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
    found = documents(recipe, output, engine, new_progress())
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
    record["probes"] = probes(folder, artefact.load(inner))
    storage.write_bytes(target, model)
    storage.write_json(storage.join(folder, artefact.METRICS), record)
    storage.write_bytes(kept, text)
    path = storage.join(folder, CARD)
    page = storage.read_bytes(path).decode("utf-8") if storage.exists(path) else _new_card(recipe)
    storage.write_bytes(path, card.renewed(page, record).encode())
    return record


def _new_card(recipe: ClassifierRecipe) -> str:
    return (
        f"# {recipe.name}\n\n"
        f"Tells {', '.join(recipe.positives)} from {', '.join(recipe.negatives)}. Trained by "
        "`corpus classifier train` from [train.yaml](train.yaml). Say here what it is good for and "
        "what not; the part below is measured and written anew by each training.\n"
    )

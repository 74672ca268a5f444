"""Checkpoints: everything that a run needs to go on bit for bit, without pickle.

One folder a checkpoint, `checkpoints/step-00001000/`::

    model.safetensors       the weights
    training.safetensors    the optimizer's tensors
    vocabulary.tiktoken     the vocabulary, as a tiktoken ranks file
    checkpoint.json         the rest: step, position in the data, settings, what the ranks file
                            cannot say of the vocabulary; size and SHA-256 of the files above

Tensors are whole, whatever number of processes they come from, and any number can go on from them.
They are written part by part, so that the process that writes has one of another at a time, and
each process reads the rows that it holds.

`checkpoint.json` is written last, so a checkpoint that has it was whole once; the digests say
whether it still is. One that is not (a full disk, a truncated copy) is passed over with a warning,
and the one before it is used.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

import torch

from corpus import storage
from corpus.errors import InputError, IntegrityError
from corpus.text.tokenizer import Tokenizer
from corpus.trainer import state
from corpus.trainer.model import GPT
from corpus.trainer.presets import Architecture
from corpus.trainer.tensor_files import file_order, open_tensors, write_tensors
from corpus.trainer.world import ALONE, World

log = logging.getLogger(__name__)

FORMAT = 3
WEIGHTS, TRAINING, CONTENT = "model.safetensors", "training.safetensors", "checkpoint.json"
VOCABULARY = "vocabulary.tiktoken"
# What a model was before its shape had these fields, so that older checkpoints open and go on.
_ADDED_LATER = {
    f"model.{field.name}": field.default
    for field in fields(Architecture)
    if field.default is not MISSING
}
_FOLDER = re.compile(r"step-(\d{8,})")


@dataclass(frozen=True, slots=True)
class VocabularyEntry:
    """What a checkpoint says of its vocabulary besides the ranks.

    A ranks file has end of text behind its ranks. A `tokenizer.json` may have it anywhere.

    Attributes:
        name: As `Tokenizer.name`.
        end_of_text: Id that ends a document.
        size: One more than the largest id.
    """

    name: str
    end_of_text: int
    size: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that was found whole; its tensors stay in their files until they are wanted.

    Attributes:
        folder: Where it lies.
        digest: SHA-256 of its `checkpoint.json`, which has those of the other files.
        step: Optimizer steps done.
        loader: State of the loader (`Batches.state_dict`).
        settings: The settings of the run that the weights depend on.
        vocabulary: Of the text that it was trained on.
    """

    folder: str
    digest: str
    step: int
    loader: dict[str, Any]
    settings: dict[str, Any]
    vocabulary: VocabularyEntry


def folder_of(output: str, step: int) -> str:
    """Return the folder of the checkpoint after `step` steps."""
    return storage.join(output, "checkpoints", f"step-{step:08d}")


def steps_present(output: str) -> list[int]:
    """Return the steps of the checkpoints in an output folder, latest first, whole or not."""
    names = storage.list_folder(storage.join(output, "checkpoints"))
    matches = (_FOLDER.fullmatch(name) for name in names)
    return sorted((int(match[1]) for match in matches if match), reverse=True)


def save(
    output: str,
    *,
    step: int,
    model: GPT,
    optimizer: torch.optim.Optimizer,
    loader: Mapping[str, Any],
    settings: Mapping[str, Any],
    tokenizer: Tokenizer,
    keep: int,
    world: World = ALONE,
) -> str:
    """Write a checkpoint, remove all but the latest `keep`, and return its folder.

    Every process of a run calls this, since each may hold a part; the one that leads writes.

    Raises:
        OutputError: It cannot be written.
    """
    folder = folder_of(output, step)
    with world.together():
        if world.leads:
            _remove(folder)  # an unfinished or damaged one of the same step
    files = {}
    kinds = {WEIGHTS: state.weights_of(model), TRAINING: state.training_of(model, optimizer)}
    for name, tensors in kinds.items():
        parts = state.gathered(tensors, file_order(tensors))
        with world.together():
            try:
                if world.leads:
                    with storage.publish(storage.join(folder, name)) as temporary:
                        size, digest = write_tensors(tensors, parts, temporary)
                    files[name] = {"bytes": size, "sha256": digest}
            finally:
                deque(parts, maxlen=0)  # what is left: the others wait at each part
    with world.together():
        if world.leads:
            _finish(folder, step, loader, settings, tokenizer, files)
            for old in steps_present(output)[keep:]:
                _remove(folder_of(output, old))
    return folder


def _finish(
    folder: str,
    step: int,
    loader: Mapping[str, Any],
    settings: Mapping[str, Any],
    tokenizer: Tokenizer,
    files: dict[str, dict[str, Any]],
) -> None:
    """Write what is no tensor; `files` are those that are there."""
    path = storage.join(folder, VOCABULARY)
    storage.write_bytes(path, tokenizer.ranks_file())
    size, digest = storage.digest(path)
    files[VOCABULARY] = {"bytes": size, "sha256": digest}
    content = {
        "format": FORMAT,
        "step": step,
        "loader": dict(loader),
        "settings": dict(settings),
        "vocabulary": asdict(
            VocabularyEntry(tokenizer.name, tokenizer.end_of_text, tokenizer.vocabulary_size)
        ),
        "files": files,
    }
    storage.write_json(storage.join(folder, CONTENT), content)


def remove_after(output: str, step: int) -> None:
    """Remove the checkpoints of later steps, which a run that goes on from `step` does again."""
    for later in steps_present(output):
        if later > step:
            _remove(folder_of(output, later))


def _remove(folder: str) -> None:
    # The marker goes first: what a kill leaves of the folder is then no checkpoint.
    storage.remove(storage.join(folder, CONTENT))
    storage.remove(folder)


def load_latest(output: str) -> Checkpoint | None:
    """Return the latest whole checkpoint of an output folder, or None where there is none.

    Raises:
        IntegrityError: There are finished checkpoints, and every one is damaged.
    """
    damaged = []
    for step in steps_present(output):
        folder = folder_of(output, step)
        if not storage.exists(storage.join(folder, CONTENT)):
            log.info("%s was never finished; passed over", folder)
            continue
        try:
            return load(folder)
        except (InputError, IntegrityError) as error:
            log.warning("a damaged checkpoint is passed over: %s", error)
            damaged.append(folder)
    if damaged:
        raise IntegrityError(
            "every checkpoint is damaged",
            where=", ".join(damaged),
            fix="Restore one from a copy, or remove them to start from the beginning",
        )
    return None


def load_run(path: str, *, what: str, fix: str) -> Checkpoint:
    """Return one checkpoint by its folder, or the latest whole one of a run's output folder.

    Args:
        path: Either folder.
        what: What is looked for, for the error: "trained model".
        fix: What to do where there is none.

    Raises:
        InputError: There is no checkpoint.
        IntegrityError: The checkpoint is damaged, or every one in the folder is.
    """
    if storage.exists(storage.join(path, CONTENT)):
        return load(path)
    latest = load_latest(path)
    if latest is None:
        raise InputError(
            f"there is no {what} in this folder", where=path, why="It has no checkpoints", fix=fix
        )
    return latest


def load(folder: str, *, verify: bool = True) -> Checkpoint:
    """Return a checkpoint. Its tensors are read by `restore` and `restore_weights`.

    Args:
        folder: Where it lies.
        verify: Whether to read all of it and compare digests; else it is taken for whole.

    Raises:
        InputError: A file is missing, or `checkpoint.json` is not JSON.
        IntegrityError: The files are not those that `checkpoint.json` promises.
    """
    place = storage.join(folder, CONTENT)
    content = storage.read_json(place)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise IntegrityError(
            f"not a checkpoint of format {FORMAT}", where=place, why="Its format field differs"
        )
    try:
        return _checked(folder, place, content, verify=verify)
    except (KeyError, TypeError) as error:
        raise IntegrityError(
            "not what was written", where=place, why=f"{type(error).__name__}: {error}"
        ) from error


def _checked(folder: str, place: str, content: dict[str, Any], *, verify: bool) -> Checkpoint:
    """Return a checkpoint of what its `checkpoint.json` holds, its files compared with that."""
    for name in (WEIGHTS, TRAINING, VOCABULARY) if verify else ():
        path = storage.join(folder, name)
        size, digest = storage.digest(path)
        promised = content["files"][name]
        if (size, digest) != (promised["bytes"], promised["sha256"]):
            raise IntegrityError(
                "the file is not the one that was written",
                where=path,
                why=f"It has {size:,} bytes and SHA-256 {digest[:12]}..., and should have "
                f"{promised['bytes']:,} and {promised['sha256'][:12]}...",
            )
    return Checkpoint(
        folder=folder,
        digest=storage.digest(place)[1],
        step=content["step"],
        loader=content["loader"],
        settings=_ADDED_LATER | content["settings"],
        vocabulary=VocabularyEntry(**content["vocabulary"]),
    )


def restore_weights(checkpoint: Checkpoint, model: GPT) -> None:
    """Put the weights of a checkpoint into a model, each process its part.

    Raises:
        InputError: The checkpoint is of a model of another shape.
        IntegrityError: The weights cannot be read.
    """
    with open_tensors(storage.join(checkpoint.folder, WEIGHTS)) as file:
        state.read_weights(model, file)


def restore(checkpoint: Checkpoint, model: GPT, optimizer: torch.optim.Optimizer) -> None:
    """Put a checkpoint into a model and its optimizer, in whatever parts they are kept.

    Raises:
        InputError: The checkpoint is of a model of another shape.
        IntegrityError: The tensors cannot be read.
    """
    restore_weights(checkpoint, model)
    with open_tensors(storage.join(checkpoint.folder, TRAINING)) as file:
        state.read_training(model, optimizer, file)

"""A trained model as it is used: its weights, its vocabulary, and what it was trained with.

In goes the output folder of a run (its last whole checkpoint is taken) or the folder of one
checkpoint; out come the model, in evaluation mode, and the tokenizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch

from corpus import storage
from corpus.errors import InputError
from corpus.text import tokenizer
from corpus.text.tokenizer import Tokenizer
from corpus.trainer import checkpoint
from corpus.trainer.model import GPT
from corpus.trainer.presets import Architecture


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A trained model.

    Attributes:
        folder: Folder of its checkpoint.
        model: The model, in evaluation mode.
        tokenizer: The tokenizer of the text that it was trained on.
        step: Optimizer steps that it was trained for.
        settings: What its weights depend on (`checkpoint.Checkpoint.settings`).
    """

    folder: str
    model: GPT
    tokenizer: Tokenizer
    step: int
    settings: Mapping[str, Any]


def open_model(path: str, *, device: torch.device | None = None) -> Pretrained:
    """Return the model of a run or of a checkpoint.

    Args:
        path: The output folder of a run, or the folder of one of its checkpoints.
        device: Where to put the weights; None: the CPU.

    Raises:
        InputError: There is no checkpoint, it is one of a fine-tuning, or its weights are
            not those of its settings.
        IntegrityError: The checkpoint is damaged, or every one in the folder is.
    """
    found = checkpoint.load_run(
        path,
        what="trained model",
        fix="Run: corpus train --config train.yaml, and name its output folder",
    )
    if "task.labels" in found.settings:
        raise InputError(
            "this model was fine-tuned: it has a head, and tokens besides those of its vocabulary",
            where=found.folder,
            fix="Name the model that it was made from; what it predicts itself, "
            "corpus finetune --predict says",
        )
    model = GPT.empty(architecture_of(found), dropout=0.0)
    model.to_empty(device=device or torch.device("cpu"))
    checkpoint.restore_weights(found, model)
    return Pretrained(
        folder=found.folder,
        model=model.eval(),
        tokenizer=tokenizer_of(found),
        step=found.step,
        settings=found.settings,
    )


def tokenizer_of(found: checkpoint.Checkpoint) -> Tokenizer:
    """Return the tokenizer of the text that a checkpoint was trained on."""
    return tokenizer.load(
        storage.join(found.folder, checkpoint.VOCABULARY),
        end_of_text=found.vocabulary.end_of_text,
        size=found.vocabulary.size,
    )


def architecture_of(found: checkpoint.Checkpoint) -> Architecture:
    """Return the shape that a checkpoint's settings name.

    Raises:
        InputError: They name none.
    """
    sizes = {
        field.name: found.settings[f"model.{field.name}"]
        for field in fields(Architecture)
        if f"model.{field.name}" in found.settings
    }
    try:
        return Architecture(**sizes)
    except TypeError as error:
        raise InputError(
            "the checkpoint does not say what its model looks like",
            where=storage.join(found.folder, checkpoint.CONTENT),
            why=str(error),
            fix="Use a checkpoint that corpus train has written",
        ) from error

"""A split of a task, ready for the model: files in; packed tokens and targets out."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.text.tokenizer import Tokenizer
from corpus.trainer.finetuning import examples as task_examples
from corpus.trainer.finetuning.config import TaskConfig
from corpus.trainer.finetuning.examples import Examples
from corpus.trainer.finetuning.inputs import Packed, SpecialTokens, inputs, pack
from corpus.trainer.presets import Architecture

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Split:
    """The examples of train, validation or test.

    Attributes:
        name: Which.
        packed: Their token ids.
        targets: Class or choice of each (int64), its score (float64), or nothing where they are
            not labelled.
        wheres: File and line of each.
        ignored: Examples that were left out for their label.
    """

    name: str
    packed: Packed
    targets: NDArray[Any]
    wheres: tuple[str, ...]
    ignored: int

    def __len__(self) -> int:
        return len(self.wheres)

    def digest(self) -> str:
        """Return the SHA-256 of tokens and targets: of what a model learns from."""
        hasher = hashlib.sha256()
        for array in (self.packed.tokens, self.packed.ends, self.packed.last, self.targets):
            hasher.update(f"{array.dtype.str} {array.shape} ".encode())
            hasher.update(array.tobytes())
        return hasher.hexdigest()

    def counts(self) -> dict[str, int]:
        """Return how many examples there are, and how many were cut or left out."""
        return {
            "examples": len(self),
            "ignored": self.ignored,
            "cut_examples": self.packed.cut_examples,
            "cut_tokens": self.packed.cut_tokens,
        }


def make_split(
    name: str,
    task: TaskConfig,
    read: Examples,
    *,
    labels: Sequence[str],
    tokenizer: Tokenizer,
    special: SpecialTokens,
    context: int,
    labelled: bool = True,
) -> Split:
    """Tokenize and pack examples, and say where texts did not fit.

    Raises:
        InputError: A label is unknown, or the context too short.
    """
    # Before the long work: what is wrong in a label is found at once.
    wanted = task_examples.targets(task, read, labels) if labelled else np.empty(0, dtype=np.int64)
    made = inputs(
        read.examples, kind=task.kind, tokenizer=tokenizer, special=special, context=context
    )
    packed = pack(made)
    if packed.cut_examples:
        log.warning(
            "%s: %d of %d examples are too long for a context of %d; %d tokens were cut",
            name,
            packed.cut_examples,
            len(packed),
            context,
            packed.cut_tokens,
        )
    wheres = tuple(example.where for example in read.examples)
    return Split(name, packed, wanted, wheres, read.ignored)


def make_splits(
    task: TaskConfig, tokenizer: Tokenizer, shape: Architecture
) -> tuple[dict[str, Split], list[str]]:
    """Return the splits of a task for a pretrained model, and the task's labels.

    Raises:
        InputError: As for `examples.read`, `label_names` and `make_split`.
    """
    files = {"train": task.train, "validation": task.validation}
    if task.test is not None:
        files["test"] = task.test
    found = {name: task_examples.read(task, patterns) for name, patterns in files.items()}
    labels = task_examples.label_names(task, found["train"])
    splits = {
        name: make_split(
            name,
            task,
            read,
            labels=labels,
            tokenizer=tokenizer,
            special=SpecialTokens.behind(shape.vocabulary_size),
            context=shape.context,
        )
        for name, read in found.items()
    }
    return splits, labels


@dataclass(frozen=True, slots=True)
class Scale:
    """Scores as the model sees them: mean 0, variance 1 over the training examples."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, scores: NDArray[np.float64]) -> Scale:
        """Return the scale of training scores; constant ones are only moved."""
        return cls(float(scores.mean()), float(scores.std()) or 1.0)

    def scaled(self, scores: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return scores for the model."""
        return ((scores - self.mean) / self.deviation).astype(np.float32)

    def unscaled(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        """Return scores from the model's outputs."""
        return outputs.astype(np.float64) * self.deviation + self.mean

"""What a fine-tuned model predicts on a split, and how good that is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from corpus.trainer.device import precision
from corpus.trainer.finetuning import measures
from corpus.trainer.finetuning.batch import by_length, collate
from corpus.trainer.finetuning.config import TaskConfig
from corpus.trainer.finetuning.data import Scale, Split
from corpus.trainer.finetuning.inputs import Packed
from corpus.trainer.finetuning.measures import Measure
from corpus.trainer.finetuning.model import FinetunedGPT


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the head's outputs mean, and the baseline that they are compared with.

    Attributes:
        task: The task.
        labels: Its classes; empty for choices and scores.
        majority: Most frequent class or choice of the training examples.
        scale: Of the scores; None for classes and choices.
    """

    task: TaskConfig
    labels: tuple[str, ...]
    majority: int
    scale: Scale | None

    @classmethod
    def of(cls, task: TaskConfig, labels: list[str], targets: NDArray[Any]) -> Outcome:
        """Return the outcome of a task with these training targets."""
        if task.target == "score":
            return cls(task, (), 0, Scale.of(targets))
        return cls(task, tuple(labels), int(np.bincount(targets).argmax()), None)

    @property
    def outputs(self) -> int:
        """Numbers that the head puts out."""
        return len(self.labels) or 1

    def wanted(self, targets: NDArray[Any]) -> NDArray[Any]:
        """Return targets as the loss takes them."""
        return targets if self.scale is None else self.scale.scaled(targets)


@torch.no_grad()
def outputs(model: FinetunedGPT, packed: Packed, *, micro_batch: int) -> NDArray[np.float32]:
    """Return what the head says of each example, without dropout.

    Returns:
        [n, outputs]: logits of classes or choices (-inf where an example has fewer), or a score.
    """
    device = model.wte.weight.device
    was_training = model.training
    model.eval()
    found: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = []
    try:
        for numbers in by_length(packed, micro_batch):
            batch = collate(packed, numbers.tolist()).to(device)
            with precision(device):
                found.append(
                    (
                        numbers,
                        model.outputs(model.hidden(batch.tokens), batch).float().cpu().numpy(),
                    )
                )
    finally:
        model.train(was_training)
    width = max(rows.shape[1] for _, rows in found)
    result = np.full((len(packed), width), -np.inf, dtype=np.float32)
    for numbers, rows in found:
        result[numbers, : rows.shape[1]] = rows
    return result


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A split as a model sees it.

    Attributes:
        split: Its name.
        loss: Mean loss of the task (L2).
        measures: By name.
        classes: Of each class: examples, precision, recall, F1.
    """

    split: str
    loss: float
    measures: dict[str, Measure]
    classes: list[dict[str, Any]]

    def plain(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return asdict(self)


def evaluate(
    split: Split, found: NDArray[np.float32], outcome: Outcome, *, seed: int
) -> Evaluation:
    """Measure outputs against the targets of their split."""
    true = split.targets
    wanted, logits = torch.from_numpy(outcome.wanted(true)), torch.from_numpy(found).double()
    if outcome.scale is not None:
        loss = float(F.mse_loss(logits[:, 0], wanted.double()))
        scores = outcome.scale.unscaled(found[:, 0])
        measured = measures.of_scores(true, scores, mean=outcome.scale.mean, seed=seed)
        return Evaluation(split.name, loss, measured, [])
    loss = float(F.cross_entropy(logits, wanted))
    predicted = found.argmax(axis=1).astype(np.int64)
    if not outcome.labels:
        measured = measures.of_choices(true, predicted, outcome.majority)
        return Evaluation(split.name, loss, measured, [])
    measured = measures.of_classes(
        true, predicted, classes=len(outcome.labels), majority=outcome.majority, seed=seed
    )
    return Evaluation(
        split.name, loss, measured, measures.per_class(true, predicted, outcome.labels)
    )


def predictions(
    split: Split, found: NDArray[np.float32], outcome: Outcome
) -> Iterator[dict[str, Any]]:
    """Yield a line for each example: its place, its label where it has one, what is predicted."""
    probabilities = torch.softmax(torch.from_numpy(found).double(), dim=1).tolist()
    scores = outcome.scale.unscaled(found[:, 0]).tolist() if outcome.scale else []
    best = found.argmax(axis=1).tolist()
    for number, where in enumerate(split.wheres):
        line: dict[str, Any] = {"split": split.name, "where": where}
        true = split.targets[number].item() if len(split.targets) else None
        if outcome.scale is not None:
            line |= {"label": true, "predicted": scores[number]}
        elif outcome.labels:
            line |= {
                "label": None if true is None else outcome.labels[true],
                "predicted": outcome.labels[best[number]],
                "probabilities": dict(zip(outcome.labels, probabilities[number], strict=True)),
            }
        else:
            there = len(split.packed.sequences(number))
            line |= {
                "label": true,
                "predicted": best[number],
                "probabilities": probabilities[number][:there],
            }
        yield line

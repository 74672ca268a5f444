"""What a fine-tuning tells: its steps while it goes, and its results at the end.

`results.json` and `predictions.jsonl` hold no clock: the same recipe gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from corpus import storage
from corpus.errors import StageError
from corpus.trainer.finetuning import evaluation
from corpus.trainer.finetuning.data import Split
from corpus.trainer.finetuning.evaluation import Evaluation, Outcome

RESULTS, PREDICTIONS = "results.json", "predictions.jsonl"


@dataclass(frozen=True, slots=True)
class Step:
    """One optimizer step.

    Attributes:
        step: Its number, from 1.
        steps: Number of steps of the whole run.
        epoch: Epoch that it belongs to, from 1.
        loss: L3 of its batch, before the update.
        task_loss: L2, its part of the task.
        language_loss: L1, the language model's part, without lambda; 0 where lambda is.
        learning_rate: Of this step.
        gradient_norm: Global norm of the gradient before it was clipped.
        examples_per_second: Mean since the last look at the loss.
        validation: Loss and measures of the validation examples; empty at most steps.
    """

    step: int
    steps: int
    epoch: int
    loss: float
    task_loss: float
    language_loss: float
    learning_rate: float
    gradient_norm: float
    examples_per_second: float
    validation: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run came to.

    Attributes:
        output: Its folder.
        parameters: Number of parameters of the model, head and new tokens included.
        steps: Optimizer steps done since its start.
        resumed_from: Step of the checkpoint that this run went on from, or None.
        seconds: Duration of this run.
        checkpoint: Folder of the last checkpoint.
        results: What `results.json` holds.
    """

    output: str
    parameters: int
    steps: int
    resumed_from: int | None
    seconds: float
    checkpoint: str
    results: Mapping[str, Any]


def diverged(step: int, loss: float, norm: float, where: str) -> StageError:
    """Return what is said when a loss is no number."""
    return StageError(
        f"the loss is {loss} and the norm of the gradient {norm} at step {step}",
        where=where,
        why="Training has diverged, or the weights were damaged",
        fix="Lower optimizer.learning_rate, and start in another output folder",
    )


def results(
    splits: Mapping[str, Split],
    evaluations: Sequence[Evaluation],
    outcome: Outcome,
    **facts: Any,
) -> dict[str, Any]:
    """Return what `results.json` holds: counts of every split, measures of those evaluated."""
    return {
        **facts,
        "task": outcome.task.kind,
        "metric": outcome.task.headline,
        "labels": list(outcome.labels),
        "counts": {name: split.counts() for name, split in splits.items()},
        "evaluations": {one.split: one.plain() for one in evaluations},
    }


def write(
    output: str,
    made: Mapping[str, Any],
    found: Mapping[str, NDArray[Any]],
    splits: Mapping[str, Split],
    outcome: Outcome,
) -> None:
    """Write results, and the predictions for the outputs that were `found` of each split.

    Raises:
        OutputError: The folder cannot be written.
    """
    storage.write_json(storage.join(output, RESULTS), made)
    rows = (
        json.dumps(row, ensure_ascii=False)
        for name, outputs in found.items()
        for row in evaluation.predictions(splits[name], outputs, outcome)
    )
    text = "".join(f"{row}\n" for row in rows)
    storage.write_bytes(storage.join(output, PREDICTIONS), text.encode("utf-8", "replace"))


def describe(made: Mapping[str, Any]) -> list[str]:
    """Return the lines that a person reads of `results`."""
    lines = []
    for name, one in made["evaluations"].items():
        counts = made["counts"][name]
        measures = one["measures"]
        ordered = sorted(measures, key=lambda measure: measure != made["metric"])
        for measure in ordered:
            value = measures[measure]
            lines.append(
                f"{name} {measure.replace('_', '-')}: {value['value']:.3f} "
                f"(95 % {value['low']:.3f} to {value['high']:.3f}; "
                f"majority baseline {value['baseline']:.3f}), {counts['examples']:,} examples"
            )
        if counts["cut_examples"]:
            lines.append(f"{name}: {counts['cut_examples']:,} examples were too long and were cut")
    return lines

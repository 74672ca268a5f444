"""The verb that fine-tunes: finetune.

It is a function for Typer. Everything heavy is imported by it when it runs.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from corpus.verbs.options import Json, Sets
from corpus.verbs.printing import show
from corpus.verbs.torch_needed import torch_needed

if TYPE_CHECKING:
    from corpus.trainer.finetuning.results import Step


def finetune(
    config: Annotated[
        str, typer.Option("--config", "-c", help="The fine-tuning's recipe.", metavar="FILE")
    ] = "finetune.yaml",
    set_: Sets = None,
    predict: Annotated[
        str | None,
        typer.Option(
            "--predict",
            help="Do not train: print what the finished model predicts for these examples, a line "
            "of JSON each. Their labels, if any, are not looked at.",
            metavar="FILE",
        ),
    ] = None,
    json_output: Json = False,
) -> None:
    """Fine-tune a trained model on a labelled task, as GPT-1; a run that was stopped goes on.

    Example: corpus finetune --config finetune.yaml

    Example: corpus finetune --config finetune.yaml --predict new.jsonl > predictions.jsonl
    """
    with torch_needed("the trainer"):
        from corpus.trainer.finetuning import results
        from corpus.trainer.finetuning.finetuned import open_finetuned
        from corpus.trainer.finetuning.run import finetune as run

    from corpus.trainer.finetuning.config import load_finetune_config

    recipe = load_finetune_config(config, set_ or [])
    if predict is not None:
        import json

        opened = open_finetuned(recipe.output)
        for line in opened.predict(predict, micro_batch=recipe.micro_batch):
            typer.echo(json.dumps(line, ensure_ascii=False))
        return
    summary = run(recipe, report=lambda step: None if json_output else typer.echo(_line(step)))
    lines = [
        *results.describe(summary.results),
        f"Fine-tuned in {summary.seconds:.0f} s; the model is in {summary.checkpoint}",
    ]
    show(dataclasses.asdict(summary), lines, json_output)


def _line(step: Step) -> str:
    found = "".join(f", validation {name} {value:.3f}" for name, value in step.validation.items())
    return (
        f"step {step.step}/{step.steps}, epoch {step.epoch}: loss {step.loss:.3f} "
        f"(task {step.task_loss:.3f}, language {step.language_loss:.3f}){found}, "
        f"{step.examples_per_second:,.1f} examples/s"
    )

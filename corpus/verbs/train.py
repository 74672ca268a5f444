"""The verb that trains: a recipe in, progress and a sample of text on the terminal.

torch is imported when the verb runs, and only then.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

import typer

from corpus.errors import RecipeError
from corpus.verbs.options import Json, Sets
from corpus.verbs.torch_needed import torch_needed

if TYPE_CHECKING:
    from corpus.trainer.config import TrainConfig
    from corpus.trainer.loop import Summary
    from corpus.trainer.metrics import Metrics


def train(
    config: Annotated[
        str, typer.Option("--config", "-c", help="The training recipe.", metavar="FILE")
    ] = "train.yaml",
    set_: Sets = None,
    engine: Annotated[
        str,
        typer.Option(
            help="local: this process, or those of torchrun; ray: actors.", metavar="NAME"
        ),
    ] = "local",
    workers: Annotated[
        int | None, typer.Option(help="Processes on Ray; with a GPU each where there are some.")
    ] = None,
    json_output: Json = False,
) -> None:
    """Train a model on what was built; a run that was stopped goes on.

    Several processes: torchrun --nproc-per-node 8 -m corpus train --config train.yaml

    Example: corpus train --config pipelines/tiny/train.yaml
    """
    with torch_needed("the trainer"):
        from corpus.trainer import metrics
        from corpus.trainer.config import load_train_config
        from corpus.trainer.loop import train as run

    _check_engine(engine, workers)
    recipe = load_train_config(config, set_ or [])

    def report(step: Metrics) -> None:
        if not json_output and _is_shown(step, recipe):
            typer.echo(metrics.line(step))

    if engine == "ray":
        from corpus.trainer.ray_launch import train_on_ray

        summary = train_on_ray(recipe, workers=workers or 1, report=report)
    else:
        summary = run(recipe, report=report)
    if summary.leads:
        _show(summary, json_output)


def _check_engine(engine: str, workers: int | None) -> None:
    if engine not in ("local", "ray"):
        raise RecipeError(
            f"there is no engine {engine!r}", where="--engine", fix="Use ray or local"
        )
    if engine == "local" and workers not in (None, 1):
        raise RecipeError(
            f"{workers} processes are started by Ray or by torchrun, and not by this one",
            where="--workers",
            fix=f"Give --engine ray, or run: torchrun --nproc-per-node {workers} -m corpus train",
        )


def _is_shown(step: Metrics, recipe: TrainConfig) -> bool:
    """Say whether the loss was looked at behind this step; the others of a look say the same."""
    if step.step in (1, step.steps) or step.validation:
        return True
    return step.step % recipe.report_every == 0


def _show(summary: Summary, json_output: bool) -> None:
    if json_output:
        typer.echo(json.dumps(dataclasses.asdict(summary), indent=1, ensure_ascii=False))
        return
    held_out = ", ".join(
        f"{source} {loss:.3f} ({summary.bits_per_byte[source]:.3f} bits/byte)"
        for source, loss in summary.validation.items()
    )
    typer.echo(f"validation loss: {held_out or 'nothing is held out'}")
    typer.echo(f"sample:\n{summary.sample}")
    done = summary.resumed_from == summary.steps
    how = "Was trained already" if done else f"Trained in {summary.seconds:.0f} s"
    typer.echo(f"{how}; checkpoint in {summary.checkpoint}")

"""The verb `corpus evaluate`: a model's results on texts and tasks.

A function for Typer. torch and everything else heavy is imported when the verb is called.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from corpus.verbs.options import Json, Sets
from corpus.verbs.printing import quiet, say, show
from corpus.verbs.torch_needed import torch_needed


def evaluate(
    config: Annotated[
        str, typer.Option("--config", "-c", help="The recipe of the evaluation.", metavar="FILE")
    ] = "evaluate.yaml",
    decontaminated: Annotated[
        str | None,
        typer.Option(
            "--decontaminated",
            help="Folder evaluation-... of a build: results on clean examples beside those on all.",
            metavar="DIR",
        ),
    ] = None,
    set_: Sets = None,
    json_output: Json = False,
) -> None:
    """Evaluate a model zero-, one- and few-shot; what was computed before is not again.

    Example: corpus evaluate --config pipelines/tiny/evaluate.yaml
    """
    with torch_needed("the evaluation"):
        from corpus.trainer.evaluation import run

    from corpus.trainer.evaluation.config import load_evaluate_config
    from corpus.trainer.evaluation.report import describe

    sets = list(set_ or [])
    if decontaminated is not None:
        sets.append(f"decontaminated={json.dumps(decontaminated)}")
    recipe = load_evaluate_config(config, sets)
    results = run.evaluate(recipe, say=quiet if json_output else say)
    show(results, describe(results), json_output)

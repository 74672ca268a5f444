"""The verb that says what a recipe would build, and what that takes: plan.

A function for Typer; everything heavy is imported when it runs.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Annotated

import typer

from corpus.errors import RecipeError
from corpus.verbs.options import Config, EngineName, Json, Output, Sets, Workers
from corpus.verbs.printing import show


def plan(
    config: Config = "mix.yaml",
    output: Output = None,
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Build a seeded sample first, and predict from that."),
    ] = False,
    constants: Annotated[
        str | None,
        typer.Option(
            "--constants", help="Predict from the probe in another output folder.", metavar="DIR"
        ),
    ] = None,
    engine: EngineName = "ray",
    workers: Workers = None,
    set_: Sets = None,
    json_output: Json = False,
) -> None:
    """Show what a recipe would build, and predict what that takes.

    The table of its sources, the state of each stage, and, from a probe or from the last builds:
    documents, tokens, disk, memory, time and money. Exit code 1 when it cannot fit on the disk.

    Example: corpus plan --probe --config pipelines/common-crawl/mix.yaml

    Example: corpus plan --constants data/shared --set plan.cores=1000
    """
    from corpus.build import default_output
    from corpus.config import load_recipe
    from corpus.planning import forecast
    from corpus.planning import plan as module
    from corpus.progress import make_progress

    if probe and constants is not None:
        raise RecipeError(
            "a probe brings constants of its own", where="--constants", fix="Leave one of both out"
        )
    recipe = load_recipe(config, set_ or [])
    folder = output.rstrip("/") if output else default_output(recipe)
    made = module.plan(recipe, folder)
    if probe:
        from corpus.engine import make_engine
        from corpus.planning.probe import probe as run_probe

        with contextlib.closing(make_engine(engine, workers)) as chosen:
            run_probe(recipe, folder, chosen, make_progress(json_output))
    predicted = forecast.forecast(recipe, folder, constants=constants, workers=workers)
    drawn = {source.name: source.drawn for source in made.sources}
    facts = {**dataclasses.asdict(made), "prediction": forecast.to_json(predicted)}
    blocks = [*module.describe(made), *forecast.describe(predicted, drawn)]
    show(facts, blocks, json_output)
    if predicted is not None:
        forecast.check_fits(predicted, folder)

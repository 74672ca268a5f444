"""The verb that compares builds by what a model learns from them: ablate."""

from __future__ import annotations

from typing import Annotated

import typer

from corpus.verbs.options import Json, Sets
from corpus.verbs.printing import quiet, say, show
from corpus.verbs.torch_needed import torch_needed


def ablate(
    config: Annotated[
        str, typer.Option("--config", "-c", help="The recipe of the ablation.", metavar="FILE")
    ] = "ablate.yaml",
    set_: Sets = None,
    json_output: Json = False,
) -> None:
    """Train the same small model on two or more builds, and say which it learns more from.

    Several seeds each, equal tokens; measures and intervals go to results.json and index.html.

    Example: corpus ablate --config pipelines/tiny/ablate.yaml
    """
    with torch_needed("the trainer"):
        from corpus.ablation.run import ablate as run

    from corpus import storage
    from corpus.ablation.config import load_ablate_config
    from corpus.ablation.report import describe, page

    recipe = load_ablate_config(config, set_ or [])
    results = run(recipe, say=quiet if json_output else say)
    path = storage.join(recipe.output, "index.html")
    storage.write_bytes(path, page(results).encode())
    show(results, describe(results), json_output)
    if not json_output:
        typer.echo(path)

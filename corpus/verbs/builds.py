"""The verbs that look at a build, inspect, explain, check, clean, and which build is meant.

Each is a function for Typer: it finds the build, asks for the facts, and shows them. They need
neither Ray nor torch, and everything heavy is imported by the verb that needs it.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated

import typer

from corpus.errors import InputError, RecipeError
from corpus.verbs.options import Config, Json, Output, Source
from corpus.verbs.printing import quiet, say, show

if TYPE_CHECKING:
    from corpus.build import Build


def build_folder(config: str, output: str | None) -> str:
    """Return the folder of the build: the recipe is read only where it is needed for that."""
    if output is not None:
        return output.rstrip("/") or "/"
    from corpus.build import default_output
    from corpus.config import load_recipe

    return default_output(load_recipe(config))


def build_of(config: str, output: str | None) -> Build:
    """Return the build that a recipe, or an output folder, names."""
    from corpus.build import read_build

    return read_build(build_folder(config, output))


def _target(what: str | None, config: str, output: str | None) -> tuple[Build, str | None]:
    """Return the build and the stage that a person names: a stage, its folder, or the build's."""
    from corpus import storage
    from corpus.build import BUILD, STAGES, read_build

    if what is None or what in STAGES:
        return build_of(config, output), what
    folder = what.rstrip("/")
    if storage.exists(storage.join(folder, BUILD)):
        return read_build(folder), None
    parent = folder.rsplit("/", 1)[0] if "/" in folder else "."
    if not storage.exists(storage.join(parent, BUILD)):
        near = difflib.get_close_matches(what, STAGES, n=1)
        raise RecipeError(
            f"{what!r} is neither a stage nor the folder of a build",
            where="STAGE",
            fix=f"Did you mean {near[0]}?" if near else f"Stages: {', '.join(STAGES)}",
        )
    build = read_build(parent)
    for stage, manifest in build.manifests.items():
        if storage.name(manifest.folder) == storage.name(folder):
            return build, stage
    raise InputError(
        "this folder is not part of the current build",
        where=folder,
        fix="Run corpus build with the recipe that made it, which takes it up again",
    )


def inspect(
    stage: Annotated[
        str | None,
        typer.Argument(help="A stage or a folder; the last that decided by default."),
    ] = None,
    config: Config = "mix.yaml",
    output: Output = None,
    dropped: Annotated[bool, typer.Option("--dropped", help="What the stage dropped.")] = False,
    reason: Annotated[
        str | None,
        typer.Option(
            "--reason", help="Only what was dropped for this, or by REASON/RULE.", metavar="REASON"
        ),
    ] = None,
    source: Source = None,
    number: Annotated[int, typer.Option("-n", help="How many.", min=0)] = 10,
    sample: Annotated[
        int | None,
        typer.Option("--sample", help="A random sample with this seed.", metavar="SEED"),
    ] = None,
    clusters: Annotated[
        bool, typer.Option("--clusters", help="Clusters of duplicates, largest first.")
    ] = False,
    json_output: Json = False,
) -> None:
    """Look at the documents that a stage kept or dropped.

    Example: corpus inspect dedup --dropped -n 5 --config pipelines/tiny/mix.yaml
    """
    build, name = _target(stage, config, output)
    if clusters:
        from corpus.look import clusters as module

        clustering = module.clustering(build, source=source, number=number)
        show(clustering, module.describe(clustering), json_output)
        return
    from corpus.look import inspect as look

    inspection = look.inspect(
        build,
        stage=name,
        dropped=dropped or reason is not None,
        reason=reason,
        source=source,
        number=number,
        sample=sample,
    )
    show(inspection, look.describe(inspection), json_output)


def explain(
    key: Annotated[str, typer.Argument(metavar="ID-OR-URL", help="With --token: a shard.")],
    config: Config = "mix.yaml",
    output: Output = None,
    token: Annotated[
        int | None,
        typer.Option("--token", help="The document that holds this token of the shard.", min=0),
    ] = None,
    json_output: Json = False,
) -> None:
    """Tell one document's story: where it came from, each verdict, its duplicates and tokens.

    Example: corpus explain https://example.org/ --config pipelines/tiny/mix.yaml

    Example: corpus explain wikipedia/part-00000-0000 --token 1000
    """
    from corpus.look import explain as module

    build = build_of(config, output)
    if token is None:
        explanation = module.explain(build, key)
    else:
        explanation = module.explain_token(build, key, token)
    show(explanation, module.describe(explanation), json_output)


def check(
    config: Config = "mix.yaml",
    output: Output = None,
    full: Annotated[
        bool, typer.Option("--full", help="Decode all documents, not some of each shard.")
    ] = False,
    json_output: Json = False,
) -> None:
    """Compare every byte with the manifests, and the files with each other.

    Example: corpus check --full --config pipelines/tiny/mix.yaml
    """
    from corpus.look import check as module

    build = build_of(config, output)
    checkup = module.check(build, full=full, say=quiet if json_output else say)
    show(checkup, module.describe(checkup), json_output)
    if checkup.problems:
        raise typer.Exit(1)


def clean(
    config: Config = "mix.yaml",
    output: Output = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Remove what interrupted builds left, too.")
    ] = False,
    json_output: Json = False,
) -> None:
    """List the folders of stages that the current build does not use, and remove them if told to.

    Example: corpus clean --config pipelines/tiny/mix.yaml
    """
    from corpus import clean as module

    build = build_of(config, output)
    found = module.folders(build)
    chosen = module.removable(found, unfinished=unfinished)
    if not json_output:
        show(found, module.describe(found), json_output)
        names = ", ".join(folder.name for folder in chosen)
        yes = yes or (bool(chosen) and typer.confirm(f"Remove {names}?", err=True))
    gone = module.remove(build, chosen, unfinished=unfinished) if chosen and yes else []
    lines = [f"Removed {len(gone):,} folders."] if gone else ["Nothing was removed."]
    show({"folders": found, "removed": [folder.name for folder in gone]}, lines, json_output)

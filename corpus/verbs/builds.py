"""The verbs that look at a build: inspect, explain, check, plan, export, clean.

Each is a function for Typer: it finds the build, asks for the facts, and shows them. They need
neither Ray nor torch, and everything heavy is imported by the verb that needs it.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from corpus.errors import InputError, RecipeError

if TYPE_CHECKING:
    from corpus.build import Build
    from corpus.tables import Block

Config = Annotated[str, typer.Option("--config", "-c", help="The recipe.", metavar="FILE")]
Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", help="Folder of the build; data/<name> by default.", metavar="DIR"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a machine to read.")]
EngineName = Annotated[str, typer.Option("--engine", help="ray or local.", metavar="NAME")]
Workers = Annotated[
    int | None,
    typer.Option("--workers", help="Tasks at a time; one a CPU by default; 0: in this process."),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a key of the recipe.", metavar="KEY=VALUE"),
]
Source = Annotated[str | None, typer.Option("--source", help="Only this source.", metavar="NAME")]


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


def show(facts: Any, blocks: Iterable[Block], json_output: bool) -> None:
    """Print facts as JSON, or lines and tables for a person."""
    if json_output:
        typer.echo(json.dumps(facts, indent=1, ensure_ascii=False, default=_plain))
        return
    from corpus import tables

    tables.show(blocks)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"no plain form of {type(value).__name__}")


def say(line: str) -> None:
    """Tell a person how far the work is, beside what is printed."""
    typer.echo(line, err=True)


def quiet(line: str) -> None:
    """Say nothing: who reads JSON does not read lines."""


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

        chosen = make_engine(engine, workers)
        try:
            run_probe(recipe, folder, chosen, make_progress(json_output))
        finally:
            chosen.close()
    predicted = forecast.forecast(recipe, folder, constants=constants, workers=workers)
    drawn = {source.name: source.drawn for source in made.sources}
    facts = {**dataclasses.asdict(made), "prediction": forecast.to_json(predicted)}
    blocks = [*module.describe(made), *forecast.describe(predicted, drawn)]
    show(facts, blocks, json_output)
    if predicted is not None:
        forecast.check_fits(predicted, folder)


def export(
    to: Annotated[str, typer.Option("--to", help="Folder to write to.", metavar="DIR")],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="Documents: jsonl, parquet. The mixture: nanogpt, megatron, llmc, mds, litdata, "
            "olmo, datatrove, parquet-tokens.",
            metavar="NAME",
        ),
    ],
    config: Config = "mix.yaml",
    output: Output = None,
    compression: Annotated[
        str, typer.Option("--compression", help="Of JSONL: zst, gz or none.", metavar="NAME")
    ] = "zst",
    mask: Annotated[
        str,
        typer.Option(
            "--mask", help="Mask personal data in documents: email, ip, phone.", metavar="KINDS"
        ),
    ] = "",
    split: Annotated[
        str | None,
        typer.Option("--split", help="Of the mixture: train or val; both without.", metavar="NAME"),
    ] = None,
    shard_tokens: Annotated[
        int | None,
        typer.Option(
            "--shard-tokens", help="The most tokens a file, of files of sequences.", metavar="N"
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write into a folder that holds other things.")
    ] = False,
    json_output: Json = False,
) -> None:
    """Write the documents that were kept, or the mixture, in another form.

    Example: corpus export --format jsonl --to out/ --config pipelines/tiny/mix.yaml

    Example: corpus export --format llmc --to out/ --split train

    Example: corpus export --format parquet --to out/ --mask email,ip,phone
    """
    from corpus import export as module

    made = module.export(
        build_of(config, output),
        form=form,
        folder=to.rstrip("/") or "/",
        compression=compression,
        mask=[kind.strip() for kind in mask.split(",") if kind.strip()],
        split=split,
        shard_tokens=shard_tokens,
        force=force,
        say=quiet if json_output else say,
    )
    show(made, module.describe(made), json_output)


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

"""The verb that writes a build in the form of another program: export.

A function for Typer; everything heavy is imported when it runs.
"""

from __future__ import annotations

from typing import Annotated

import typer

from corpus.verbs.builds import build_of
from corpus.verbs.options import Config, Json, Output, To
from corpus.verbs.printing import quiet, say, show


def export(
    to: To,
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

"""The verbs of duplicates beside the stage: similar, dedup-files.

Each is a function for Typer; everything heavy is imported by the verb that needs it.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated

import typer

from corpus.errors import InputError, RecipeError
from corpus.verbs.builds import build_folder
from corpus.verbs.options import Config, EngineName, Json, Output, Workers
from corpus.verbs.printing import quiet, say, show

_MOST_BYTES = 1 << 29  # of a text to compare


def similar(
    text: Annotated[
        str, typer.Argument(metavar="TEXT|FILE|-", help="A text, a file of it, or - to read it.")
    ],
    config: Config = "mix.yaml",
    output: Output = None,
    number: Annotated[int, typer.Option("-n", help="How many.", min=1)] = 10,
    least: Annotated[
        float, typer.Option("--least", help="Least Jaccard index.", min=0, max=1)
    ] = 0.0,
    json_output: Json = False,
) -> None:
    """Find the documents of a build, and of its indexes, that are most similar to a text.

    Example: corpus similar page.txt --config pipelines/tiny/mix.yaml
    """
    from corpus.look import similar as module

    folder = build_folder(config, output)
    similarity = module.similar(folder, _text(text), number=number, least=least)
    show(similarity, module.describe(similarity), json_output)


def dedup_files(
    files: Annotated[list[str], typer.Argument(help="JSONL and Parquet files.", metavar="FILE")],
    output: Annotated[
        str, typer.Option("--output", "-o", help="Folder to write to.", metavar="DIR")
    ],
    preset: Annotated[
        str, typer.Option("--preset", help="thorough, gpt3, fineweb or strict.", metavar="NAME")
    ] = "thorough",
    threshold: Annotated[
        float | None, typer.Option("--threshold", help="Least Jaccard index of duplicates.")
    ] = None,
    text: Annotated[
        str, typer.Option("--text", help="The field that holds the text.", metavar="FIELD")
    ] = "text",
    id_: Annotated[
        str, typer.Option("--id", help="The field that holds the id, if any.", metavar="FIELD")
    ] = "id",
    index: Annotated[
        list[str] | None,
        typer.Option("--index", help="An earlier build to compare with, too.", metavar="DIR"),
    ] = None,
    max_loss: Annotated[
        float, typer.Option("--max-loss", help="Largest share that may be dropped.")
    ] = 0.9,
    engine: EngineName = "local",
    workers: Workers = None,
    json_output: Json = False,
) -> None:
    """Drop duplicates from JSONL and Parquet files; rows that are kept keep all of their fields.

    Example: corpus dedup-files a.jsonl.zst b.parquet --output out --threshold 0.8
    """
    from corpus import dedup_files as module
    from corpus.engine import make_engine
    from corpus.progress import make_progress

    with contextlib.closing(make_engine(engine, workers)) as running:
        made = module.dedup_files(
            files,
            output.rstrip("/") or "/",
            fields={"text": text, "id": id_},
            dedup={
                "preset": preset,
                "threshold": threshold,
                "index": index or [],
                "max_loss": max_loss,
            },
            engine=running,
            progress=make_progress(json_output),
            say=quiet if json_output else say,
        )
    show(made, module.describe(made), json_output)


def _text(given: str) -> str:
    """Return the text that a person names: what stands in a file or comes in, or the words.

    Raises:
        InputError: It is too large, or is not UTF-8.
        RecipeError: There is none.
    """
    from corpus import storage

    if not given.strip():
        raise RecipeError("there is no text", where="TEXT", fix="Give a text, a file of it, or -")
    if given == "-":
        data = sys.stdin.buffer.read(_MOST_BYTES + 1)
    elif _is_file(given):
        with storage.open_input(given) as file:
            data = file.read(_MOST_BYTES + 1)
    else:
        if not any(map(str.isspace, given)) and ("/" in given or "." in given):
            say(f"There is no file {given}: it is taken for the text itself.")
        return given.encode("utf-8", "replace").decode()  # a shell hands over any bytes
    if len(data) > _MOST_BYTES:
        raise InputError(f"the text has more than {_MOST_BYTES:,} bytes", where=given)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            "the text is not UTF-8",
            where=given,
            why=str(error),
            fix="Convert it to UTF-8",
        ) from error


def _is_file(given: str) -> bool:
    """Say whether something lies at what may be a path, or may be a text of any length."""
    from corpus import storage

    try:
        return storage.exists(given)
    except (InputError, ValueError):  # too long for a path, or with a character that none has
        return False

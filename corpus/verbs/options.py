"""Options that verbs share, each with its name, its help and what stands for its value."""

from __future__ import annotations

from typing import Annotated

import typer


def _given(value: str | None) -> str | None:
    """Refuse an empty name: it is a variable of the shell that is not set, and not the default."""
    if value is not None and not value.strip():
        raise typer.BadParameter("it is empty.")
    return value


Config = Annotated[
    str, typer.Option("--config", "-c", help="The recipe.", metavar="FILE", callback=_given)
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        help="Folder of the build; data/<name> by default.",
        metavar="DIR",
        callback=_given,
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
    typer.Option(
        "--set",
        help="Change a key of the recipe: a.b=1; a.0.b=1 of a list's first item.",
        metavar="KEY=VALUE",
    ),
]
Source = Annotated[str | None, typer.Option("--source", help="Only this source.", metavar="NAME")]
To = Annotated[
    str, typer.Option("--to", help="Folder to write to.", metavar="DIR", callback=_given)
]

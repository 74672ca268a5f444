"""What verbs print: facts as JSON, or lines and tables; and how far the work is."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from corpus.tables import Block


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

"""What verbs print: facts as JSON, or lines and tables; and how far the work is."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import typer

from corpus.errors import OutputError

if TYPE_CHECKING:
    from corpus.tables import Block


@contextlib.contextmanager
def printing() -> Iterator[None]:
    """Turn what the standard output refuses into an error for a person.

    A reader that has gone, as that of `| head`, is no error: Typer ends without a word.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        why = error.strerror
        raise OutputError("the standard output cannot be written", why=why) from error


def show(facts: Any, blocks: Iterable[Block], json_output: bool) -> None:
    """Print facts as JSON, or lines and tables for a person."""
    if json_output:
        text = json.dumps(facts, indent=1, ensure_ascii=False, default=_plain)
        with printing():
            typer.echo(text)
        return
    from corpus import tables

    with printing():
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

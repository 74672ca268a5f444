"""What a person reads: lines and tables, plain in a pipe and ruled on a terminal.

In: lines and `Table`s of plain values. Out: text on standard output. Whatever comes from a page is
made harmless first: an escape sequence in a title must not reach the terminal.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TextIO

# Characters that a terminal obeys instead of showing: controls (Cc), and the marks of category Cf,
# which can turn the direction of the whole line or hide in a URL. Cs cannot be written as UTF-8.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_NUMBER = re.compile(r"-?|[0-9][0-9,.]*(e[-+][0-9]+)?(%| [kMGTP]?B)?")


@dataclass(frozen=True)
class Table:
    """A table of strings; columns that hold only numbers are aligned to the right.

    Attributes:
        head: Names of the columns.
        rows: As many cells each.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


Block = str | Table


def printable(text: str) -> str:
    """Return a text on one line: white space as single spaces, what cannot be shown as U+FFFD."""
    if text.isascii() and text.isprintable():
        return text
    spaced = " ".join(text.split())
    return "".join("\ufffd" if unicodedata.category(c) in _UNPRINTABLE else c for c in spaced)


def excerpt(text: str, characters: int) -> str:
    """Return the first so many characters of a text on one line."""
    start = printable(text[:characters])
    return f"{start} …" if len(text) > characters else start


def size(number: int) -> str:
    """Return a number of bytes as a person reads it: 1.2 GB."""
    value = float(number)
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def show(blocks: Iterable[Block], out: TextIO | None = None) -> None:
    """Write lines and tables to standard output."""
    out = out or sys.stdout
    for block in blocks:
        if isinstance(block, str):
            out.write(f"{block}\n")
        elif out.isatty():
            _ruled(block, out)
        else:
            out.write(f"{plain(block)}\n")


def plain(table: Table) -> str:
    """Return a table as lines of text, columns two spaces apart."""
    lines = [table.head, *table.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.head))]
    right = _numeric(table)
    return "\n".join(
        "  ".join(
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def _numeric(table: Table) -> list[bool]:
    """Say which columns hold only numbers, shares or sizes (and dashes for none)."""
    return [
        bool(table.rows) and all(_NUMBER.fullmatch(row[i]) for row in table.rows)
        for i in range(len(table.head))
    ]


def _ruled(table: Table, out: TextIO) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    ruled = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, (name, is_right) in enumerate(zip(table.head, _numeric(table), strict=True)):
        justify: Literal["left", "right"] = "right" if is_right else "left"
        ruled.add_column(name, justify=justify, overflow="fold", no_wrap=not number)
    for row in table.rows:
        ruled.add_row(*(Text(cell) for cell in row))  # Text: brackets in a title are no markup
    Console(file=out).print(ruled)

"""Benchmark files, JSONL or plain text (also `.gz`, `.zst`, `.bz2`, `.xz`), to a text an item."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from corpus.errors import InputError
from corpus.sources import streams

MOST_LINE_BYTES = 64 * 2**20


def read(path: str, *, fields: Sequence[str] | None) -> Iterator[str]:
    """Yield the text of each item of one file.

    The fields of a JSONL item are joined by a line break, so that a page with question and answer
    in that order collides across the border too. A plain text file has an item a line.

    Args:
        path: The file.
        fields: Names of the fields whose text counts; all with text in them by default.

    Raises:
        InputError: A line is not JSON, has not the fields, or is longer than 64 MB; or the file
            has no text at all.
    """
    is_jsonl = any(end in path.rsplit("/", 1)[-1].lower() for end in (".jsonl", ".ndjson", ".json"))
    items = 0
    for number, line in _lines(path):
        where = f"{path}:{number}"
        if isinstance(line, int):
            raise InputError(f"a line of {line:,} bytes is no benchmark item", where=where)
        if not line.strip():
            continue
        text = _item(line, fields, where) if is_jsonl else line.decode("utf-8", "replace")
        if text.strip():
            items += 1
            yield text
    if not items:
        raise InputError(
            "there is no benchmark text in this file",
            where=path,
            fix="Check decontaminate.benchmarks in the recipe",
        )


def _lines(path: str) -> Iterator[tuple[int, bytes | int]]:
    try:
        yield from streams.lines(path, max_line_bytes=MOST_LINE_BYTES)
    except streams.DamagedStreamError as error:
        # A part of a benchmark would leave the rest of it in the corpus.
        raise InputError(
            "the benchmark file is damaged", where=path, why=str(error), fix="Fetch it again"
        ) from error


def _item(line: bytes, fields: Sequence[str] | None, where: str) -> str:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise InputError(
            "the line is not JSON", where=where, why=str(error), fix="Mend or remove the line"
        ) from error
    if fields is None:
        return "\n".join(_texts(value))
    missing = [name for name in fields if not isinstance(value, dict) or name not in value]
    if missing:
        known = ", ".join(value) if isinstance(value, dict) else "none"
        raise InputError(
            f"the item has no field {missing[0]!r}",
            where=where,
            why=f"It has: {known}",
            fix="Name its fields in decontaminate.benchmarks.<name>.fields",
        )
    return "\n".join(text for name in fields for text in _texts(value[name]))


def _texts(value: Any) -> Iterator[str]:
    """Yield every string in a JSON value, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)

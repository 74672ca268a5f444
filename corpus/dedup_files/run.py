"""A run over files: they are built up to dedup, and what is kept and dropped is written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from corpus import storage
from corpus.build import build
from corpus.config import Recipe
from corpus.dedup_files.rows import (
    SOURCE,
    copy_lines,
    copy_parquet,
    dropped,
    inputs_of,
    kept_numbers,
)
from corpus.engine import Engine
from corpus.errors import OutputError, RecipeError
from corpus.progress import Progress
from corpus.settings import validate
from corpus.sources import streams

BUILD = "build"
DROPPED = "dropped.jsonl"
RECORD = "dedup-files.json"
_LINES = (".jsonl", ".ndjson", ".json")


@dataclass(frozen=True)
class DedupFiles:
    """What was written.

    Attributes:
        folder: The folder.
        files: The files in it.
        rows: Rows of the inputs that were kept or dropped.
        kept: Rows that were kept.
        dropped: How many were dropped for each reason.
    """

    folder: str
    files: tuple[str, ...]
    rows: int
    kept: int
    dropped: Mapping[str, int]


def dedup_files(
    paths: Sequence[str],
    folder: str,
    *,
    fields: Mapping[str, str],
    dedup: Mapping[str, Any],
    engine: Engine,
    progress: Progress,
    say: Callable[[str], None],
) -> DedupFiles:
    """Write the rows of files that duplicate no other row.

    Args:
        paths: JSONL (plain or compressed) and Parquet files, or patterns.
        folder: Where to; it is new, empty, or was written by this function.
        fields: Which field holds the `text`, the `id`, the `url`, where they are called otherwise.
        dedup: The recipe's section of this name.
        engine: What runs the tasks.
        progress: Who is told.
        say: Is told of each file.

    Raises:
        RecipeError: A setting is wrong, or a file is neither JSONL nor Parquet.
        OutputError: The folder holds other things.
        CorpusError: What a stage raised.
    """
    files = [file for path in paths for file in storage.find(path) or [path]]
    for file in files:
        if not streams.plain_name(file).endswith((*_LINES, ".parquet")):
            raise RecipeError(
                "the file is neither JSONL nor Parquet",
                where=file,
                why="The kind is told by the name",
                fix=f"Use one of {', '.join(_LINES)} (+ .gz, .bz2, .xz, .zst) or .parquet",
            )
    value = {
        "name": "dedup-files",
        "seed": 0,
        "sources": {SOURCE: {"documents": {"paths": list(paths), "fields": dict(fields)}}},
        "dedup": dict(dedup),
    }
    context = {"folder": storage.absolute_folder("x")}
    recipe = validate(Recipe, value, {}, "dedup-files", context)
    _claim(folder)
    made = build(recipe, storage.join(folder, BUILD), engine, progress, "dedup")
    inputs = inputs_of(made)
    written: list[str] = []
    kept = 0
    for one in inputs:
        path = storage.join(folder, one.name)
        rows = kept_numbers(one)
        with storage.publish(path) as temporary:
            if one.name.endswith(".parquet"):
                copy_parquet(one.path, temporary, rows)
            else:
                copy_lines(one.path, temporary, rows, storage.name(one.name))
        written.append(path)
        kept += len(rows)
        say(f"{path}: {len(rows):,} rows")
    reasons: Counter[str] = Counter()
    path = storage.join(folder, DROPPED)
    with storage.publish(path) as temporary, temporary.open("wb") as stream:
        for row in dropped(inputs):
            stream.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
            reasons[row["reason"]] += 1
    written.append(path)
    record = {"files": [storage.name(path) for path in written], "build": BUILD}
    storage.write_json(storage.join(folder, RECORD), record)
    total = kept + sum(reasons.values())
    return DedupFiles(folder, tuple(written), total, kept, dict(sorted(reasons.items())))


def _claim(folder: str) -> None:
    """Make sure that nothing of someone else's is mixed with what is written."""
    path = storage.join(folder, RECORD)
    if storage.exists(path):
        # What an earlier run has left would be taken for a part of this one.
        for name in storage.read_json(path).get("files", []):
            storage.remove(storage.join(folder, storage.name(name)))
    elif storage.list_folder(folder):
        raise OutputError(
            "the folder is not empty and was not made by corpus dedup-files",
            where=folder,
            fix="Choose another folder or empty this one",
        )
    storage.sweep(folder)
    storage.write_json(path, {"files": [], "build": BUILD})


def describe(made: DedupFiles) -> Iterator[str]:
    """Yield what a person reads."""
    reasons = "".join(f", {reason} {count:,}" for reason, count in made.dropped.items())
    yield f"{made.rows:,} rows, {made.kept:,} kept{reasons}"
    yield f"Written to {made.folder}; {DROPPED} there says what was dropped for which row"

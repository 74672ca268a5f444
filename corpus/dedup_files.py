"""Deduplicating JSONL and Parquet files, and nothing else: rows with all of their fields.

In: files. Out: a folder with one file for each of them, of the same kind, with the rows that are
kept as they were; `dropped.jsonl`, each other row with its reason and its keeper; and `build`, the
build that decided, which can be the index of the next.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus import storage
from corpus.build import Build, build
from corpus.config import Recipe
from corpus.engine import Engine
from corpus.errors import OutputError, RecipeError
from corpus.export.documents import compressed
from corpus.parts import Part, kept_rows, parts, read_columns
from corpus.progress import Progress
from corpus.settings import validate
from corpus.sources import streams

SOURCE = "files"
BUILD = "build"
DROPPED = "dropped.jsonl"
RECORD = "dedup-files.json"
_LINES = (".jsonl", ".ndjson", ".json")
# More than the longest line of which `corpus.sources.documents` makes a document.
_MOST_LINE_BYTES = 1 << 30


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


@dataclass(frozen=True)
class _Input:
    """One input file: its name in the output, its documents, and the lists of rows without one."""

    path: str
    name: str
    parts: tuple[Part, ...]
    dropped: tuple[str, ...]


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
    inputs = _inputs(made)
    written: list[str] = []
    kept = 0
    for one in inputs:
        path = storage.join(folder, one.name)
        rows = _kept_numbers(one)
        with storage.publish(path) as temporary:
            if one.name.endswith(".parquet"):
                _copy_parquet(one.path, temporary, rows)
            else:
                _copy_lines(one.path, temporary, rows, storage.name(one.name))
        written.append(path)
        kept += len(rows)
        say(f"{path}: {len(rows):,} rows")
    reasons: Counter[str] = Counter()
    path = storage.join(folder, DROPPED)
    with storage.publish(path) as temporary, temporary.open("wb") as stream:
        for row in _dropped(inputs):
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


def _inputs(made: Build) -> list[_Input]:
    crawl, extract = made.stage("crawl"), made.stage("extract")
    found = parts(extract, made.stage("dedup"))
    paths = [crawl.path(file) for shard in crawl.of(SOURCE) for file in shard.all("input")]
    names = [_output_name(storage.name(path)) for path in paths]
    taken = Counter(names)
    inputs = []
    for number, (path, shard) in enumerate(zip(paths, extract.of(SOURCE), strict=True)):
        documents = {extract.path(output) for output in shard.all("documents")}
        own = tuple(part for part in found if part.documents in documents)
        name = names[number] if taken[names[number]] == 1 else f"{number:05d}-{names[number]}"
        outputs = [extract.path(output) for output in shard.all("dropped")]
        inputs.append(_Input(path, name, own, tuple(outputs)))
    return inputs


def _output_name(name: str) -> str:
    """Return what an output is called: as its input, with gzip or Zstandard where compressed."""
    plain = streams.plain_name(name)
    if plain == name or name.endswith(".gz"):
        return name
    return f"{plain}.zst"


def _kept_numbers(one: _Input) -> npt.NDArray[np.int64]:
    """Return the numbers of the input's rows that are kept, from 1, ascending."""
    numbers = [np.empty(0, np.int64)]
    for part in one.parts:
        pages = read_columns(part.documents, ["page"])["page"].to_numpy()
        numbers.append(pages[kept_rows(part)])
    return np.sort(np.concatenate(numbers))


def _copy_lines(path: str, temporary: Path, numbers: npt.NDArray[np.int64], name: str) -> None:
    """Write lines byte for byte, compressed as the name of the output says."""
    compression = next((c for c in ("gz", "zst") if name.endswith(f".{c}")), "none")
    place = 0
    with temporary.open("wb") as raw, compressed(raw, compression) as file:
        try:
            for number, line in streams.lines(path, max_line_bytes=_MOST_LINE_BYTES):
                if place == len(numbers):
                    break
                if number == numbers[place] and isinstance(line, bytes):
                    file.write(line + b"\n")
                    place += 1
        except streams.DamagedStreamError:
            return  # what follows the damage is among the rows that were dropped


def _copy_parquet(path: str, temporary: Path, numbers: npt.NDArray[np.int64]) -> None:
    """Write rows with all columns, a row group for a row group."""
    with storage.open_arrow(path) as handle:
        file = pq.ParquetFile(handle)
        first = 0
        with pq.ParquetWriter(temporary, file.schema_arrow, compression="zstd") as writer:
            for group in range(file.num_row_groups):
                end = first + file.metadata.row_group(group).num_rows
                inside = numbers[(numbers > first) & (numbers <= end)] - 1 - first
                if len(inside):
                    writer.write_table(file.read_row_group(group).take(pa.array(inside)))
                first = end


def _dropped(inputs: Sequence[_Input]) -> Iterator[dict[str, Any]]:
    """Yield each row that was not kept, why, and where the one is that it duplicates."""
    keepers = _keepers(inputs)
    for one in inputs:
        for path in one.dropped:
            table = read_columns(path, ["page", "id", "reason", "detail"])
            for row in table.to_pylist():
                yield {"file": one.path, "row": row.pop("page"), **_given(row)}
        for part in one.parts:
            assert part.verdict is not None
            columns = ["id", "kept", "reason", "duplicate_of", "duplicate_index", "jaccard"]
            table = read_columns(part.verdict, columns)
            pages = read_columns(part.documents, ["page"])["page"]
            table = table.append_column("row", pages).filter(pc.invert(table["kept"]))
            for row in table.drop_columns(["kept"]).to_pylist():
                place = None if row["duplicate_index"] else keepers.get(row["duplicate_of"])
                file, number = place or (None, None)
                where = {"duplicate_file": file, "duplicate_row": number}
                yield {"file": one.path, "row": row.pop("row"), **_given({**row, **where})}


def _given(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value is not None}


def _keepers(inputs: Sequence[_Input]) -> dict[str, tuple[str, int]]:
    """Return the file and the row of each document that others were dropped for."""
    wanted = [pa.array([], pa.string())]
    for one in inputs:
        for part in one.parts:
            assert part.verdict is not None
            column = read_columns(part.verdict, ["duplicate_of"])["duplicate_of"]
            wanted.append(column.drop_null().unique())
    ids = pa.concat_arrays(wanted).unique()
    found: dict[str, tuple[str, int]] = {}
    for one in inputs:
        for part in one.parts:
            table = read_columns(part.documents, ["id", "page"]).filter(pa.array(kept_rows(part)))
            table = table.filter(pc.is_in(table["id"], value_set=ids))
            for id, page in zip(table["id"].to_pylist(), table["page"].to_pylist(), strict=True):
                found.setdefault(id, (one.path, page))
    return found


def describe(made: DedupFiles) -> Iterator[str]:
    """Yield what a person reads."""
    reasons = "".join(f", {reason} {count:,}" for reason, count in made.dropped.items())
    yield f"{made.rows:,} rows, {made.kept:,} kept{reasons}"
    yield f"Written to {made.folder}; {DROPPED} there says what was dropped for which row"

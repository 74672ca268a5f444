"""The rows of each input file that a build of it keeps and drops, and their copies.

A row is known by its number in the file, from 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus import storage
from corpus.build import Build
from corpus.export.documents import compressed
from corpus.parts import Part, kept_rows, parts, read_columns
from corpus.sources import streams

SOURCE = "files"
# More than the longest line of which `corpus.sources.documents` makes a document.
_MOST_LINE_BYTES = 1 << 30


@dataclass(frozen=True)
class Input:
    """One input file: its name in the output, its documents, and the lists of rows without one."""

    path: str
    name: str
    parts: tuple[Part, ...]
    dropped: tuple[str, ...]


def inputs_of(made: Build) -> list[Input]:
    """Return the inputs of a build, in their order."""
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
        inputs.append(Input(path, name, own, tuple(outputs)))
    return inputs


def _output_name(name: str) -> str:
    """Return what an output is called: as its input, with gzip or Zstandard where compressed."""
    plain = streams.plain_name(name)
    if plain == name or name.endswith(".gz"):
        return name
    return f"{plain}.zst"


def kept_numbers(one: Input) -> npt.NDArray[np.int64]:
    """Return the numbers of the input's rows that are kept, from 1, ascending."""
    numbers = [np.empty(0, np.int64)]
    for part in one.parts:
        pages = read_columns(part.documents, ["page"])["page"].to_numpy()
        numbers.append(pages[kept_rows(part)])
    return np.sort(np.concatenate(numbers))


def copy_lines(path: str, temporary: Path, numbers: npt.NDArray[np.int64], name: str) -> None:
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


def copy_parquet(path: str, temporary: Path, numbers: npt.NDArray[np.int64]) -> None:
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


def dropped(inputs: Sequence[Input]) -> Iterator[dict[str, Any]]:
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


def _keepers(inputs: Sequence[Input]) -> dict[str, tuple[str, int]]:
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

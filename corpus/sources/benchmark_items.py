"""The items of a benchmark's file, of whatever kind it is, as plain JSON values.

JSON lines, a JSON document, CSV and TSV, Parquet, and plain text with an item a line; all but
Parquet may be compressed (`.gz`, `.zst`, `.bz2`, `.xz`). A path goes in; values come out one by one
with the place where each stood. Damage is an error and costs no item: a part of a benchmark would
leave the rest of it in the corpus.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpus import storage
from corpus.errors import InputError
from corpus.sources import streams

MOST_LINE_BYTES = 64 * 2**20
MOST_FILE_BYTES = 2**31  # of a JSON document, which is held whole
_BATCH_ROWS = 256

Item = tuple[str, Any]  # where it stands, and the value; a string in a plain text file


def read(path: str, *, columns: Sequence[str] = (), is_json: bool = False) -> Iterator[Item]:
    """Yield the items of one file.

    Args:
        path: The file.
        columns: Names of the columns of a CSV file that has no head.
        is_json: It is JSON, whatever its name says.

    Raises:
        InputError: It cannot be read, is damaged, or is not what its name says.
    """
    name = streams.plain_name(path)
    if name.endswith(".parquet"):
        yield from _parquet(path)
    elif is_table(path):
        yield from _table(path, "\t" if name.endswith(".tsv") else ",", columns)
    elif name.endswith((".jsonl", ".ndjson")):
        yield from _json_lines(path)
    elif name.endswith(".json") or is_json:
        yield from _json(path)
    else:
        for where, line in _lines(path):
            yield where, line.decode("utf-8", "replace")


def is_table(path: str) -> bool:
    """Say whether a file is CSV or TSV."""
    return streams.plain_name(path).endswith((".csv", ".tsv"))


def _lines(path: str) -> Iterator[tuple[str, bytes]]:
    """Yield the lines that are not blank."""
    try:
        for number, line in streams.lines(path, max_line_bytes=MOST_LINE_BYTES):
            where = f"{path}:{number}"
            if isinstance(line, int):
                raise InputError(f"a line of {line:,} bytes is no benchmark item", where=where)
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line.strip():
                yield where, line
    except streams.DamagedStreamError as error:
        raise _damaged(path, error) from error


def _damaged(path: str, error: Exception) -> InputError:
    return InputError(
        "the benchmark file is damaged", where=path, why=str(error)[:200], fix="Fetch it again"
    )


def _value(text: bytes, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            "the line is not JSON", where=where, why=str(error), fix="Mend or remove the line"
        ) from error


def _json_lines(path: str) -> Iterator[Item]:
    for where, line in _lines(path):
        yield where, _value(line, where)


def _json(path: str) -> Iterator[Item]:
    """Yield the elements of a list, a single document, or JSON lines that are called `.json`."""
    try:
        data = streams.whole(path, max_bytes=MOST_FILE_BYTES)
    except streams.DamagedStreamError as error:
        raise _damaged(path, error) from error
    if data is None:
        raise InputError(
            f"a JSON document of more than {MOST_FILE_BYTES:,} bytes is not read",
            where=path,
            fix="Write it as JSON lines (.jsonl)",
        )
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        yield from _json_lines(path)
        return
    if isinstance(value, list):
        for number, element in enumerate(value, start=1):
            yield f"{path}, element {number}", element
    else:
        yield path, value


def _table(path: str, delimiter: str, columns: Sequence[str]) -> Iterator[Item]:
    csv.field_size_limit(MOST_LINE_BYTES)
    where = path

    def text() -> Iterator[str]:
        nonlocal where
        try:
            for number, line in streams.lines(path, max_line_bytes=MOST_LINE_BYTES):
                where = f"{path}:{number}"
                if isinstance(line, int):
                    raise InputError(f"a line of {line:,} bytes is no benchmark item", where=where)
                yield line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace") + "\n"
        except streams.DamagedStreamError as error:
            raise _damaged(path, error) from error

    try:
        rows = csv.reader(text(), delimiter=delimiter, strict=True)
        head = list(columns) or next(rows, [])
        for row in rows:
            if not row:
                continue
            if len(row) != len(head):
                raise InputError(
                    f"the row has {len(row)} columns, not {len(head)}",
                    where=where,
                    why=f"The columns are {', '.join(head)}",
                    fix="Mend the row, or name a preset for a file without a head",
                )
            yield where, dict(zip(head, row, strict=True))
    except csv.Error as error:
        raise InputError(
            "the file cannot be read as CSV", where=where, why=str(error), fix="Fetch it again"
        ) from error


def _parquet(path: str) -> Iterator[Item]:
    row = 0
    with storage.open_arrow(path) as handle:
        try:
            for batch in pq.ParquetFile(handle).iter_batches(_BATCH_ROWS, use_threads=False):
                for item in batch.to_pylist():
                    row += 1
                    yield f"{path}, row {row}", item
        except (pa.ArrowException, OSError) as error:
            raise _damaged(path, error) from error

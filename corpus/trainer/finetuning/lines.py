"""JSON lines of a task's files: paths in, each object with its place out.

The formats are those that the public sets are published in: one object a line, plain, gzip or
Zstandard. (The pipeline's own readers take more; the trainer meets the pipeline at the shard only.)
"""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, cast

import zstandard

from corpus import storage
from corpus.errors import InputError

MOST_LINE_BYTES = 1 << 24  # a line is held whole: of the public sets none has a megabyte


def find(patterns: str | Sequence[str]) -> list[str]:
    """Return the files of a pattern or of several, each once, in order.

    Raises:
        InputError: A pattern matches no file.
    """
    files: dict[str, None] = {}
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        found = storage.find(pattern)
        if not found:
            raise InputError(
                "no file of the task matches",
                where=pattern,
                fix="Check task.train, task.validation and task.test; relative paths are relative "
                "to the working directory",
            )
        files |= dict.fromkeys(found)
    return list(files)


def read(path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield `(file:line, object)` of each line that is not blank.

    Raises:
        InputError: The file cannot be read, or a line is not a JSON object.
    """
    with storage.open_input(path) as raw, _decompressed(path, raw) as file:
        number = 0
        while line := _line(file, path, number + 1):
            number += 1
            if not line.strip():
                continue
            where = f"{path}:{number}"
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError("this line is not JSON", where=where, why=str(error)) from error
            if not isinstance(value, dict):
                raise InputError("this line is not a JSON object", where=where)
            yield where, value


def _line(file: BinaryIO, path: str, number: int) -> bytes:
    where = f"{path}:{number}"
    try:
        line = file.readline(MOST_LINE_BYTES + 1)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise InputError(
            "the file is damaged", where=where, why=str(error), fix="Fetch the file again"
        ) from error
    if len(line) > MOST_LINE_BYTES:
        raise InputError(f"a line of more than {MOST_LINE_BYTES:,} bytes", where=where)
    return line


@contextlib.contextmanager
def _decompressed(path: str, raw: BinaryIO) -> Iterator[BinaryIO]:
    if path.endswith(".gz"):
        with gzip.open(raw, "rb") as file:
            yield cast(BinaryIO, file)
    elif path.endswith(".zst"):
        import io

        reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        with io.BufferedReader(cast(Any, reader)) as buffered:
            yield cast(BinaryIO, buffered)
    else:
        yield raw


def at(value: Any, path: str) -> Any:
    """Return what stands at a dotted path, None where nothing does; of a list, of each element."""
    if isinstance(value, list):
        return [at(element, path) for element in value]
    if not isinstance(value, dict):
        return None
    if path in value:
        return value[path]
    name, _, rest = path.partition(".")
    return at(value.get(name), rest) if rest else None

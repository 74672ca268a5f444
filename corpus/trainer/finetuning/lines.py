"""JSON lines of a task's files: paths in, each object with its place out.

The formats are those that the public sets are published in: one object a line, plain, gzip or
Zstandard. (The pipeline's own readers take more; the trainer meets the pipeline at the shard only.)
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import zstandard

from corpus import storage
from corpus.errors import InputError

MOST_LINE_BYTES = 1 << 24  # a line is held whole: of the public sets none has a megabyte
_BLOCK = 1 << 14  # small: what it may be decompressed to is held whole
# zstandard's own reader takes a file that was cut off for one that ends there.
_DECODERS: Mapping[str, Callable[[], Any]] = {
    "gz": lambda: zlib.decompressobj(wbits=31),
    "zst": lambda: zstandard.ZstdDecompressor().decompressobj(),
}


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
        InputError: The file cannot be read or is damaged, or a line is not a JSON object.
    """
    for number, line in enumerate(_lines(path), start=1):
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


def _lines(path: str) -> Iterator[bytes]:
    number, rest = 1, b""
    for block in _blocks(path):
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
        number += len(whole)
        if len(rest) > MOST_LINE_BYTES:
            raise InputError(
                f"a line of more than {MOST_LINE_BYTES:,} bytes", where=f"{path}:{number}"
            )
    yield rest


def _blocks(path: str) -> Iterator[bytes]:
    """Yield the decompressed bytes of a file, which may have several members or frames."""
    make = _DECODERS.get(path.rpartition(".")[2])
    decoder = make() if make else None
    within = False  # a member, whose end has to come
    with storage.open_input(path) as file:
        try:
            while block := file.read(_BLOCK):
                if make is None or decoder is None:
                    yield block
                    continue
                while block:
                    yield decoder.decompress(block)
                    within, block = not decoder.eof, decoder.unused_data
                    if not within:
                        decoder = make()
        except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
            raise _damaged(path, str(error)) from error
    if within:
        raise _damaged(path, "It ends before its end: it was cut off")


def _damaged(path: str, why: str) -> InputError:
    return InputError("the file is damaged", where=path, why=why, fix="Fetch the file again")


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

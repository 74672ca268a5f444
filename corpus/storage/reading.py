"""Reading files of this machine and of stores: opened, whole, in part, mapped, copied."""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from corpus.errors import InputError
from corpus.storage.failures import reading
from corpus.storage.paths import TEMPORARY_PREFIX, is_remote, local_path, name
from corpus.storage.stores import store_of

BLOCK = 1 << 20  # bytes that are held at a time


def open_input(path: str) -> BinaryIO:
    """Open a file for reading bytes.

    Raises:
        InputError: It is missing or cannot be read.
    """
    with reading(path):
        if is_remote(path):
            return cast(BinaryIO, store_of(path).open(path, "rb"))
        return Path(local_path(path)).open("rb")


def open_arrow(path: str) -> Any:
    """Open a file for Arrow's readers, which read ahead in threads of their own.

    A local file is handed over whole: a thread that still called back into Python when the
    interpreter ends would abort the process.

    Returns:
        pyarrow.NativeFile, a context manager.

    Raises:
        InputError: It is missing or cannot be read.
    """
    import pyarrow as pa

    file = open_input(path)
    if is_remote(path):
        return pa.PythonFile(file, "r")
    file.close()  # that it can be opened is known now, and said in our words if not
    return pa.OSFile(local_path(path), "rb")


def read_bytes(path: str) -> bytes:
    """Return a whole file. Raises `InputError` when it cannot be read."""
    with open_input(path) as file, reading(path):
        return file.read()


def read_range(path: str, start: int, end: int) -> bytes:
    """Return bytes [start, end) of a file, in one request; fewer where it ends before.

    Raises:
        InputError: It is missing or cannot be read.
    """
    with reading(path):
        if is_remote(path):
            return bytes(store_of(path).cat_file(path, start=start, end=end))
        with Path(local_path(path)).open("rb") as file:
            file.seek(start)
            return file.read(end - start)


def read_json(path: str) -> Any:
    """Return a parsed JSON file.

    Raises:
        InputError: It is missing, cannot be read, or is not JSON.
    """
    try:
        return json.loads(read_bytes(path))
    except ValueError as error:
        raise InputError(
            "the file is not valid JSON",
            where=path,
            why=str(error),
            fix="Delete it and run the command again",
        ) from error


def digest(path: str) -> tuple[int, str]:
    """Return a file's size in bytes and its SHA-256 in hexadecimal."""
    hasher = hashlib.sha256()
    total = 0
    with open_input(path) as file, reading(path):
        while block := file.read(BLOCK):
            hasher.update(block)
            total += len(block)
    return total, hasher.hexdigest()


@contextlib.contextmanager
def local_copy(path: str) -> Iterator[Path]:
    """Yield a local path with the file's bytes: the file itself, or a temporary download."""
    if not is_remote(path):
        yield Path(local_path(path))
        return
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX) as folder:
        temporary = Path(folder) / name(path)
        with open_input(path) as file, temporary.open("wb") as copy, reading(path):
            shutil.copyfileobj(file, copy, BLOCK)
        yield temporary


def map_file(path: str) -> mmap.mmap | bytes:
    """Return a file's bytes without reading them: pages come as they are looked at.

    Processes that map one file share its pages. Of a store, a copy is mapped whose name is gone
    already, so that it goes with the process.

    Raises:
        InputError: It is missing or cannot be read.
    """
    with local_copy(path) as local, open_input(str(local)) as file, reading(path):
        if os.fstat(file.fileno()).st_size == 0:
            return b""  # what is empty cannot be mapped
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

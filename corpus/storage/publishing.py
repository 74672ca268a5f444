"""Writing files so that no reader ever sees half of one.

A file has its final name only when it is whole (`publish`): a process that is killed leaves only a
temporary file, which `corpus.storage.sweep` removes.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from corpus.storage.failures import WRITE_ERRORS, cannot_write, reading, writing
from corpus.storage.folders import make_folder
from corpus.storage.paths import TEMPORARY_PREFIX, is_remote, local_path, name
from corpus.storage.reading import BLOCK, open_input
from corpus.storage.stores import store_of


@contextlib.contextmanager
def publish(path: str) -> Iterator[Path]:
    """Yield a temporary local path that becomes `path` when the block ends well.

    Local: the temporary file lies beside the final one, is flushed to the disk and renamed. Remote:
    it is uploaded, which object stores make visible only when whole. On any error it is removed.

    Raises:
        OutputError: The folder or the file cannot be written (no permission, disk full).
    """
    if is_remote(path):
        with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX) as folder:
            temporary = Path(folder) / name(path)
            try:
                yield temporary
            except OSError as error:
                if error.errno not in WRITE_ERRORS:
                    raise
                raise cannot_write(str(temporary), error) from error
            with writing(path):
                store_of(path).put_file(str(temporary), path)
        return
    final = Path(local_path(path))
    make_folder(str(final.parent))
    temporary = final.parent / temporary_name(final.name)
    try:
        # One that a killed process left may be a second name of a finished file.
        temporary.unlink(missing_ok=True)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(final)
        _sync_folder(final.parent)
    except OSError as error:
        about = str(error.filename) if error.filename else str(temporary)
        ours = name(about).startswith(TEMPORARY_PREFIX) or about == str(final.parent)
        if error.errno not in WRITE_ERRORS or not ours:
            raise  # something else went wrong inside the block
        raise cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def temporary_name(final: str) -> str:
    """Return what this process calls a file until it is whole."""
    # Workers of several machines may share a folder, and process ids are a machine's own.
    return f"{TEMPORARY_PREFIX}{platform.node()[:64]}-{os.getpid()}-{final}"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: str, data: bytes) -> None:
    """Write a whole file, atomically."""
    with publish(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: str, value: object) -> None:
    """Write JSON, atomically, with sorted keys so that equal values give equal bytes."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
    write_bytes(path, (text + "\n").encode())


def link(source: str, target: str) -> None:
    """Give a file a second name: a hard link where possible, else a copy (on the server's side)."""
    if is_remote(source) and is_remote(target):
        with writing(target):
            store_of(source).copy(source, target)
        return
    with publish(target) as temporary:
        if is_remote(source):
            with reading(source):
                store_of(source).get_file(source, str(temporary))
            return
        try:
            os.link(local_path(source), temporary)
        except OSError:  # another file system, or one without links
            # Not copyfile: its error names the source, and a full disk is about the target.
            with open_input(source) as file, temporary.open("wb") as copy:
                shutil.copyfileobj(file, copy, BLOCK)

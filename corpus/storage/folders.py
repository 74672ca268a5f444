"""Folders: made, swept of what was left unfinished, removed, and held by one run at a time."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

from corpus.errors import OutputError
from corpus.storage.failures import writing
from corpus.storage.paths import TEMPORARY_PREFIX, is_remote, local_path
from corpus.storage.stores import store_of


def make_folder(path: str) -> None:
    """Make a folder and its parents. Raises `OutputError` when that is not allowed."""
    if is_remote(path):
        return  # object stores have no folders
    with writing(path):
        Path(local_path(path)).mkdir(parents=True, exist_ok=True)


def remove(path: str) -> None:
    """Remove a file or a folder with all that is in it; nothing happens when it is not there."""
    if is_remote(path):
        filesystem = store_of(path)
        with writing(path):
            if filesystem.exists(path):
                filesystem.rm(path, recursive=True)
        return
    local = Path(local_path(path))
    if local.is_dir() and not local.is_symlink():
        shutil.rmtree(local)
    else:
        local.unlink(missing_ok=True)


def sweep(folder: str) -> None:
    """Remove what killed processes left unfinished below a folder."""
    if not is_remote(folder):
        for left in Path(local_path(folder)).rglob(f"{TEMPORARY_PREFIX}*"):
            remove(str(left))


@contextlib.contextmanager
def lock(folder: str) -> Iterator[None]:
    """Hold a folder for one build or training at a time; the lock goes when the process does.

    Raises:
        OutputError: Another process holds it, or the folder cannot be written.
    """
    if is_remote(folder):
        yield  # object stores have no locks; publish keeps files whole all the same
        return
    make_folder(folder)
    path = Path(local_path(folder)) / "build.lock"
    with writing(str(path)):
        file = path.open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(
                "another run is at work in this folder",
                where=folder,
                fix="Wait for it to end, or choose another output folder",
            ) from error
        yield

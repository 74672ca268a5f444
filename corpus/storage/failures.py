"""What a file system or the client of a store raises, as errors that a person can act on.

Every other module of this package does its work inside `reading` or `writing`.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from corpus.errors import InputError, OutputError
from corpus.storage.paths import is_remote
from corpus.storage.stores import is_of_storage

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
WRITE_ERRORS = {*_FULL, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO}


def _fix(path: str, otherwise: str) -> str:
    if is_remote(path):
        return "Check the URL, the network, and your credentials for the store"
    return otherwise


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
    """Raise what a file system or the client of a store raises as `InputError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(
            "there is no such file", where=path, fix=_fix(path, "Check the path")
        ) from error
    except Exception as error:
        if not is_of_storage(error):
            raise
        raise InputError(
            "the file cannot be read",
            where=path,
            why=getattr(error, "strerror", None) or str(error),
            fix=_fix(path, "Check that it is a file and that you may read it"),
        ) from error


@contextlib.contextmanager
def writing(path: str) -> Iterator[None]:
    """Raise what a file system or the client of a store raises as `OutputError`."""
    try:
        yield
    except Exception as error:
        if not is_of_storage(error):
            raise
        raise cannot_write(path, error) from error


def cannot_write(path: str, error: Exception) -> OutputError:
    """Return what a person is told of a file that cannot be written, whatever the verb is."""
    if getattr(error, "errno", None) in _FULL:
        fix = "Free some space, or choose another folder, and run the command again"
    else:
        fix = _fix(path, "Choose a folder that you may write to")
    why = getattr(error, "strerror", None) or str(error)
    return OutputError("the output cannot be written", where=path, why=why, fix=fix)

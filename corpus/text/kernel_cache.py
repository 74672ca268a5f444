"""Where compiled kernels are kept: by the sources of all that a kernel is compiled of.

Numba's cache on disk notices a change of the file that a kernel stands in, and of no file that it
calls or takes a constant from: after an update, kernels of the version before would go on
computing. So the kernels of a module lie in a folder that is named by a digest of its source and of
those of the modules of this package that it imports, directly or through others. Versions never
share a file, and what another process compiles or runs meanwhile stays as it is.

In: a kernel. Out: the same, compiled when it is called. The folder is `NUMBA_CACHE_DIR` where that
is set, `__pycache__` beside the module where that can be written, or the user's cache.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

_ROOT = Path(__file__).resolve().parents[2]
_IMPORT = re.compile(
    rb"^\s*(?:from|import) +(corpus[\w.]*)(?: +import +(\([^)]*\)|.*))?", re.MULTILINE
)
_DECORATING = threading.Lock()  # the place is a setting of Numba, read while it decorates


def njit(*, cache: bool = False, **options: Any) -> Any:
    """Return `numba.njit` with these options, whose cache is of this version of the sources."""

    def decorate(function: Callable[..., Any]) -> Any:
        folder = place(function.__module__) if cache else None
        if folder is None:
            return numba.njit(**options)(function)
        with _DECORATING:
            before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, folder
            try:
                return numba.njit(cache=True, **options)(function)
            finally:
                numba.config.CACHE_DIR = before

    return decorate


@functools.cache
def place(module: str) -> str | None:
    """Return the folder for the kernels of a module; None where nothing can be written."""
    beside = Path(str(sys.modules[module].__file__)).parent / "__pycache__"
    users = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "corpusmill"
    named = numba.config.CACHE_DIR
    for root in [named] if named else [beside, users / "kernels"]:
        folder = Path(root) / f"{module.rpartition('.')[2]}-{digest(module)[:16]}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        return str(folder)
    return None


def digest(module: str, root: Path = _ROOT) -> str:
    """Return the SHA-256 of the sources of a module and of those that it imports of this package.

    Args:
        module: Its name.
        root: The folder that the package lies in.
    """
    hasher = hashlib.sha256()
    known, left = {module}, [module]
    while left:
        name = left.pop(0)
        path = root.joinpath(*name.split("."))
        source = next(
            (p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None
        )
        if source is None:
            continue  # a name in a module, and no module
        text = source.read_bytes()
        hasher.update(f"{name} {len(text)}\n".encode() + text)
        for found in _IMPORT.finditer(text):
            package = found[1].decode()
            names = re.findall(r"\w+", (found[2] or b"").decode())
            more = {package, *(f"{package}.{one}" for one in names)} - known
            known |= more
            left += sorted(more)
    return hasher.hexdigest()

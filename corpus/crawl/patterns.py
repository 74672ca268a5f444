"""The files that a recipe names by path, URL or pattern.

In: a source's patterns. Out: paths and URLs, or an error that says what may have been meant.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from corpus import storage
from corpus.errors import InputError

# The end of a file's name that says what is in it: `.warc.gz`, `.jsonl`.
_ENDING = re.compile(r"(?:\.[a-z][a-z0-9]{1,7}){1,2}$", re.IGNORECASE)


def expand(name: str, patterns: tuple[str, ...]) -> list[str]:
    """Return the files of patterns, each once, in the order given.

    Args:
        name: The source that names them.
        patterns: Paths and URLs, with `*`, `?`, `[...]` and `**` unless they are web addresses.

    Raises:
        InputError: A pattern matches no file.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        if pattern.startswith(("http://", "https://")):
            if not storage.name(pattern) or pattern.endswith("/"):
                raise InputError(
                    "this is the address of a folder, where files are expected",
                    where=pattern,
                    fix=f"Name each file in sources.{name}: nothing lists a folder over HTTP",
                )
            found[pattern] = None
            continue
        matches = storage.find(pattern)
        if not matches:
            raise _nothing_there(name, pattern)
        for match in matches:
            found[whole_path(match)] = None
    return list(found)


def _nothing_there(name: str, pattern: str) -> InputError:
    """Return the error for a pattern that no file matches; a folder may have been meant."""
    local = None if storage.is_remote(pattern) else Path(pattern.removeprefix("file://"))
    if local is not None and local.exists() and not local.is_dir():
        return InputError(
            "this is no ordinary file",
            where=pattern,
            why="It is a device, a pipe or a socket, and inputs are read more than once",
            fix="Write what it gives into a file, and name that",
        )
    if any(sign in pattern for sign in "*?["):
        inside = storage.find(f"{pattern.rstrip('/')}/*")
        what, folder = "no file matches this pattern", pattern if inside else None
        what = "only folders match this pattern" if inside else what
    else:
        inside = storage.list_folder(pattern)
        folder = pattern if storage.exists(pattern) else None
        what = "this is a folder, where files are expected" if folder else "there is no such file"
    if folder is None:
        fix = f"Check sources.{name} in the recipe (relative paths are relative to it)"
    else:
        fix = f"Name the files in it: {folder.rstrip('/')}/{_common_pattern(inside)}"
    return InputError(what, where=pattern, fix=fix)


def _common_pattern(paths: Sequence[str]) -> str:
    """Return a pattern for the most common kind of file: `*.warc.gz`; `*` when there is none."""
    names = [storage.name(path) for path in paths]
    endings = Counter(ending[0] for name in names if (ending := _ENDING.search(name)))
    return f"*{endings.most_common(1)[0][0]}" if endings else "*"


def whole_path(path: str) -> str:
    """Return a URL as it is, and a local path from the root on: relative ones are the stage's."""
    return path if storage.is_remote(path) else str(Path(path.removeprefix("file://")).absolute())

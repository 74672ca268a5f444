"""Paths as strings: what is a URL, how paths are joined, and what their last part is.

A path is a local path, or a URL that fsspec knows (`s3://`, `gs://`, `memory://`). Nothing here
opens or looks at a file.
"""

from __future__ import annotations

import posixpath
import urllib.parse
from pathlib import Path

TEMPORARY_PREFIX = ".tmp-"  # of a file that is not whole, and of a scratch folder


def is_remote(path: str) -> bool:
    """Say whether a path is a URL and not a path of this machine."""
    return "://" in path and not path.startswith("file://")


def local_path(path: str) -> str:
    """Return a path of this machine without `file://`."""
    return path.removeprefix("file://")


def join(folder: str, *parts: str) -> str:
    """Join path components with `/`, for local paths and URLs alike."""
    if not parts:
        return folder
    return "/".join([folder.rstrip("/"), *parts] if folder else parts)


def resolve(folder: str, path: str) -> str:
    """Return the place of a file that is named relative to a folder, also with `..`.

    Keys of object stores are plain text: `a/../b` is not `b` there.
    """
    if not is_remote(folder):
        return join(folder, path)
    scheme, _, rest = folder.partition("://")
    return f"{scheme}://{posixpath.normpath(join(rest, path))}"


def name(path: str) -> str:
    """Return the last component of a path; of a web address without its query."""
    if path.startswith(("http://", "https://")):
        path = urllib.parse.unquote(urllib.parse.urlsplit(path).path)
    return path.rstrip("/").rsplit("/", 1)[-1]


def absolute_folder(path: str) -> str:
    """Return the absolute path of the folder that a local file lies in."""
    return str(Path(local_path(path)).absolute().parent)

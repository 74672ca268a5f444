"""What files there are, and how large: looked up, never opened."""

from __future__ import annotations

import glob
from pathlib import Path

from corpus.storage.failures import reading
from corpus.storage.paths import is_remote, local_path, name
from corpus.storage.stores import store_of


def exists(path: str) -> bool:
    """Say whether there is a file or folder of that name."""
    with reading(path):
        if is_remote(path):
            return bool(store_of(path).exists(path))
        return Path(local_path(path)).exists()


def size(path: str) -> int:
    """Return a file's size in bytes. Raises `InputError` when it is not there."""
    with reading(path):
        if is_remote(path):
            return int(store_of(path).size(path))
        return Path(local_path(path)).stat().st_size


def stamp(path: str) -> str:
    """Return what tells cheaply whether a file has changed: size and time, or size and ETag."""
    with reading(path):
        if is_remote(path):
            info = store_of(path).info(path)
            tag = info.get("ETag") or info.get("etag") or info.get("LastModified") or ""
            return f"{info['size']}:{tag}"
        status = Path(local_path(path)).stat()
        return f"{status.st_size}:{status.st_mtime_ns}"


def find(pattern: str) -> list[str]:
    """Return the files that match a pattern (`*`, `?`, `[...]`, `**`), sorted; folders left out."""
    if is_remote(pattern):
        scheme = pattern.split("://", 1)[0]
        filesystem = store_of(pattern)
        with reading(pattern):
            if "[" in pattern and filesystem.isfile(pattern):
                return [pattern]
            found = filesystem.glob(pattern, detail=True)
        return sorted(f"{scheme}://{path}" for path, i in found.items() if i["type"] == "file")
    if Path(local_path(pattern)).is_file():
        return [local_path(pattern)]  # whatever signs are in its name
    paths = glob.glob(local_path(pattern), recursive=True)  # noqa: PTH207 - patterns may be absolute
    return sorted(path for path in paths if Path(path).is_file())


def list_folder(path: str) -> list[str]:
    """Return the names in a folder, sorted; nothing when there is no such folder."""
    if is_remote(path):
        filesystem = store_of(path)
        with reading(path):
            if not filesystem.exists(path):
                return []
            return sorted({name(entry) for entry in filesystem.ls(path, detail=False)})
    folder = Path(local_path(path))
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


def sizes(folder: str) -> dict[str, int]:
    """Return the bytes of the files in a folder by name, in few requests where there are many.

    Nothing when there is no such folder, or when the store cannot list (plain HTTP).
    """
    if folder.startswith(("http://", "https://")):
        return {}
    if not is_remote(folder):
        found = Path(local_path(folder)).iterdir() if Path(local_path(folder)).is_dir() else ()
        return {entry.name: entry.stat().st_size for entry in found if entry.is_file()}
    filesystem = store_of(folder)
    with reading(folder):
        if not filesystem.exists(folder):
            return {}
        entries = filesystem.ls(folder, detail=True)
    return {name(e["name"]): int(e["size"]) for e in entries if e["type"] == "file"}

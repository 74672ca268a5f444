"""Local paths and remote URLs behind one set of functions; the only place that opens files.

A path is a string: a local path, or a URL that fsspec knows (`s3://`, `gs://`, `memory://`).
A file has its final name only when it is whole (`publish`): readers never see half of one, and a
process that is killed leaves only a temporary file, which `sweep` removes.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import hashlib
import json
import mmap
import os
import platform
import posixpath
import shutil
import tempfile
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from corpus.errors import InputError, OutputError

TEMPORARY_PREFIX = ".tmp-"
_BLOCK = 1 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_WRITE_ERRORS = {*_FULL, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO}
# Not every client of a store wraps its errors: these packages have roots of their own.
_CLIENTS = ("aiobotocore.", "aiohttp.", "botocore.", "gcsfs.", "google.")
# botocore lets 10 requests go at once, and makes the threads of a loader wait for each other.
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {"config_kwargs": {"max_pool_connections": 64}},
}


def is_remote(path: str) -> bool:
    """Say whether a path is a URL and not a path of this machine."""
    return "://" in path and not path.startswith("file://")


def _local(path: str) -> str:
    return path.removeprefix("file://")


def _filesystem(path: str) -> Any:
    """Return the fsspec filesystem of a URL; credentials come from the environment."""
    import fsspec

    scheme = path.split("://", 1)[0]
    try:
        # Other processes write too: a cached listing would hide what they have made.
        return fsspec.filesystem(scheme, use_listings_cache=False, **_OPTIONS.get(scheme, {}))
    except ImportError as error:
        extra = {"s3": "s3", "gs": "gcs", "gcs": "gcs"}.get(scheme)
        fix = f"Install it: pip install 'corpusmill[{extra}]'" if extra else None
        raise InputError(
            f"no support for {scheme}:// is installed", where=path, why=str(error), fix=fix
        ) from error
    except ValueError as error:
        raise InputError(
            "this kind of URL is not known",
            where=path,
            why=str(error),
            fix="Use a local path, s3:// or gs://",
        ) from error


def _is_of_storage(error: Exception) -> bool:
    return isinstance(error, OSError) or type(error).__module__.startswith(_CLIENTS)


def _fix(path: str, otherwise: str) -> str:
    if is_remote(path):
        return "Check the URL, the network, and your credentials for the store"
    return otherwise


@contextlib.contextmanager
def _reading(path: str) -> Iterator[None]:
    """Raise what a file system or the client of a store raises as `InputError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(
            "there is no such file", where=path, fix=_fix(path, "Check the path")
        ) from error
    except Exception as error:
        if not _is_of_storage(error):
            raise
        raise InputError(
            "the file cannot be read",
            where=path,
            why=getattr(error, "strerror", None) or str(error),
            fix=_fix(path, "Check that it is a file and that you may read it"),
        ) from error


@contextlib.contextmanager
def _writing(path: str) -> Iterator[None]:
    """Raise what a file system or the client of a store raises as `OutputError`."""
    try:
        yield
    except Exception as error:
        if not _is_of_storage(error):
            raise
        raise _cannot_write(path, error) from error


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
    return str(Path(_local(path)).absolute().parent)


def open_input(path: str) -> BinaryIO:
    """Open a file for reading bytes.

    Raises:
        InputError: It is missing or cannot be read.
    """
    with _reading(path):
        if is_remote(path):
            return cast(BinaryIO, _filesystem(path).open(path, "rb"))
        return Path(_local(path)).open("rb")


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
    return pa.OSFile(_local(path), "rb")


def read_bytes(path: str) -> bytes:
    """Return a whole file. Raises `InputError` when it cannot be read."""
    with open_input(path) as file, _reading(path):
        return file.read()


def read_range(path: str, start: int, end: int) -> bytes:
    """Return bytes [start, end) of a file, in one request; fewer where it ends before.

    Raises:
        InputError: It is missing or cannot be read.
    """
    with _reading(path):
        if is_remote(path):
            return bytes(_filesystem(path).cat_file(path, start=start, end=end))
        with Path(_local(path)).open("rb") as file:
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


def exists(path: str) -> bool:
    """Say whether there is a file or folder of that name."""
    with _reading(path):
        if is_remote(path):
            return bool(_filesystem(path).exists(path))
        return Path(_local(path)).exists()


def size(path: str) -> int:
    """Return a file's size in bytes. Raises `InputError` when it is not there."""
    with _reading(path):
        if is_remote(path):
            return int(_filesystem(path).size(path))
        return Path(_local(path)).stat().st_size


def stamp(path: str) -> str:
    """Return what tells cheaply whether a file has changed: size and time, or size and ETag."""
    with _reading(path):
        if is_remote(path):
            info = _filesystem(path).info(path)
            tag = info.get("ETag") or info.get("etag") or info.get("LastModified") or ""
            return f"{info['size']}:{tag}"
        status = Path(_local(path)).stat()
        return f"{status.st_size}:{status.st_mtime_ns}"


def find(pattern: str) -> list[str]:
    """Return the files that match a pattern (`*`, `?`, `[...]`, `**`), sorted; folders left out."""
    if is_remote(pattern):
        scheme = pattern.split("://", 1)[0]
        filesystem = _filesystem(pattern)
        with _reading(pattern):
            if "[" in pattern and filesystem.isfile(pattern):
                return [pattern]
            found = filesystem.glob(pattern, detail=True)
        return sorted(f"{scheme}://{path}" for path, i in found.items() if i["type"] == "file")
    if Path(_local(pattern)).is_file():
        return [_local(pattern)]  # whatever signs are in its name
    paths = glob.glob(_local(pattern), recursive=True)  # noqa: PTH207 - patterns may be absolute
    return sorted(path for path in paths if Path(path).is_file())


def list_folder(path: str) -> list[str]:
    """Return the names in a folder, sorted; nothing when there is no such folder."""
    if is_remote(path):
        filesystem = _filesystem(path)
        with _reading(path):
            if not filesystem.exists(path):
                return []
            return sorted({name(entry) for entry in filesystem.ls(path, detail=False)})
    folder = Path(_local(path))
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


def sizes(folder: str) -> dict[str, int]:
    """Return the bytes of the files in a folder by name, in few requests where there are many.

    Nothing when there is no such folder, or when the store cannot list (plain HTTP).
    """
    if folder.startswith(("http://", "https://")):
        return {}
    if not is_remote(folder):
        found = Path(_local(folder)).iterdir() if Path(_local(folder)).is_dir() else ()
        return {entry.name: entry.stat().st_size for entry in found if entry.is_file()}
    filesystem = _filesystem(folder)
    with _reading(folder):
        if not filesystem.exists(folder):
            return {}
        entries = filesystem.ls(folder, detail=True)
    return {name(e["name"]): int(e["size"]) for e in entries if e["type"] == "file"}


def make_folder(path: str) -> None:
    """Make a folder and its parents. Raises `OutputError` when that is not allowed."""
    if is_remote(path):
        return  # object stores have no folders
    with _writing(path):
        Path(_local(path)).mkdir(parents=True, exist_ok=True)


def _cannot_write(path: str, error: Exception) -> OutputError:
    if getattr(error, "errno", None) in _FULL:
        fix = "Free some space, or choose another folder with --output, and run the command again"
    else:
        fix = _fix(path, "Choose a folder that you may write to with --output")
    why = getattr(error, "strerror", None) or str(error)
    return OutputError("the output cannot be written", where=path, why=why, fix=fix)


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
                if error.errno not in _WRITE_ERRORS:
                    raise
                raise _cannot_write(str(temporary), error) from error
            with _writing(path):
                _filesystem(path).put_file(str(temporary), path)
        return
    final = Path(_local(path))
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
        if error.errno not in _WRITE_ERRORS or not ours:
            raise  # something else went wrong inside the block
        raise _cannot_write(path, error) from error
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
        with _writing(target):
            _filesystem(source).copy(source, target)
        return
    with publish(target) as temporary:
        if is_remote(source):
            with _reading(source):
                _filesystem(source).get_file(source, str(temporary))
            return
        try:
            os.link(_local(source), temporary)
        except OSError:  # another file system, or one without links
            # Not copyfile: its error names the source, and a full disk is about the target.
            with open_input(source) as file, temporary.open("wb") as copy:
                shutil.copyfileobj(file, copy, _BLOCK)


def digest(path: str) -> tuple[int, str]:
    """Return a file's size in bytes and its SHA-256 in hexadecimal."""
    hasher = hashlib.sha256()
    total = 0
    with open_input(path) as file, _reading(path):
        while block := file.read(_BLOCK):
            hasher.update(block)
            total += len(block)
    return total, hasher.hexdigest()


@contextlib.contextmanager
def local_copy(path: str) -> Iterator[Path]:
    """Yield a local path with the file's bytes: the file itself, or a temporary download."""
    if not is_remote(path):
        yield Path(_local(path))
        return
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX) as folder:
        temporary = Path(folder) / name(path)
        with open_input(path) as file, temporary.open("wb") as copy, _reading(path):
            shutil.copyfileobj(file, copy, _BLOCK)
        yield temporary


def map_file(path: str) -> mmap.mmap | bytes:
    """Return a file's bytes without reading them: pages come as they are looked at.

    Processes that map one file share its pages. Of a store, a copy is mapped whose name is gone
    already, so that it goes with the process.

    Raises:
        InputError: It is missing or cannot be read.
    """
    with local_copy(path) as local, open_input(str(local)) as file, _reading(path):
        if os.fstat(file.fileno()).st_size == 0:
            return b""  # what is empty cannot be mapped
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def remove(path: str) -> None:
    """Remove a file or a folder with all that is in it; nothing happens when it is not there."""
    if is_remote(path):
        filesystem = _filesystem(path)
        with _writing(path):
            if filesystem.exists(path):
                filesystem.rm(path, recursive=True)
        return
    local = Path(_local(path))
    if local.is_dir() and not local.is_symlink():
        shutil.rmtree(local)
    else:
        local.unlink(missing_ok=True)


def sweep(folder: str) -> None:
    """Remove what killed processes left unfinished below a folder."""
    if not is_remote(folder):
        for left in Path(_local(folder)).rglob(f"{TEMPORARY_PREFIX}*"):
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
    path = Path(_local(folder)) / "build.lock"
    with _writing(str(path)):
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

"""A folder of blocks of remote files, bounded in bytes and shared by the processes of a machine.

::

    <folder>/lock               held while anything is written or removed; holds the bytes in use
    <folder>/<key>.blocks/17    a block of the file <key>: its bytes, and 8 bytes of their xxh3

A block has its name only when it is whole, and is checked when a process reads it first, so what a
killed process, a full disk or a power cut leaves is found and fetched again. When the folder would
grow over its bound, the blocks that were used longest ago go. A process that reads a block while
another one removes it keeps its bytes: an open file outlives its name.

In: blocks. Out: bytes of them. Nothing else in the folder is touched.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import xxhash

from corpus import storage
from corpus.errors import InputError, OutputError

log = logging.getLogger(__name__)

_SUFFIX = ".blocks"
_CHECK = 8  # bytes of the checksum behind a block
_ROOM = 0.1  # of the bound is made free at a time: looking through the folder is what takes time
_USED_SECONDS = 30  # how exact the time of the last use is
_DIGITS = 20  # of the bytes in use, in the lock file
_CHECKED = 1 << 17  # blocks that are remembered to be whole


class BlockCache:
    """Blocks on this machine.

    Args:
        folder: Where to.
        limit: The most bytes that blocks take, those of other processes in the folder included.

    Raises:
        InputError: The folder is remote.
        OutputError: The folder cannot be written.
    """

    def __init__(self, folder: str, limit: int) -> None:
        if storage.is_remote(folder):
            raise InputError("the cache has to be on this machine", where=folder)
        self.folder, self.limit = folder.removeprefix("file://"), limit
        self._thread, self._process = threading.Lock(), os.getpid()
        self._lock = f"{self.folder}/lock"
        self._checked: dict[str, int] = {}
        self._present: set[str] = set()  # as long as the lock file is as it was
        self._changed = 0
        storage.make_folder(self.folder)
        with self._locked() as lock:
            _put_usage(lock, self._make_room(0))  # what killed processes left is counted, or goes

    def __reduce__(self) -> tuple[object, ...]:
        return BlockCache, (self.folder, self.limit)

    def missing(self, key: str, numbers: Iterable[int]) -> list[int]:
        """Return the blocks of a file that are not there; one that is may go, or be damaged."""
        changed = os.stat(self._lock).st_mtime_ns  # noqa: PTH116 - Path takes 3 times as long
        if changed != self._changed:
            self._changed = changed
            self._present.clear()
        found = []
        for number in numbers:
            path = self._path(key, number)
            if path not in self._present:
                if os.path.exists(path):  # noqa: PTH110
                    self._present.add(path)
                else:
                    found.append(number)
        return found

    def read_into(self, key: str, number: int, size: int, start: int, out: memoryview) -> bool:
        """Fill `out` with a block's bytes from `start` on.

        Args:
            key: Of the file.
            number: Of the block.
            size: Bytes of the block.
            start: First byte in the block.
            out: Bytes that are all inside of the block.

        Returns:
            False when the block is not there, or was damaged and has been removed.
        """
        path = self._path(key, number)
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            status = os.fstat(descriptor)
            whole = status.st_size == size + _CHECK
            if whole and self._checked.get(path) != status.st_ino:
                whole = _is_whole(descriptor, size)
                if len(self._checked) >= _CHECKED:
                    self._checked.clear()
                self._checked[path] = status.st_ino
            if whole:
                if time.time() - status.st_mtime > _USED_SECONDS:
                    os.utime(descriptor)
                return os.preadv(descriptor, [out], start) == len(out)
        finally:
            os.close(descriptor)
        self._drop(path, status.st_ino)
        return False

    def put(self, key: str, number: int, data: bytes) -> None:
        """Keep a block; older ones go where room is needed.

        Raises:
            OutputError: The disk is full, also without the older half of the blocks, or the folder
                cannot be written.
        """
        path = self._path(key, number)
        size = len(data) + _CHECK
        with self._locked() as lock:
            if os.path.exists(path):  # noqa: PTH110
                return  # another process was faster
            used = _get_usage(lock)
            if used is None or used + size > self.limit:
                used = self._make_room(size)
            try:
                self._write(path, data)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not used:
                    raise
                log.warning(
                    "%s: the disk is full at %s bytes of %s: the older half of the cache goes",
                    self.folder, f"{used:,}", f"{self.limit:,}",
                )  # fmt: skip
                used = self._make_room(size, most=used // 2)
                _put_usage(lock, used)
                self._write(path, data)
            _put_usage(lock, used + size)

    def count(self, key: str) -> int:
        """Return how many blocks of a file there are."""
        folder = os.path.dirname(self._path(key, 0))  # noqa: PTH120
        try:
            return sum(name.isdigit() for name in os.listdir(folder))  # noqa: PTH208
        except FileNotFoundError:
            return 0

    def remove(self, key: str) -> None:
        """Remove all blocks of a file."""
        with self._locked() as lock:
            storage.remove(os.path.dirname(self._path(key, 0)))  # noqa: PTH120
            _put_usage(lock, self._make_room(0))

    def _path(self, key: str, number: int) -> str:
        return f"{self.folder}/{key}{_SUFFIX}/{number}"

    def _write(self, path: str, data: bytes) -> None:
        final = Path(path)
        final.parent.mkdir(exist_ok=True)
        temporary = final.with_name(storage.temporary_name(final.name))
        try:
            with temporary.open("wb", buffering=0) as file:
                for part in (data, xxhash.xxh3_64_digest(data)):
                    if file.write(part) < len(part):  # the disk took a part of it
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(temporary))
            temporary.replace(final)
        finally:
            temporary.unlink(missing_ok=True)

    def _drop(self, path: str, inode: int) -> None:
        """Remove a damaged block, unless another process has put a whole one in its place."""
        log.warning("%s: a block of the cache was damaged and is fetched again", path)
        with self._locked() as lock, contextlib.suppress(FileNotFoundError):
            status = os.stat(path)  # noqa: PTH116
            if status.st_ino == inode:
                os.unlink(path)  # noqa: PTH108
                used = _get_usage(lock)
                if used is not None:
                    _put_usage(lock, max(used - status.st_size, 0))

    def _make_room(self, size: int, *, most: int | None = None) -> int:
        """Remove what was used longest ago until `size` more bytes fit; return the bytes in use.

        Whoever calls holds the lock, so a temporary file is one that a killed process has left.
        """
        found: list[tuple[float, int, str]] = []
        folders = [entry.path for entry in os.scandir(self.folder) if entry.name.endswith(_SUFFIX)]
        for folder in folders:
            for entry in os.scandir(folder):
                if entry.name.startswith(storage.TEMPORARY_PREFIX):
                    os.unlink(entry.path)  # noqa: PTH108
                elif entry.name.isdigit():
                    status = entry.stat()
                    found.append((status.st_mtime, status.st_size, entry.path))
        used = sum(entry[1] for entry in found)
        if most is None:
            most = self.limit
        if used + size <= most:
            return used
        room = most - size - int(_ROOM * most)
        found.sort()
        for _, taken, path in found:
            if used <= max(room, 0):
                break
            os.unlink(path)  # noqa: PTH108
            used -= taken
        for folder in folders:
            with contextlib.suppress(OSError):  # not empty
                os.rmdir(folder)  # noqa: PTH106
        return used

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        """Hold the folder, against threads of this process and against others; the lock file."""
        if self._process != os.getpid():  # forked, maybe while a thread of the parent held it
            self._thread, self._process = threading.Lock(), os.getpid()
        try:
            with self._thread:
                # Opened each time: what is open when a process forks, parent and child would share.
                lock = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o666)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    yield lock
                finally:
                    os.close(lock)
        except OSError as error:
            raise OutputError(
                "the cache of token shards cannot be written",
                where=self.folder,
                why=error.strerror or str(error),
                fix="Free some space, lower cache.bytes, or set cache.folder to another disk",
            ) from error


def _is_whole(descriptor: int, size: int) -> bool:
    data = os.pread(descriptor, size + _CHECK, 0)
    return data[size:] == xxhash.xxh3_64_digest(data[:size])


def _get_usage(lock: int) -> int | None:
    """Return the bytes in use; None when nobody has counted them yet."""
    text = os.pread(lock, _DIGITS, 0)
    return int(text) if len(text) == _DIGITS and text.isdigit() else None


def _put_usage(lock: int, used: int) -> None:
    os.pwrite(lock, b"%0*d" % (_DIGITS, used), 0)  # in one piece, also for one who is killed

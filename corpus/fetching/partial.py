"""A half-downloaded file beside its final name, and what is known about it.

`<target>.partial` holds the bytes so far, `<target>.partial.json` says of which file they are: URL,
validator (ETag) and length. Bytes are written without a buffer of this process, so that a kill
loses none that were received. When a file is taken up again its bytes are read once more, for the
digest and the check of its gzip members; nothing that was written by a killed process is trusted.

Together with `corpus.fetching.fetch` this is the exception to the rule that only `corpus.storage`
opens files: a partial file is appended to, cut and renamed, and it is always local.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from corpus.errors import FetchError, OutputError
from corpus.fetching.members import MemberScanner

_BLOCK = 1 << 20


class Partial:
    """The bytes [0, size) of a file that is being downloaded; a context manager that locks it.

    Attributes:
        size: Bytes so far.
        validator: ETag or Last-Modified of the file that they are of; None when there is none,
            and then the bytes cannot be continued.
        length: Bytes of the whole file, or None while unknown.
        scanner: Follows the gzip members.
    """

    def __init__(self, target: str, url: str, limit_pages: int | None = None) -> None:
        """Describe the file; `limit_pages` is for the scanner."""
        self.target = Path(target)
        self.path = Path(f"{target}.partial")
        self.about = Path(f"{target}.partial.json")
        self.url = url
        self.size = 0
        self.validator: str | None = None
        self.length: int | None = None
        self.scanner = MemberScanner(limit_pages)
        self._limit_pages = limit_pages
        self._digest = hashlib.sha256()
        self._stream: BinaryIO

    def __enter__(self) -> Partial:
        """Open, lock and check what an earlier process left.

        Raises:
            FetchError: Another process is downloading the same file.
            OutputError: The folder cannot be written to.
        """
        with self._writing():
            self.target.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._locked()
            try:
                self._load()
            except BaseException:
                self._stream.close()
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Unlocked by name: a process forked meanwhile has the descriptor open as well.
        fcntl.flock(self._stream, fcntl.LOCK_UN)
        self._stream.close()

    @property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of the bytes so far."""
        return self._digest.hexdigest()

    def begin(self, validator: str | None, length: int | None) -> None:
        """Start again, at byte 0, with a file of which this is known."""
        with self._writing():
            self.rewind(0)
            self.validator, self.length = validator, length
            about = {"url": self.url, "etag": validator, "length": length}
            new = Path(f"{self.about}.new")
            new.write_text(json.dumps(about), encoding="utf-8")
            new.replace(self.about)

    def append(self, data: bytes) -> None:
        """Add the next bytes."""
        with self._writing():
            view = memoryview(data)
            while view:  # a raw file may take less than it is given
                view = view[self._stream.write(view) :]
        self._follow(data)

    def rewind(self, size: int) -> None:
        """Keep the first `size` bytes only, and read them again."""
        with self._writing():
            self._stream.truncate(size)
            self._read_again()

    def finish(self) -> None:
        """Give the file its final name; it is whole, and on disk, when it has it."""
        with self._writing():
            os.fsync(self._stream.fileno())
            self.path.replace(self.target)
            # Its description last: alone it says nothing, but bytes without it would come again.
            self.about.unlink(missing_ok=True)
            folder = os.open(self.target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _locked(self) -> BinaryIO:
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            stream: BinaryIO = os.fdopen(descriptor, "r+b", buffering=0)
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # The holder before may have renamed the file that was opened here.
                if self.path.exists() and os.path.samestat(os.fstat(descriptor), self.path.stat()):
                    return stream
            except BlockingIOError as error:
                stream.close()
                raise FetchError(
                    "another process is downloading this file",
                    where=str(self.target),
                    fix="Wait for it, or stop it: two builds must not write into one folder.",
                ) from error
            stream.close()

    def _load(self) -> None:
        """Take up the bytes of an earlier process, if they can be continued."""
        try:
            about = json.loads(self.about.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            about = {}
        if not isinstance(about, dict):
            about = {}
        validator, length = about.get("etag"), about.get("length")
        if about.get("url") == self.url and isinstance(validator, str):
            self.validator = validator
            self.length = length if isinstance(length, int) else None
            self._read_again()
            if self.length is not None and self.size > self.length:
                self.rewind(0)
        else:
            self.rewind(0)

    def _read_again(self) -> None:
        self.size = 0
        self.scanner = MemberScanner(self._limit_pages)
        self._digest = hashlib.sha256()
        self._stream.seek(0)
        while data := self._stream.read(_BLOCK):
            self._follow(data)

    def _follow(self, data: bytes) -> None:
        self.size += len(data)
        self._digest.update(data)
        self.scanner.feed(data)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(
                "cannot be written",
                where=str(self.path),
                why=str(error),
                fix="Make room or choose another folder; what is there is continued.",
            ) from error

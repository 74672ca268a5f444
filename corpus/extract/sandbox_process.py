"""The parent's end of the extraction process: its pipes, its clock and how it ended.

Everything is non-blocking: a body of megabytes on its way in and a text of megabytes on its way out
cannot wait for each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

from corpus.extract import sandbox_child

_PIPE_BYTES = 1 << 20  # so that most pages pass without the two waiting for each other
_STDERR_BYTES = 4096
_CHUNK = 1 << 16  # more is asked of the system anew for every read, and most texts are shorter
_MAX_FIELDS_BYTES = 1 << 16


class Child:
    """One child process and what is on its way to and from it."""

    def __init__(self, function: str, extractor: str, memory_bytes: int) -> None:
        # The package may be there by its path alone; the working directory is not to be trusted.
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "corpus.extract.sandbox_child"),
                *(function, extractor, str(memory_bytes), str(os.getpid())),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        pipes = (self.process.stdin, self.process.stdout, self.process.stderr)
        self.stdin, self.stdout, self.stderr = (pipe.fileno() for pipe in pipes if pipe)
        for pipe in (self.stdin, self.stdout, self.stderr):
            os.set_blocking(pipe, False)
            # Refused beyond a limit of the system per user: then the pipe has its usual size.
            with contextlib.suppress(PermissionError):
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.stdout, selectors.EVENT_READ)
        self.selector.register(self.stderr, selectors.EVENT_READ)
        self._outgoing: deque[list[memoryview]] = deque()
        self._incoming = bytearray()
        self._complaints = bytearray()
        self.alive = True  # until its standard output ends
        self.ready = False  # its imports are done
        self.taken = 0  # pages given to it
        self.answered = 0
        self._written = 0  # pages that went into the pipe whole
        self.since = time.monotonic()  # when it began with what it is doing

    def give(self, head: bytes, body: bytes) -> None:
        """Send a page, or queue what the pipe has no room for now."""
        self._outgoing.append([memoryview(head), memoryview(body)])
        self.taken += 1
        if len(self._outgoing) == 1 and not self._write():
            self.selector.register(self.stdin, selectors.EVENT_WRITE)

    @property
    def backlog(self) -> bool:
        """Whether some of what it was given waits for room in the pipe."""
        return bool(self._outgoing)

    def pump(self, seconds: float) -> bool:
        """Move bytes both ways, waiting so long for the first; say whether it has sent any."""
        ready = {key.fd for key, _ in self.selector.select(seconds)}
        if self.stderr in ready:
            self._listen()
        if self.stdin in ready and self._write():
            self.selector.unregister(self.stdin)
        if self.stdout in ready:
            self._read()
        return self.stdout in ready

    def _write(self) -> bool:
        """Write what the pipe has room for; say whether nothing is left."""
        try:
            while self._outgoing:
                parts = self._outgoing[0]
                written = os.writev(self.stdin, parts)
                if self.ready and self._written == self.answered:
                    self.since = time.monotonic()  # its page is not there yet
                while parts and written >= len(parts[0]):
                    written -= len(parts.pop(0))
                if parts:
                    parts[0] = parts[0][written:]
                else:
                    self._outgoing.popleft()
                    self._written += 1
        except BlockingIOError:
            return False
        except BrokenPipeError:
            self._outgoing.clear()  # it has died; the end of its standard output will say so
        return True

    def _read(self) -> None:
        data = os.read(self.stdout, _CHUNK)
        self._incoming += data
        if not data:
            self.alive = False
            self.selector.unregister(self.stdout)

    def _listen(self) -> None:
        data = os.read(self.stderr, _CHUNK)
        if not data:
            self.selector.unregister(self.stderr)
        self._complaints += data
        del self._complaints[:-_STDERR_BYTES]

    def answer(self, limit: int) -> tuple[dict[str, str | None], bytes] | None:
        """Return the next frame if it is whole.

        Raises:
            ValueError: What it sent is no frame.
        """
        if len(self._incoming) < sandbox_child.HEAD.size:
            return None
        length, size = sandbox_child.HEAD.unpack_from(self._incoming)
        if length > _MAX_FIELDS_BYTES or size > limit:
            raise ValueError("it sent something that is no answer")
        start = sandbox_child.HEAD.size
        if len(self._incoming) < start + length + size:
            return None
        fields = json.loads(self._incoming[start : start + length])
        data = bytes(self._incoming[start + length : start + length + size])
        del self._incoming[: start + length + size]
        self.since = time.monotonic()
        return fields, data

    def end(self) -> str:
        """Kill it if it still runs, and return how it ended, with its last words."""
        self.process.kill()
        code = self.process.wait()
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.stderr, _CHUNK):
                self._complaints += data
        del self._complaints[:-_STDERR_BYTES]
        self.selector.close()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        words = self._complaints.decode("utf-8", "replace").strip()
        return f"{_ending(code)}{': ' + words if words else ''}"


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"ended by signal {-code}"

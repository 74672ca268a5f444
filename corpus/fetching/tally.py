"""What the downloads of a machine have come to so far: bytes, requests, faults by kind.

Faults are luck: they must not be in a manifest, or equal builds would differ. So every process adds
to one record of fixed size in the folder of `corpus.fetching.politeness`, under a lock, and who
shows the progress reads it. Nothing else depends on it.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# The kinds of `transport.Fault`, and what is found out after a request has gone well.
FAULTS = (
    "connection",
    "reset",
    "stall",
    "truncated",
    "throttled",
    "error_page",
    "forbidden",
    "server_error",
    "range",
    "changed",
    "restarted",
    "corrupt",
    "damaged_at_source",
)
_RECORD = struct.Struct(f"<{2 + len(FAULTS)}q")


@dataclass(frozen=True, slots=True)
class Transfers:
    """Bytes that have arrived, requests that were made, and faults by kind where there were any."""

    bytes: int
    requests: int
    faults: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Tally:
    """The record in a folder. Plain data: it pickles."""

    folder: str

    def reset(self) -> None:
        """Begin again at nothing."""
        with self._locked() as descriptor:
            os.pwrite(descriptor, bytes(_RECORD.size), 0)

    def add(self, *, count: int = 0, requests: int = 0, fault: str | None = None) -> None:
        """Add bytes, requests, or one fault of a kind."""
        with self._locked() as descriptor:
            numbers = _numbers(descriptor)
            numbers[0] += count
            numbers[1] += requests
            if fault is not None:
                numbers[2 + FAULTS.index(fault)] += 1
            os.pwrite(descriptor, _RECORD.pack(*numbers), 0)

    def read(self) -> Transfers:
        """Return what it has come to."""
        with self._locked() as descriptor:
            count, requests, *faults = _numbers(descriptor)
        found = {kind: number for kind, number in zip(FAULTS, faults, strict=True) if number}
        return Transfers(count, requests, found)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        path = Path(self.folder) / "transfers.state"
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            # Unlocked by name: a process forked meanwhile has the descriptor open as well.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


def _numbers(descriptor: int) -> list[int]:
    record = os.pread(descriptor, _RECORD.size, 0)
    return list(_RECORD.unpack(record.ljust(_RECORD.size, b"\0")))

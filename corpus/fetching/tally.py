"""What the downloads of a run have come to so far: bytes, requests, faults by kind.

Faults are luck: they must not be in a manifest, or equal builds would differ. So every process adds
to one record of fixed size (`corpus.fetching.keeper`), and who shows the progress reads it. Nothing
else depends on it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

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
SIZE = _RECORD.size


@dataclass(frozen=True, slots=True)
class Transfers:
    """Bytes that have arrived, requests that were made, and faults by kind where there were any."""

    bytes: int = 0
    requests: int = 0
    faults: Mapping[str, int] = field(default_factory=dict)

    def plus(self, count: int, requests: int, fault: str | None) -> Transfers:
        """Return this with more bytes, requests, and one more fault of a kind."""
        faults = self.faults
        if fault is not None:
            faults = {**faults, fault: faults.get(fault, 0) + 1}
        return Transfers(self.bytes + count, self.requests + requests, faults)


def unpack(record: bytes) -> Transfers:
    """Return what a record says; nothing when it is none."""
    if len(record) != SIZE:
        return Transfers()
    count, requests, *faults = _RECORD.unpack(record)
    found = {kind: number for kind, number in zip(FAULTS, faults, strict=True) if number}
    return Transfers(count, requests, found)


def pack(transfers: Transfers) -> bytes:
    """Return a record of `SIZE` bytes."""
    faults = (transfers.faults.get(kind, 0) for kind in FAULTS)
    return _RECORD.pack(transfers.bytes, transfers.requests, *faults)

"""Millions of wanted addresses by their SURT keys, of which only a range is held at a time.

In: Parquet files of keys, each sorted (an index is sorted by key as well, so that it is read beside
them). Out: the keys between two of an index.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpus import storage

KEYS_SCHEMA = pa.schema(
    [
        pa.field("surt", pa.string(), nullable=False),
        pa.field("page", pa.uint64(), nullable=False),  # `corpus.sources.urls.page_hash`
    ]
)
KEYS_GROUP = 4096  # rows of a row group, which are held together: 0.6 MB as Python has them


@dataclass(frozen=True, slots=True)
class Keys:
    """Wanted keys: SURT keys, and the pages whose addresses have them."""

    surts: frozenset[str]
    pages: frozenset[int]


@dataclass
class _Run:
    """One file: the first and last key of each row group, and the groups that are held."""

    path: str
    ends: list[tuple[str, str]]
    held: dict[int, tuple[list[str], list[int]]] = field(default_factory=dict)

    def groups(self, first: str, last: str) -> range:
        """Return the row groups that can hold keys from first to last."""
        start = bisect_left(self.ends, first, key=lambda end: end[1])
        stop = bisect_right(self.ends, last, key=lambda end: end[0])
        return range(start, max(start, stop))

    def load(self, wanted: range) -> None:
        self.held = {group: rows for group, rows in self.held.items() if group in wanted}
        missing = [group for group in wanted if group not in self.held]
        if not missing:
            return
        with storage.open_arrow(self.path) as handle:
            file = pq.ParquetFile(handle)
            for group in missing:
                table = file.read_row_group(group, use_threads=False)
                self.held[group] = table["surt"].to_pylist(), table["page"].to_pylist()


class ListedKeys:
    """Keys in sorted files. What is pickled is the paths."""

    def __init__(self, paths: Sequence[str]) -> None:
        """Take paths of files of `KEYS_SCHEMA`, sorted by `surt`; nothing is read yet."""
        self._paths = tuple(paths)
        self._runs: list[_Run] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return ListedKeys, (self._paths,)

    def within(self, first: str, last: str) -> Keys:
        """Return the keys from `first` to `last`, both included.

        Memory is that of the row groups between the two, so that ranges are asked for in order.
        """
        surts: set[str] = set()
        pages: set[int] = set()
        for run in self._opened():
            wanted = run.groups(first, last)
            run.load(wanted)
            for group in wanted:
                keys, page = run.held[group]
                start, stop = bisect_left(keys, first), bisect_right(keys, last)
                surts.update(keys[start:stop])
                pages.update(page[start:stop])
        return Keys(frozenset(surts), frozenset(pages))

    def _opened(self) -> list[_Run]:
        if self._runs is None:
            self._runs = []
            for path in self._paths:
                with storage.open_arrow(path) as handle:
                    metadata = pq.ParquetFile(handle).metadata
                    groups = (metadata.row_group(n) for n in range(metadata.num_row_groups))
                    stats = (group.column(0).statistics for group in groups if group.num_rows)
                    self._runs.append(_Run(path, [(one.min, one.max) for one in stats]))
        return self._runs

"""In which order documents are visited, and which may be dropped for which.

The best comes first: earlier source, higher score, longer text, smaller id.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Scope:
    """Which documents are compared, as `dedup.scope` of the recipe says.

    Attributes:
        kind: "all"; "within": those of one source; "curated": those of filtered sources with those
            of the others, which are visited first and are never dropped.
        sources: Names in the order of the recipe, then those of each index in its order, whose
            documents are visited before all others and are never dropped.
        curated: Of each source of the recipe, whether its documents are taken unfiltered.
    """

    kind: str
    sources: tuple[str, ...]
    curated: tuple[bool, ...]

    @property
    def own(self) -> int:
        """How many of the sources are the recipe's; the numbers of those of indexes follow."""
        return len(self.curated)

    def indexed(self, source: Ints) -> npt.NDArray[np.bool_]:
        """Say which sources, given by number, are those of an index."""
        return np.asarray(source >= self.own, dtype=np.bool_)

    def _first(self, source: Ints) -> npt.NDArray[np.bool_]:
        """Say which sources are visited first: those of an index, and the curated ones."""
        indexes = [True] * (len(self.sources) - self.own)
        return np.array([*self.curated, *indexes], dtype=np.bool_)[source]

    def priority(self, source: Ints) -> Ints:
        """Return the place of sources, given by number, in the order of visits."""
        place = np.where(self.indexed(source), source - len(self.sources), source)
        if self.kind != "curated":
            return place
        return place + len(self.sources) * (~self._first(source)).astype(np.int64)

    def group(self, source: Ints) -> Ints:
        """Return which documents may be compared at all: those of one group."""
        if self.kind != "within":
            return np.zeros_like(source)
        return np.array([self.sources.index(name) for name in self.sources], np.int64)[source]

    def keeps(self, source: Ints) -> npt.NDArray[np.bool_]:
        """Say of which sources documents are there for others to be dropped for."""
        every = np.ones(len(source), dtype=np.bool_)
        return self._first(source) if self.kind == "curated" else every

    def drops(self, source: Ints) -> npt.NDArray[np.bool_]:
        """Say of which sources documents can be dropped."""
        return ~(self._first(source) if self.kind == "curated" else self.indexed(source))


def visiting_order(group: Ints, priority: Ints, table: pa.Table) -> Ints:
    """Return the rows in the order of visits, those of one group together.

    Args:
        group: Of each row; smaller ones come first.
        priority: Place of the document's source; lower is better.
        table: `score` (higher is better, NaN for none is worst), `length` (longer is better), `id`
            (the smaller breaks a tie, and after it the order of the rows).
    """
    # Ranked as Arrow strings: identifiers may hold any character, and one may be much the longest.
    ids = pc.rank(table["id"].combine_chunks(), tiebreaker="dense").to_numpy()
    score = np.nan_to_num(table["score"].to_numpy(), nan=-1.0)
    return np.lexsort((ids, -table["length"].to_numpy(), -score, priority, group))

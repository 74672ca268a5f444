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
        sources: Names in the order of the recipe.
        curated: Of each source, whether its documents are taken unfiltered.
    """

    kind: str
    sources: tuple[str, ...]
    curated: tuple[bool, ...]

    def priority(self, source: Ints) -> Ints:
        """Return the place of sources, given by number, in the order of visits."""
        if self.kind != "curated":
            return source
        last = ~np.array(self.curated)[source]
        return source + len(self.sources) * last.astype(np.int64)

    def group(self, source: Ints) -> Ints:
        """Return which documents may be compared at all: those of one group."""
        return source if self.kind == "within" else np.zeros_like(source)

    def keeps(self, source: Ints) -> npt.NDArray[np.bool_]:
        """Say of which sources documents are there for others to be dropped for."""
        every = np.ones(len(source), dtype=np.bool_)
        return np.array(self.curated)[source] if self.kind == "curated" else every

    def drops(self, source: Ints) -> npt.NDArray[np.bool_]:
        """Say of which sources documents can be dropped."""
        every = np.ones(len(source), dtype=np.bool_)
        return ~np.array(self.curated)[source] if self.kind == "curated" else every


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

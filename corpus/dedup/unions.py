"""The compiled loops of connected components: union-find over the numbers of documents."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def connect(parents: Int64s, left: Int64s, right: Int64s) -> None:
    """Join the sets that the ends of edges are in: union-find with path halving.

    Args:
        parents: Changed. A document's parent, or itself; never greater than itself, so that the
            root of a set is its smallest member whatever the order of the edges.
        left: One end of each edge.
        right: The other end.
    """
    for edge in range(len(left)):
        a, b = left[edge], right[edge]
        while parents[a] != a:
            parents[a] = parents[parents[a]]
            a = parents[a]
        while parents[b] != b:
            parents[b] = parents[parents[b]]
            b = parents[b]
        if a < b:
            parents[b] = a
        elif b < a:
            parents[a] = b


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def flatten(parents: Int64s) -> None:
    """Point every document to the root of its set."""
    for document in range(len(parents)):  # a parent is smaller, so it is flat already
        parents[document] = parents[parents[document]]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def count_members(roots: Int64s, left_out: npt.NDArray[np.bool_]) -> Int32s:
    """Return how many documents of each root's set are not left out, and 0 elsewhere."""
    counts = np.zeros(len(roots), dtype=np.int32)
    for document in range(len(roots)):
        if not left_out[document]:
            counts[roots[document]] += 1
    return counts

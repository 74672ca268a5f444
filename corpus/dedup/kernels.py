"""The compiled loop of the visit, component by component.

A document is compared with kept ones alone, see `corpus.dedup.comparison_kernels`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpus.dedup.comparison_kernels import compare_direct, compare_indexed
from corpus.text.kernel_cache import njit

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def visit_components(
    starts: Int64s,
    given: Int64s,
    grows: bool,
    begins: Int64s,
    ends: Int64s,
    hashes: UInt64s,
    roles: Bytes,
    threshold: float,
    direct: int,
    looked: Int64s,
    tried: Int64s,
    most_looked: int,
    most_tried: int,
) -> tuple[Int64s, Floats, int, int]:
    """Visit the documents of components, best first, and drop those similar to a kept one.

    Args:
        starts: Where each component begins and where the last ends, shape (components + 1,).
            Within a component documents are in visiting order.
        given: Of each component, how many of its first documents have been kept already.
        grows: Whether documents that are kept now are compared with later ones.
        begins: Where each document's hashes begin.
        ends: Where they end.
        hashes: Sorted distinct hashes of each document.
        roles: `KEEPS`, `DROPS` or both.
        threshold: Least Jaccard index, above 0.
        direct: Components of up to so many documents are compared without an index.
        looked: Changed. Of each document, how many entries of the index it has been held against,
            in this round and in earlier ones.
        tried: Changed. Of each document, with how many it has been compared in full.
        most_looked: With more entries than these a document is compared no further.
        most_tried: Nor with more comparisons than these.

    Returns:
        For each document the number of the one that it is dropped for, the best of those that have
        been kept, or -1; their Jaccard index; how many pairs were compared in full; how many
        documents came to the end of what they may be compared with, and were kept for that.
    """
    keepers = np.full(len(begins), np.int64(-1))
    jaccard = np.zeros(len(begins))
    compared = 0
    unfinished = 0
    for index in range(len(starts) - 1):
        first, last = starts[index], starts[index + 1]
        if grows and last - first <= direct:
            compared += compare_direct(
                first, last, given[index], begins, ends, hashes, roles, threshold, keepers, jaccard
            )
        else:
            more, ended = compare_indexed(
                first,
                last,
                given[index],
                grows,
                begins,
                ends,
                hashes,
                roles,
                threshold,
                looked,
                tried,
                most_looked,
                most_tried,
                keepers,
                jaccard,
            )
            compared += more
            unfinished += ended
    return keepers, jaccard, compared, unfinished

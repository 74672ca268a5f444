"""Which documents are dropped as duplicates of which: pure functions over arrays.

The rule, whatever the number of workers: documents are visited best first, and one is dropped when
a document that has been kept shares a band of its signature and is at least as similar as the
threshold, by the true Jaccard index of their shingle sets. Nothing else is dropped: a chain a~b~c
with a and c unlike each other loses b alone. Of each band, the first `MOST_KEEPERS` kept documents
are compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

# Documents that were kept and that later members of one band's run are compared with. A million
# pages of one template that differ in their content share a band with all the others: without a
# bound each would be compared with every page before it.
MOST_KEEPERS = 64


@dataclass(frozen=True)
class Duplicate:
    """One document that is dropped, by number, with the kept document that it is similar to."""

    document: int
    keeper: int
    jaccard: float


def visiting_order(
    priority: Ints, score: npt.NDArray[np.float64], length: Ints, ids: Sequence[str]
) -> Ints:
    """Return the rank of each document: 0 is visited first and is always kept.

    Args:
        priority: Place of the document's source in the recipe; lower is better.
        score: Quality score; higher is better; NaN (no score) is worst.
        length: Bytes of text; longer is better.
        ids: Identifiers; the smaller breaks a tie, and after it the order of the input.
    """
    # Ranked as Arrow strings: identifiers may hold any character, and one may be much the longest.
    names = pc.rank(pa.array(ids, pa.large_string()), tiebreaker="dense").to_numpy()
    order = np.lexsort((names, -length, -np.nan_to_num(score, nan=-1.0), priority))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank


def exact_duplicates(keys: Keys, length: Ints, rank: Ints) -> Ints:
    """Return for each document the number of the best one with the same text: itself if it is that.

    Args:
        keys: 128-bit hashes of the texts, shape (n, 2).
        length: Bytes of text; empty documents are nobody's duplicates.
        rank: Visiting order.
    """
    keeper = np.arange(len(rank), dtype=np.int64)
    if not len(rank):
        return keeper
    order = np.lexsort((rank, keys[:, 1], keys[:, 0]))
    same = np.all(keys[order[1:]] == keys[order[:-1]], axis=1) & (length[order[1:]] > 0)
    starts = np.concatenate([[True], ~same])
    first = order[np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))]
    keeper[order] = first
    return keeper


def run_edges(keys: Keys, documents: Ints, rank: Ints) -> tuple[Ints, Ints]:
    """Return edges that connect the documents with equal keys: each to the best of its run.

    Args:
        keys: One band's key of each document.
        documents: Their numbers.
        rank: Visiting order of all documents.

    Returns:
        Two arrays of document numbers; fewer edges than documents, however long the runs are.
    """
    if len(keys) < 2:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    order = np.lexsort((rank[documents], keys))
    same = keys[order[1:]] == keys[order[:-1]]
    starts = np.concatenate([[True], ~same])
    first = np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))
    members = np.flatnonzero(~starts)
    return documents[order[first[members]]], documents[order[members]]


def components(left: Ints, right: Ints, count: int) -> Ints:
    """Return a label for each of `count` documents: equal for documents that edges connect."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(left), dtype=np.int8)
    graph = coo_array((ones, (left, right)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def visit(
    documents: Ints, bands: Keys, offsets: Ints, hashes: Keys, threshold: float
) -> Iterator[Duplicate]:
    """Visit the documents of one component, best first, and yield those to drop.

    Args:
        documents: Numbers of the documents in visiting order, shape (n,).
        bands: Their band keys, shape (n, bands).
        offsets: Where each one's shingles begin in `hashes`, shape (n + 1,).
        hashes: Sorted distinct shingle hashes of all.
        threshold: Least Jaccard index.
    """
    from corpus.text import minhash

    keepers: dict[int, list[int]] = defaultdict(list)
    for index in range(len(documents)):
        own = hashes[offsets[index] : offsets[index + 1]]
        buckets = [keepers[key] for key in bands[index].tolist()]
        for other in sorted({member for bucket in buckets for member in bucket}):
            jaccard = minhash.jaccard(own, hashes[offsets[other] : offsets[other + 1]])
            if jaccard >= threshold:
                yield Duplicate(int(documents[index]), int(documents[other]), jaccard)
                break
        else:
            for bucket in buckets:
                if len(bucket) < MOST_KEEPERS:
                    bucket.append(index)

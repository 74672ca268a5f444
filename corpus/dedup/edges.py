"""Edges: which documents share a band, without a list of all pairs that do.

In: the band keys of all parts, one range of keys a task. Out: `edges`, pairs of document numbers
that connect all documents of equal keys: each with the one of the smallest number, in an exchange
by the range of the larger one. They are fewer than the documents of a band, however many share it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.dedup import exchange
from corpus.dedup.labels import write_edges
from corpus.dedup.order import Scope
from corpus.dedup.prefix import maybe_shared
from corpus.dedup.signatures import read_signed
from corpus.manifest import Shard

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class EdgesTask:
    """One range of band keys: those that begin with the `bits` of `partition`.

    Attributes:
        signatures: Folders of the keys.
        partition: First bits of the keys.
        bits: How many.
        scope: Which documents are compared.
        bounds: The first document of each range of them.
    """

    name: str
    source: str
    key: str
    weight: int
    signatures: tuple[str, ...]
    partition: int
    bits: int
    scope: Scope
    bounds: tuple[int, ...]
    folder: str = ""


def find_edges(task: EdgesTask) -> Shard:
    """Write the edges of one range of keys."""
    signed = read_signed(task.signatures, task.scope)
    stars = Stars(signed.own)
    paths = signed.paths("bands")
    for part, table in exchange.read_hashes(paths, "key", task.partition, task.bits):
        source = np.array([signed.sources[part]])
        # The same band of another group is another band.
        group = task.scope.group(source).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        documents = signed.bases[part] + table["position"].to_numpy()
        stars.add(table["key"].to_numpy() ^ group, documents)
    edges = stars.edges()
    output = write_edges(task.folder, f"{task.source}/{task.name}.arrow", edges, task.bounds)
    return Shard(task.name, task.source, task.key, (output,), measures={"edges": len(edges)})


class Stars:
    """The edges of a range of keys, from records that are sorted so many at a time.

    Of earlier records one document of each key is left, the smallest: the others are connected with
    it. So a key that all documents have costs no more memory than others.

    Args:
        own: As in `run_edges`.
        rows: Records at a time; by default twice what a range has.
    """

    def __init__(self, own: int, rows: int = 0) -> None:
        self._own = own
        self._most = rows or 2 * exchange.TASK_ROWS
        self._keys: list[Keys] = []
        self._documents: list[Ints] = []
        self._rows = 0
        self._edges: list[pa.Table] = []

    def add(self, keys: Keys, documents: Ints) -> None:
        """Take in records: the numbers of documents, of which later ones have greater ones."""
        if self._rows and self._rows + len(keys) > self._most:
            joined, numbers = self._connect()
            joined, place = np.unique(joined, return_index=True)  # the first is the smallest
            self._keys, self._documents, self._rows = [joined], [numbers[place]], 0
        self._keys.append(keys)
        self._documents.append(documents)
        self._rows += len(keys)

    def edges(self) -> pa.Table:
        """Return the edges of all records: `left` and `right`, each pair once or little more."""
        self._connect()
        return pa.concat_tables(self._edges)

    def _connect(self) -> tuple[Keys, Ints]:
        keys = np.concatenate([np.empty(0, np.uint64), *self._keys])
        documents = np.concatenate([np.empty(0, np.int64), *self._documents])
        self._keys, self._documents = [], []
        shared = maybe_shared(keys)
        left, right = run_edges(keys[shared], documents[shared], self._own)
        self._edges.append(pa.table({"left": left, "right": right}))
        return keys, documents


def run_edges(keys: Keys, documents: Ints, own: int) -> tuple[Ints, Ints]:
    """Return the edges from the smallest document of each run of equal keys to its others.

    Args:
        keys: Band keys.
        documents: The number of each key's document.
        own: The first number of a document of an index; such ones alone have no edges.

    Returns:
        Two arrays of document numbers, each pair once.
    """
    if not len(keys):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    order = np.argsort(keys)
    keys, documents = keys[order], documents[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    lengths = np.diff(np.append(starts, len(keys)))
    smallest = np.minimum.reduceat(documents, starts)
    shared = np.repeat((lengths > 1) & (smallest < own), lengths)
    left = np.repeat(smallest, lengths)[shared]
    right = documents[shared]
    pairs = np.unique(np.stack([left, right], axis=1)[left != right], axis=0)
    return pairs[:, 0].copy(), pairs[:, 1].copy()

"""Edges: which documents share a band, without a list of all pairs that do.

In: the band keys of all parts, one range of keys a task. Out: `edges`, pairs of document numbers
that connect all documents of equal keys: each with the one of the smallest number. They are fewer
than the documents of a band, however many share it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.dedup import exchange
from corpus.dedup.order import Scope
from corpus.dedup.signatures import read_signed
from corpus.manifest import Shard
from corpus.parts import write_table

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class EdgesTask:
    """One range of band keys: those that begin with the `bits` of `partition`."""

    name: str
    source: str
    key: str
    weight: int
    signatures: tuple[str, ...]
    partition: int
    bits: int
    scope: Scope
    folder: str = ""


def find_edges(task: EdgesTask) -> Shard:
    """Write the edges of one range of keys."""
    signed = read_signed(task.signatures, task.scope)
    keys: list[Keys] = [np.empty(0, np.uint64)]
    documents: list[Ints] = [np.empty(0, np.int64)]
    paths = signed.paths("bands")
    for part, table in exchange.read_hashes(paths, "key", task.partition, task.bits):
        source = np.array([signed.sources[part]])
        # The same band of another group is another band.
        group = task.scope.group(source).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        keys.append(table["key"].to_numpy() ^ group)
        documents.append(signed.bases[part] + table["position"].to_numpy())
    left, right = run_edges(np.concatenate(keys), np.concatenate(documents), signed.own)
    edges = pa.table({"left": left, "right": right})
    output = write_table(task.folder, f"{task.source}/{task.name}.parquet", edges, "edges")
    return Shard(task.name, task.source, task.key, (output,), measures={"edges": len(left)})


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

"""Shingles as they are read back from their exchange: documents of a bucket with their sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.dedup import exchange
from corpus.manifest import read_manifest

# What a document has been held against so far: entries of an index, and whole documents.
EFFORT = ("looked", "tried")
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sets:
    """Documents and their sets of shingles.

    Attributes:
        table: A row a document, as `corpus.dedup.shingles` writes them, without the shingles.
        offsets: Where each set begins, shape (rows + 1,).
        hashes: Sorted distinct hashes of each set.
    """

    table: pa.Table
    offsets: Ints
    hashes: npt.NDArray[np.uint64]


def shingle_paths(folder: str) -> list[str]:
    """Return the files of shingles in the folder of a step."""
    manifest = read_manifest(folder)
    return [manifest.path(output) for shard in manifest.shards for output in shard.all("shingles")]


def read_bucket(paths: Sequence[str], bucket: int) -> pa.Table:
    """Return the documents of one bucket, in the order of the files."""
    return pa.concat_tables([exchange.read(path, bucket, bucket + 1) for path in paths])


def sets_of(table: pa.Table) -> Sets:
    """Return the column of shingles as offsets and values."""
    chunks = table["shingles"].chunks
    if len(chunks) == 1:
        [lists] = chunks  # of one document that is very long, and not copied
    else:
        lists = pa.concat_arrays(chunks) if chunks else pa.array([], table["shingles"].type)
    table = table.drop_columns(["shingles"])
    return Sets(table, np.asarray(lists.offsets).astype(np.int64), np.asarray(lists.values))


def without_effort(table: pa.Table) -> pa.Table:
    """Return documents without what they have been held against."""
    return table.drop_columns([column for column in EFFORT if column in table.column_names])

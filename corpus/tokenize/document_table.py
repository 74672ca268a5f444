"""The documents table beside a token shard: which document holds which tokens.

`part-*.documents.parquet` has one row per document of the shard, in the shard's order: its id, its
first token and its number of tokens, end of text included. `corpus explain` reads it both ways.

In: ids and lengths. Out: the file, and look-ups by token and by id.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus.errors import IntegrityError

DOCUMENT_TABLE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),  # in tokens, from the start of the shard
        pa.field("length", pa.int64(), nullable=False),  # in tokens, end of text included
    ]
)


def write_document_table(
    path: Path, ids: Sequence[str] | pa.Array, lengths: Sequence[int] | npt.NDArray[Any]
) -> None:
    """Write the table of a shard whose documents have these ids and lengths, in order.

    Args:
        path: Temporary local path; the caller publishes it.
        ids: One id per document.
        lengths: Tokens per document (`ShardWriter.lengths`).
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    starts = np.cumsum(sizes) - sizes
    table = pa.table(
        [pa.array(ids, pa.string()), pa.array(starts), pa.array(sizes)],
        schema=DOCUMENT_TABLE_SCHEMA,
    )
    pq.write_table(table, path, compression="zstd", row_group_size=1 << 20)


class DocumentTable:
    """A documents table in memory: 16 bytes and an id per document.

    Attributes:
        ids: pa.StringArray of document ids.
        starts: int64 [documents], first token of each.
        lengths: int64 [documents].

    Raises:
        IntegrityError: The file cannot be read, or its ranges do not follow on each other.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            table = pq.read_table(path, schema=DOCUMENT_TABLE_SCHEMA).combine_chunks()
        except (OSError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise _damaged(path, str(error)) from error
        self.ids: pa.StringArray = _one(table["id"])
        self.starts: npt.NDArray[np.int64] = _one(table["start"]).to_numpy(zero_copy_only=False)
        self.lengths: npt.NDArray[np.int64] = _one(table["length"]).to_numpy(zero_copy_only=False)
        if (self.lengths < 0).any() or (
            self.starts != np.cumsum(self.lengths) - self.lengths
        ).any():
            raise _damaged(path, "Its ranges of tokens do not follow on each other")

    def __len__(self) -> int:
        return len(self.starts)

    def rows_at(self, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the row of the document that holds each token (offsets in this shard)."""
        total = int(self.starts[-1] + self.lengths[-1]) if len(self) else 0
        if tokens.size and not 0 <= int(tokens.min()) <= int(tokens.max()) < total:
            raise IndexError(f"tokens {tokens.min()} to {tokens.max()} of {total}")
        # From the right: of documents that start together all but the last are empty.
        return np.searchsorted(self.starts, tokens, side="right") - 1

    def ids_at(self, tokens: npt.NDArray[np.int64]) -> list[str]:
        """Return the id of the document that holds each token (offsets in this shard)."""
        ids: list[str] = self.ids.take(pa.array(self.rows_at(tokens))).to_pylist()
        return ids

    def ranges(self, id: str) -> list[tuple[int, int]]:
        """Return the ranges of tokens, start and end, of the documents with an id."""
        rows = np.flatnonzero(pc.equal(self.ids, id).to_numpy(zero_copy_only=False))
        return [(int(self.starts[r]), int(self.starts[r] + self.lengths[r])) for r in rows]


def _one(column: pa.ChunkedArray) -> Any:
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)


def _damaged(path: str | Path, why: str) -> IntegrityError:
    return IntegrityError(
        "the documents table is damaged", where=str(path), why=why, fix="Run corpus check"
    )

"""A mixture as Parquet of token rows: one row a sequence, for Hugging Face datasets and others.

One column, `input_ids`, a list of exactly T ids a row (Arrow: fixed-size list), in the mixture's
order; causal language models there take `labels` equal to `input_ids` and shift them themselves.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpus.export.rows import Files, Rows, ranges


def write(rows: Rows, files: Files, shard_tokens: int) -> None:
    """Write `train/part-00000.parquet`, ... or the same of `val`."""
    for number, (first, last) in enumerate(ranges(rows, shard_tokens, rows.length)):
        name = f"{rows.split}/part-{number:05d}.parquet"
        files.publish(name, functools.partial(_part, rows, first, last))


def _part(rows: Rows, first: int, last: int, path: Path) -> None:
    ids = pa.from_numpy_dtype(rows.dtype.newbyteorder("="))
    schema = pa.schema([pa.field("input_ids", pa.list_(ids, rows.length), nullable=False)])
    # Ids hardly repeat in a page: a dictionary only makes it larger.
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as file:
        for block in rows.blocks(first, last):
            flat = np.ascontiguousarray(block[:, :-1]).reshape(-1)
            column = pa.FixedSizeListArray.from_arrays(pa.array(flat, ids), rows.length)
            file.write_batch(pa.record_batch([column], schema=schema))

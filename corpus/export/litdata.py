"""A mixture for litdata: chunks of one flat run of ids, and `index.json`.

Layout of a chunk (Lightning-AI/litdata, streaming/writer.py; little-endian)::

    u32      number of items, 1: the chunk is read as one run of ids
    u32[2]   where the item begins, 12, and where it ends
    ids      T + 1 a sequence

`TokensLoader(block_size=T + 1)` takes the ids of a chunk T + 1 at a time, so its blocks are the
sequences: T inputs, and each one's next token as target. No block lies across two chunks.
"""

from __future__ import annotations

import functools
import json
from typing import Any, BinaryIO

import numpy as np

from corpus.export.rows import Files, Rows, ranges

_HEADER_BYTES = 12
_FORMATS = {"uint16": "no_header_numpy:5", "int32": "no_header_numpy:2"}  # litdata/constants.py


def write(rows: Rows, files: Files, shard_tokens: int) -> None:
    """Write `train/chunk-0-0.bin`, ... and `train/index.json`, or the same of `val`."""
    width = rows.length + 1
    chunks: list[dict[str, Any]] = []
    for number, (first, last) in enumerate(ranges(rows, shard_tokens, width)):
        name = f"chunk-0-{number}.bin"
        files.write(f"{rows.split}/{name}", functools.partial(_chunk, rows, first, last))
        tokens = (last - first) * width
        size = tokens * rows.dtype.itemsize
        chunks.append({"chunk_bytes": size, "chunk_size": 1, "dim": tokens, "filename": name})
    config = {
        "chunk_bytes": max(int(chunk["chunk_bytes"]) for chunk in chunks),
        "chunk_size": None,
        "compression": None,
        "data_format": [_FORMATS[rows.dtype.name]],
        "data_spec": None,
        "encryption": None,
        "item_loader": "TokensLoader",
    }
    index = json.dumps({"chunks": chunks, "config": config}, sort_keys=True).encode()
    files.write(f"{rows.split}/index.json", functools.partial(_index, index))


def _index(data: bytes, file: BinaryIO) -> None:
    file.write(data)


def _chunk(rows: Rows, first: int, last: int, file: BinaryIO) -> None:
    size = (last - first) * (rows.length + 1) * rows.dtype.itemsize
    file.write(np.array([1, _HEADER_BYTES, _HEADER_BYTES + size], "<u4").data)
    for block in rows.blocks(first, last):
        file.write(np.ascontiguousarray(block, dtype=rows.dtype).data)

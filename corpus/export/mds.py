"""A mixture for Mosaic's streaming: `.mds` shards of one column, `tokens`, and `index.json`.

Layout of a shard (mosaicml/streaming, base/format/mds/writer.py; little-endian)::

    u32      number of samples n
    u32[n+1] where each sample begins, from the start of the file, and where the last ends
    JSON     the configuration of the writer, keys in order
    samples  T ids each: `ndarray:uint16:T` has no header of its own

`index.json` has the version, 2, and an entry a shard with its size and SHA-256, which the reader
compares (`validate_hash="sha256"`). llm-foundry makes the targets from the T ids of a sample.
"""

from __future__ import annotations

import functools
import json
from typing import Any, BinaryIO

import numpy as np

from corpus.export.rows import Files, Rows, ranges


def write(rows: Rows, files: Files, shard_tokens: int) -> None:
    """Write `train/shard.00000.mds`, ... and `train/index.json`, or the same of `val`."""
    config = _config(rows)
    shards: list[dict[str, Any]] = []
    for number, (first, last) in enumerate(ranges(rows, shard_tokens, rows.length)):
        basename = f"shard.{number:05d}.mds"
        made = files.write(
            f"{rows.split}/{basename}", functools.partial(_shard, rows, config, first, last)
        )
        data = {"basename": basename, "bytes": made["bytes"], "hashes": {"sha256": made["sha256"]}}
        shards.append({**config, "samples": last - first, "raw_data": data, "zip_data": None})
    index = json.dumps({"version": 2, "shards": shards}, sort_keys=True).encode()
    files.write(f"{rows.split}/index.json", functools.partial(_index, index))


def _index(data: bytes, file: BinaryIO) -> None:
    file.write(data)


def _config(rows: Rows) -> dict[str, Any]:
    return {
        "version": 2,
        "format": "mds",
        "compression": None,
        "hashes": ["sha256"],
        "size_limit": None,
        "column_names": ["tokens"],
        "column_encodings": [f"ndarray:{rows.dtype.name}:{rows.length}"],
        "column_sizes": [rows.length * rows.dtype.itemsize],
    }


def _shard(rows: Rows, config: dict[str, Any], first: int, last: int, file: BinaryIO) -> None:
    text = json.dumps(config, sort_keys=True).encode()
    samples = last - first
    offsets = np.arange(samples + 1, dtype=np.int64) * (rows.length * rows.dtype.itemsize)
    offsets += 4 + 4 * (samples + 1) + len(text)
    file.write(np.array([samples], "<u4").data)
    file.write(offsets.astype("<u4").data)
    file.write(text)
    for block in rows.blocks(first, last):
        file.write(np.ascontiguousarray(block[:, :-1], dtype=rows.dtype).data)

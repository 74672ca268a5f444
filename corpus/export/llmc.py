"""A mixture for llm.c and modded-nanogpt: `.bin` files with a header of 256 integers.

Layout (karpathy/llm.c, dev/data/data_common.py and llmc/dataloader.h; little-endian)::

    int32[256]  magic 20240520, version 1, number of tokens n, zeros   (uint16 ids)
                magic 20240801, version 7, n, zeros                     (uint32 ids)
    ids         n of them

A file holds k sequences end to end and one token more: the reader takes batches of B*T tokens and
the token behind each as the last target, so without it the last batch of each file would be lost.
End of text follows each document, as everywhere here; llm.c's own scripts write it before each one,
which is the same stream but for the first token of a file.
"""

from __future__ import annotations

import functools
from typing import BinaryIO

import numpy as np

from corpus.export.rows import Files, Rows, ranges

_HEADER = 256
_KINDS = {2: (20240520, 1), 4: (20240801, 7)}  # by bytes an id: magic and version


def write(rows: Rows, files: Files, shard_tokens: int) -> None:
    """Write `train_000000.bin`, ... or `val_000000.bin`, ...; a trainer takes `train_*.bin`."""
    for number, (first, last) in enumerate(ranges(rows, shard_tokens, rows.length)):
        name = f"{rows.split}_{number:06d}.bin"
        files.write(name, functools.partial(_shard, rows, first, last))


def _shard(rows: Rows, first: int, last: int, file: BinaryIO) -> None:
    magic, version = _KINDS[rows.dtype.itemsize]
    header = np.zeros(_HEADER, "<i4")
    header[:3] = magic, version, (last - first) * rows.length + 1
    file.write(header.data)
    ids = "<u2" if rows.dtype.itemsize == 2 else "<u4"
    for block in rows.blocks(first, last):
        file.write(np.ascontiguousarray(block[:, :-1], dtype=ids).data)
    file.write(np.ascontiguousarray(block[-1:, -1], dtype=ids).data)

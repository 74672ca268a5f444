"""A mixture for OLMo and OLMo-core: `.npy` files of ids without a header, `.csv.gz` beside them.

OLMo (allenai/OLMo-core, data/numpy_dataset.py; allenai/dolma, `dolma tokens`) maps a file that is
named `.npy` and is the ids alone, and cuts it into sequences of its `sequence_length`: with T of
them these are the mixture's sequences. The metadata, gzip-compressed CSV without a header, has a
line for each stretch of a document: `start,end,id,src,loc`. Here `src` is the token shard, `loc`
the token in it that the stretch begins with (`corpus explain SRC --token LOC` tells the document's
story) and `id` both together.
"""

from __future__ import annotations

import csv
import functools
import gzip
import io
from typing import BinaryIO

import numpy as np

from corpus.export.rows import Files, Rows, ranges


def write(rows: Rows, files: Files, shard_tokens: int) -> None:
    """Write `train/part-000000.npy`, `train/part-000000.csv.gz`, ... or the same of `val`."""
    for number, (first, last) in enumerate(ranges(rows, shard_tokens, rows.length)):
        name = f"{rows.split}/part-{number:06d}"
        files.write(f"{name}.npy", functools.partial(_ids, rows, first, last))
        files.write(f"{name}.csv.gz", functools.partial(_metadata, rows, first, last))


def _ids(rows: Rows, first: int, last: int, file: BinaryIO) -> None:
    # It has no int32: ids are not negative, so the bytes of int32 are those of uint32.
    for block in rows.blocks(first, last):
        file.write(np.ascontiguousarray(block[:, :-1], dtype=rows.dtype).data)


def _metadata(rows: Rows, first: int, last: int, file: BinaryIO) -> None:
    # No name and no time in the header: equal builds give equal files.
    with (
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        io.TextIOWrapper(packed, "utf-8", newline="") as text,
    ):
        lines = csv.writer(text, lineterminator="\n")
        start = 0
        for block in rows.blocks(first, last):
            inputs = block[:, :-1]
            for piece in rows.pieces(first + start // rows.length, inputs):
                begin, end = start + piece.start, start + piece.end
                lines.writerow(
                    [begin, end, f"{piece.shard}:{piece.token}", piece.shard, piece.token]
                )
            start += inputs.size

"""A mixture for datatrove and nanotron: `.ds` files of ids, with `.ds.index` and `.ds.metadata`.

Layout (huggingface/datatrove, pipeline/tokens/tokenizer.py; little-endian)::

    .ds           the ids alone, uint16 or uint32
    .ds.index     u64[n]: where each stretch of a document ends, in tokens
    .ds.metadata  three lines: tokenizer and bytes an id, number of tokens, the number in words

`DatatroveFolderDataset(seq_len=T)` takes T + 1 ids at a time, which are the sequences. Documents
are cut where a sequence ends, so that positions begin at 0 in every one of them.
"""

from __future__ import annotations

import functools
from typing import BinaryIO

import numpy as np

from corpus.export.rows import Files, Rows, ranges

_UNITS = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


def write(rows: Rows, files: Files, shard_tokens: int) -> None:
    """Write `train/part-00000.ds` and its two side files, ... or the same of `val`."""
    width = rows.length + 1
    for number, (first, last) in enumerate(ranges(rows, shard_tokens, width)):
        name = f"{rows.split}/part-{number:05d}.ds"
        files.write(name, functools.partial(_ids, rows, first, last))
        files.write(f"{name}.index", functools.partial(_index, rows, first, last))
        text = metadata(rows.vocabulary.name, rows.dtype.itemsize, (last - first) * width)
        files.write(f"{name}.metadata", functools.partial(_text, text))


def _ids(rows: Rows, first: int, last: int, file: BinaryIO) -> None:
    for block in rows.blocks(first, last):
        file.write(np.ascontiguousarray(block, dtype=rows.dtype).data)


def _index(rows: Rows, first: int, last: int, file: BinaryIO) -> None:
    start = 0
    for block in rows.blocks(first, last):
        ends = block == rows.vocabulary.end_of_text
        ends[:, -1] = True
        file.write((start + 1 + np.flatnonzero(ends)).astype("<u8").data)
        start += block.size


def _text(text: str, file: BinaryIO) -> None:
    file.write(text.encode())


def metadata(tokenizer: str, token_bytes: int, tokens: int) -> str:
    """Return the content of `.ds.metadata`; readers take the first two lines."""
    words = f"{tokens} T"
    for unit, letter in _UNITS:
        if tokens >= unit:
            words = f"{tokens / unit:.3g} {letter}T"
            break
    return f"{tokenizer}|{token_bytes}\n{tokens}\n{words}"

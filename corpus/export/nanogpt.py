"""A mixture for nanoGPT: `train.bin` and `val.bin`, uint16 ids and nothing else.

`train.bin` (karpathy/nanoGPT, train.py) is the sequences of the run in the mixture's order, T
tokens each, end to end; nanoGPT draws its own windows from them, so its batches have the mixture's
shares but not its order. `val.bin` is the held-out shards of all sources in order.
"""

from __future__ import annotations

import functools
from typing import BinaryIO

import numpy as np

from corpus.errors import InputError
from corpus.export.rows import SPLITS, Files, Rows
from corpus.trainer.sequences import MixtureSequences

_TOKENS = 1 << 20  # held-out tokens that are copied at a time


def write(sequences: MixtureSequences, files: Files, split: str | None) -> None:
    """Write both files, or that of one split.

    Raises:
        InputError: The ids are not uint16, or `val.bin` is wanted and nothing is held out.
    """
    vocabulary = sequences.mixture.vocabulary
    if sequences.mixture.dtype != "uint16":
        raise InputError(
            f"nanoGPT reads uint16 ids, and these are {sequences.mixture.dtype}",
            where=files.folder,
            why=f"The vocabulary {vocabulary.name} has {vocabulary.size:,} ids",
            fix="Export for Megatron, or tokenize with a vocabulary below 65,500 ids",
        )
    if split != "train" and not any(s.validation for s in sequences.mixture.sources):
        raise InputError(
            "no tokens are held out, and nanoGPT does not start without val.bin",
            where=files.folder,
            fix="Set mix.validation above 0 and run corpus mix again, or add --split train",
        )
    for name in [split] if split else SPLITS:
        content = _training if name == "train" else _held_out
        files.write(f"{name}.bin", functools.partial(content, sequences))


def _training(sequences: MixtureSequences, file: BinaryIO) -> None:
    rows = Rows(sequences, "train")
    for block in rows.blocks(0, rows.total):
        file.write(np.ascontiguousarray(block[:, :-1], dtype="<u2").data)


def _held_out(sequences: MixtureSequences, file: BinaryIO) -> None:
    for source in range(len(sequences.sources)):
        stream = sequences.stream(source, held_out=True)
        for first in range(0, len(stream), _TOKENS):
            tokens = stream.read(first, min(_TOKENS, len(stream) - first))
            file.write(np.ascontiguousarray(tokens, dtype="<u2").data)

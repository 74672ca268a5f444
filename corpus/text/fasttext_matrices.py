"""The bytes of a fastText model in order, and the matrices in them, dense or quantised."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.errors import InputError

FIX = "Name a supervised model as fastText saves it: model.bin or model.ftz"

_CENTROIDS = 256
_MAXIMUM_OUTPUT = 1 << 28  # floats of the output matrix, which is unpacked when it is quantised

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Quantised:
    """A matrix by product quantisation: a byte for each part of a row.

    Attributes:
        codes: uint8, row after row.
        centroids: float32, those of each part after another.
        norm_codes: uint8, one a row; nothing when norms are not apart.
        norms: float32, 256.
        parts: Parts of a row.
        width: Columns of a part.
        last: Columns of the last part.
    """

    codes: Bytes
    centroids: Floats
    norm_codes: Bytes
    norms: Floats
    parts: int
    width: int
    last: int


class Reader:
    """Reads a model's bytes in order; what is not there is an error and never an allocation."""

    def __init__(self, data: Bytes, where: str) -> None:
        self.data, self.where, self.at = data, where, 0

    def numbers(self, form: str) -> tuple[Any, ...]:
        """Return little-endian numbers by `struct`'s letters."""
        size = struct.calcsize(f"<{form}")
        return struct.unpack(f"<{form}", self.bytes(size).tobytes())

    def bytes(self, size: int) -> Bytes:
        """Return a view of the next bytes."""
        if not 0 <= size <= self.data.size - self.at:
            raise InputError(
                "the fastText model is cut short or damaged",
                where=self.where,
                why=f"It has {self.data.size:,} bytes, and {size:,} more were to follow byte "
                f"{self.at:,}",
                fix="Fetch the file again",
            )
        self.at += size
        return self.data[self.at - size : self.at]

    def floats(self, number: int) -> Floats:
        """Return a view of the next floats."""
        return self.bytes(4 * number).view(np.dtype("<f4"))

    def require(self, holds: bool, why: str) -> None:
        """Refuse a model whose numbers cannot be."""
        if not holds:
            raise InputError("the fastText model is damaged", where=self.where, why=why, fix=FIX)


def read_matrix(
    reader: Reader, rows: int, columns: int, *, may_be_quantised: bool
) -> tuple[Floats, Quantised, bool]:
    """Read a matrix, dense or quantised: the other of the two is empty."""
    none = reader.bytes(0)
    no_floats = none.view(np.float32)
    [flag] = reader.numbers("B")
    if not (flag and may_be_quantised):
        found = reader.numbers("2q")
        reader.require(found == (rows, columns), f"It has a matrix of {found[0]} × {found[1]}")
        values = reader.floats(rows * columns)
        return values, Quantised(none, no_floats, none, no_floats, 0, 0, 0), False
    has_norms, found_rows, found_columns, size = reader.numbers("Bqqi")
    shape = (found_rows, found_columns)
    reader.require(shape == (rows, columns), f"It has a matrix of {shape[0]} × {shape[1]}")
    codes = reader.bytes(size)
    of, parts, width, last = reader.numbers("4i")
    sound = of == columns and 0 < width <= columns and 0 < last <= width
    sound = sound and (parts - 1) * width + last == columns and size == rows * parts
    reader.require(sound, "Its quantised vectors do not have the parts that they should")
    centroids = reader.floats(columns * _CENTROIDS)
    norm_codes, norms = none, no_floats
    if has_norms:
        norm_codes = reader.bytes(rows)
        reader.require(reader.numbers("4i") == (1, 1, 1, 1), "Its quantised norms are damaged")
        norms = reader.floats(_CENTROIDS)
        reader.require(bool(np.isfinite(norms).all()), "Its quantised norms are not numbers")
    return no_floats, Quantised(codes, centroids, norm_codes, norms, parts, width, last), True


def read_output(reader: Reader, labels: int, dimension: int, quantised: bool) -> Floats:
    """Read the output matrix; a quantised one, which has a row a label, is unpacked."""
    dense, coded, packed = read_matrix(reader, labels, dimension, may_be_quantised=quantised)
    if not packed:
        return dense.reshape(labels, dimension)
    reader.require(labels * dimension <= _MAXIMUM_OUTPUT, f"It has {labels:,} labels")
    unpacked = np.empty((labels, dimension), np.float32)
    codes = coded.codes.reshape(labels, coded.parts)
    for part in range(coded.parts):
        start = part * coded.width
        own = coded.last if part == coded.parts - 1 else coded.width
        first = part * _CENTROIDS * coded.width
        centroids = coded.centroids[first : first + _CENTROIDS * own].reshape(_CENTROIDS, own)
        unpacked[:, start : start + own] = centroids[codes[:, part]]
    if coded.norm_codes.size:
        with np.errstate(all="ignore"):  # what comes of damaged centroids is found in the scores
            unpacked *= coded.norms[coded.norm_codes][:, np.newaxis]
    unpacked.flags.writeable = False
    return unpacked

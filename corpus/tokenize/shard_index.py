"""The index of a token shard: `.idx`, checked when it is opened.

The layout is told in corpus.tokenize.shard_writer.

In: the bytes of an index, mapped or read. Out: lengths, offsets and documents as arrays over them.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from corpus.errors import IntegrityError
from corpus.tokenize.shard_writer import DTYPES, HEADER, MAGIC


def damaged(where: str, why: str) -> IntegrityError:
    """Return the error of a shard that is not whole."""
    return IntegrityError(
        "the token shard is damaged", where=where, why=why, fix="Run corpus check"
    )


class ShardIndex:
    """An index.

    Args:
        data: Its bytes.
        where: Its path, for errors.

    Attributes:
        dtype: Dtype of the ids.
        bytes: Bytes of the tokens that it describes.

    Raises:
        IntegrityError: It is cut, or not an index of integers.
    """

    def __init__(self, data: npt.NDArray[np.uint8], *, where: str) -> None:
        self._data, self._where = data, where
        header = data[: HEADER.size].tobytes()
        if len(header) < HEADER.size or not header.startswith(MAGIC):
            raise damaged(where, "It does not start with the header of an index")
        _, version, code, self.sequences, self._indices = HEADER.unpack(header)
        if version != 1:
            raise damaged(where, f"Its version is {version}, not 1")
        if code not in DTYPES:
            raise damaged(where, f"Its dtype code {code} is not that of integers")
        self.dtype: np.dtype[Any] = np.dtype(DTYPES[code]).newbyteorder("<")
        expected = HEADER.size + 12 * self.sequences + 8 * self._indices
        if data.size != expected:
            raise damaged(where, f"It has {data.size:,} bytes, its header says {expected:,}")
        if not 1 <= self._indices <= self.sequences + 1:
            raise damaged(where, f"It counts {self._indices} document indices")
        self.bytes = 0
        if self.sequences:
            self.bytes = int(self.pointers[-1]) + int(self.lengths[-1]) * self.dtype.itemsize

    def _array(self, dtype: str, offset: int, count: int) -> npt.NDArray[Any]:
        return np.frombuffer(self._data, dtype, count, offset) if count else np.empty(0, dtype)

    @functools.cached_property
    def lengths(self) -> npt.NDArray[np.int32]:
        """Tokens of each sequence: int32 [sequences]."""
        return self._array("<i4", HEADER.size, self.sequences)

    @functools.cached_property
    def pointers(self) -> npt.NDArray[np.int64]:
        """Byte offset of each sequence: int64 [sequences]."""
        return self._array("<i8", HEADER.size + 4 * self.sequences, self.sequences)

    @functools.cached_property
    def document_offsets(self) -> npt.NDArray[np.int64]:
        """First token of each document, and the end: int64 [documents + 1].

        Raises:
            IntegrityError: The documents do not ascend.
        """
        offsets = np.zeros(self.sequences + 1, dtype=np.int64)
        np.cumsum(self.lengths, dtype=np.int64, out=offsets[1:])
        first = self._array("<i8", HEADER.size + 12 * self.sequences, self._indices)
        if first[0] or first[-1] != self.sequences or (np.diff(first) < 0).any():
            raise damaged(self._where, "Its document indices do not ascend from 0 to the end")
        return np.asarray(offsets[first])

    def __len__(self) -> int:
        return int(self._indices) - 1


def require_payload(index: ShardIndex, size: int, *, where: str) -> int:
    """Return the tokens in a `.bin` of so many bytes.

    Raises:
        IntegrityError: The index describes another.
    """
    if size != index.bytes:
        raise damaged(where, f"It has {size:,} bytes, its index says {index.bytes:,}")
    if size % index.dtype.itemsize:
        raise damaged(where, f"It ends inside a token of {index.dtype.itemsize} bytes")
    return size // index.dtype.itemsize

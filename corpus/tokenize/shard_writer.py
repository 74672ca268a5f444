r"""Writing token shards: the Megatron `.bin`/`.idx` pair, in one pass.

`.bin` holds the token ids of all documents and nothing else; `.idx` says where each document is.
Layout of `.idx` (Megatron-LM, megatron/core/datasets/indexed_dataset.py; little-endian, packed)::

    9 bytes  "MMIDIDX\0\0"        u64  number of sequences S
    u64      version, 1            u64  number of document indices D (documents + 1)
    u8       code of the dtype     i32[S] lengths in tokens, i64[S] byte offsets into .bin,
                                   i64[D] first sequence of each document, then S

Here a document is one sequence, so D = S + 1 and the last array counts from 0 to S. The table that
maps tokens to documents lies beside the pair (corpus.tokenize.document_table).

In: token ids per document. Out: files that megatron-core reads unchanged.
"""

from __future__ import annotations

import array
import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from corpus import storage
from corpus.errors import InputError

MAGIC = b"MMIDIDX\x00\x00"
HEADER = struct.Struct("<9sQBQQ")
# The integer codes of Megatron's DType; it has none for uint32. 6 and 7 are floats.
DTYPES = {1: np.uint8, 2: np.int8, 3: np.int16, 4: np.int32, 5: np.int64, 8: np.uint16}
_CODES = {np.dtype(dtype): code for code, dtype in DTYPES.items()}
CHUNK = 1 << 16  # documents whose index rows are computed at a time
_LONGEST = (1 << 31) - 1  # lengths are int32

Tokens = npt.NDArray[np.integer[Any]]


def token_dtype(vocabulary_size: int) -> np.dtype[Any]:
    """Return the dtype of the ids: uint16 below 65,500 tokens in the vocabulary, else int32.

    The rule of Megatron's builder (`DType.optimal_dtype`); a reader trusts the code in the header.
    """
    return np.dtype(np.uint16) if vocabulary_size < 65_500 else np.dtype(np.int32)


class ShardWriter:
    """Writes one shard, document by document, with four bytes of memory a document.

    The context manager closes the shard when its block ends well and removes it when it does not.

    Args:
        prefix: Path without suffix; `.bin` and `.idx` are added to it.
        vocabulary_size: Number of ids; sets the dtype and bounds the ids.
        index: Path of the index, where it is not `prefix` + ".idx".
    """

    def __init__(self, prefix: Path, *, vocabulary_size: int, index: Path | None = None) -> None:
        self.dtype = token_dtype(vocabulary_size)
        self.vocabulary_size = vocabulary_size
        self.tokens_total = 0
        self.lengths = array.array("i")
        self._bin = Path(f"{prefix}.bin")
        self._idx = index or Path(f"{prefix}.idx")
        self._file: BinaryIO = self._bin.open("wb", buffering=1 << 20)

    def write_document(self, tokens: Tokens) -> None:
        """Append one document: a one-dimensional array of ids. It may be empty.

        Raises:
            InputError: An id is outside the vocabulary, or the document has 2^31 tokens or more.
        """
        if tokens.ndim != 1 or tokens.dtype.kind not in "iu":
            raise TypeError(f"a document is one row of integers, not {tokens.dtype}{tokens.shape}")
        self._require_length(tokens.size)
        self._require_inside(tokens)
        self._write(np.ascontiguousarray(tokens, dtype=self.dtype.newbyteorder("<")))
        self.lengths.append(tokens.size)

    def write_documents(
        self, ids: npt.NDArray[np.uint32], ends: npt.NDArray[np.int64], end_of_text: int
    ) -> None:
        """Append documents, each with end of text behind it: the ids are looked at all at once.

        Args:
            ids: Their ids behind each other: uint32 [tokens].
            ends: Where each document ends in `ids`: int64 [documents].
            end_of_text: The id that ends a document.

        Raises:
            InputError: As for `write_document`.
        """
        lengths = np.diff(ends, prepend=0) + 1
        self._require_length(int(lengths.max(initial=0)))
        self._require_inside(ids)
        out = np.full(ids.size + ends.size, end_of_text, dtype=self.dtype.newbyteorder("<"))
        start = 0
        for number, end in enumerate(ends.tolist()):
            out[start + number : end + number] = ids[start:end]
            start = end
        self._write(out)
        self.lengths.extend(lengths.tolist())

    def _require_length(self, length: int) -> None:
        if length > _LONGEST:
            raise InputError(
                f"a document has {length:,} tokens",
                where=str(self._bin),
                why="The shard format holds at most 2,147,483,647 tokens a document",
            )

    def _require_inside(self, tokens: Tokens) -> None:
        if tokens.size:
            low = 0 if tokens.dtype.kind == "u" else int(tokens.min())
            high = int(tokens.max())
            if low < 0 or high >= self.vocabulary_size:
                raise InputError(
                    f"token {low if low < 0 else high} is outside the vocabulary",
                    where=str(self._bin),
                    why=f"The vocabulary has {self.vocabulary_size:,} ids",
                )

    def _write(self, tokens: Tokens) -> None:
        self._file.write(tokens.data)
        self.tokens_total += tokens.size

    def close(self) -> None:
        """Finish `.bin` and write `.idx`."""
        self._file.close()
        documents = len(self.lengths)
        lengths = np.frombuffer(self.lengths, dtype=np.int32) if documents else np.empty(0, "<i4")
        with self._idx.open("wb") as file:
            file.write(HEADER.pack(MAGIC, 1, _CODES[self.dtype], documents, documents + 1))
            file.write(lengths.astype("<i4", copy=False).data)
            offset = 0
            for first in range(0, documents, CHUNK):
                ends = offset + np.cumsum(lengths[first : first + CHUNK], dtype=np.int64)
                starts = np.concatenate([[offset], ends[:-1]]) * self.dtype.itemsize
                file.write(starts.astype("<i8").data)
                offset = int(ends[-1])
            for first in range(0, documents + 1, CHUNK):
                last = min(first + CHUNK, documents + 1)
                file.write(np.arange(first, last, dtype="<i8").data)

    def abort(self) -> None:
        """Remove what was written."""
        self._file.close()
        self._bin.unlink(missing_ok=True)
        self._idx.unlink(missing_ok=True)

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


@contextlib.contextmanager
def publish(prefix: str, *, vocabulary_size: int) -> Iterator[ShardWriter]:
    """Yield a writer whose files appear as `prefix`.bin, then `prefix`.idx, when the block ends.

    The index comes last: where there is one, its shard is whole.
    """
    with (
        storage.publish(f"{prefix}.idx") as index,
        storage.publish(f"{prefix}.bin") as data,
        ShardWriter(
            Path(str(data).removesuffix(".bin")), vocabulary_size=vocabulary_size, index=index
        ) as writer,
    ):
        yield writer

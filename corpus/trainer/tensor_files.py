"""Tensors into safetensors files and out of them, one at a time.

A safetensors file is the length of a header (8 bytes, little-endian), the header (JSON: type, shape
and place of each tensor by name), and the tensors' bytes. All of the header is known from types and
shapes, so the tensors may come one after the other, in parts too, and none has to stay for the
next one. The bytes are those that the library of that name writes for the same tensors.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from corpus import storage
from corpus.errors import InputError, IntegrityError

_TYPES = {torch.float32: "F32"}  # all that is written here
_ALIGNMENT = 8  # of the first tensor, with spaces behind the header


def file_order(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return the names of tensors in the order in which they lie in a file."""
    return sorted(tensors)


def write_tensors(
    like: Mapping[str, Tensor],
    values: Iterable[Tensor],
    path: Path,
    *,
    metadata: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Write a safetensors file.

    Args:
        like: Tensors of the names, types and shapes of those to write; their values do not matter.
        values: What to write, on the CPU, in `file_order`; taken one by one. A tensor may come in
            parts, its first rows first.
        path: Where.
        metadata: Strings for the header.

    Returns:
        Bytes and SHA-256 of the file, computed on the way.

    Raises:
        OSError: The disk is full, or does not take the file for another reason.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name in file_order(like):
        tensor = like[name]
        begin, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _TYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    hasher = hashlib.sha256()
    with path.open("wb") as file:
        for data in (len(text).to_bytes(8, "little"), text):
            file.write(data)
            hasher.update(data)
        for value in values:
            array: Any = value.detach().contiguous().numpy().reshape(-1).view(np.uint8)
            file.write(array)
            hasher.update(array)
            del value, array  # before the next one is there
        size = file.tell()
    if size != 8 + len(text) + end:
        raise ValueError(f"{size} bytes were written, and the header is of {8 + len(text) + end}")
    return size, hasher.hexdigest()


@dataclass(frozen=True, slots=True)
class TensorFile:
    """A safetensors file that tensors are read from, the rows that are wanted and no more.

    Attributes:
        path: Where it lies, or where it was copied from.
        local: Where it is read.
        shapes: Of its tensors, by name.
    """

    path: str
    local: Path
    shapes: Mapping[str, tuple[int, ...]]

    def read(self, name: str, rows: slice, to: Tensor) -> None:
        """Copy some rows of a tensor, or one that is a number, to a tensor on any device.

        Raises:
            IntegrityError: The file cannot be read.
        """
        if not to.numel():
            return
        # Opened each time: what was read stays mapped, and counts as memory, until it is closed.
        with _safetensors(self.path), safe_open(self.local, "pt") as file:
            to.copy_(file.get_slice(name)[rows] if self.shapes[name] else file.get_tensor(name))


@contextlib.contextmanager
def open_tensors(path: str) -> Iterator[TensorFile]:
    """Yield a safetensors file, of which the header is read and nothing else.

    Raises:
        InputError: It is missing or cannot be read.
        IntegrityError: It is not safetensors.
    """
    with storage.local_copy(path) as local:
        with _safetensors(path), safe_open(local, "pt") as file:
            names = file.keys()
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
        yield TensorFile(path, local, shapes)


@contextlib.contextmanager
def _safetensors(path: str) -> Iterator[None]:
    """Raise what the library raises as errors for a person."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError("there is no such file", where=path, fix="Check the path") from error
    except (SafetensorError, OSError) as error:
        raise IntegrityError(
            "the file cannot be read as safetensors", where=path, why=str(error)
        ) from error

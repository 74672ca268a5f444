"""Tensor files: the bytes that safetensors writes, read row by row, and a disk that is full."""

from __future__ import annotations

import hashlib
import resource
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from corpus import storage
from corpus.errors import InputError, IntegrityError, OutputError
from corpus.trainer.tensor_files import file_order, open_tensors, write_tensors

TENSORS = {
    "h.10.weight": torch.arange(12.0).view(4, 3),
    "h.2.weight/step": torch.tensor(7.0),
    "h.2.weight": torch.arange(5.0) / 3,
    "ü": torch.arange(24.0).view(2, 3, 4)[:, :, ::2],
}


def write(path: Path, metadata: dict[str, str] | None = None) -> tuple[int, str]:
    values = (TENSORS[name] for name in file_order(TENSORS))
    return write_tensors(TENSORS, values, path, metadata=metadata)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_bytes_are_those_that_safetensors_writes(
    tmp_path: Path, metadata: dict[str, str] | None
) -> None:
    path = tmp_path / "model.safetensors"
    contiguous = {name: tensor.contiguous() for name, tensor in TENSORS.items()}
    expected = save(contiguous, metadata=metadata)

    size, digest = write(path, metadata)

    assert path.read_bytes() == expected
    assert (size, digest) == (len(expected), hashlib.sha256(expected).hexdigest())
    for name, tensor in load_file(path).items():
        assert torch.equal(tensor, TENSORS[name]), name


def test_one_tensor_is_there_at_a_time(tmp_path: Path) -> None:
    alive: list[weakref.ref[Tensor]] = []

    def values() -> Iterator[Tensor]:
        for name in file_order(TENSORS):
            assert not any(made() is not None for made in alive)
            alive.append(weakref.ref(made := TENSORS[name].clone()))
            yield made
            del made

    write_tensors(TENSORS, values(), tmp_path / "model.safetensors")

    assert len(alive) == len(TENSORS)


def test_a_tensor_may_come_in_parts_and_has_to_be_whole(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    tensors = {"a": torch.arange(12.0).view(4, 3)}

    write_tensors(tensors, tensors["a"].chunk(3), path)

    assert torch.equal(load_file(path)["a"], tensors["a"])
    with pytest.raises(ValueError, match="bytes were written"):
        write_tensors(tensors, [tensors["a"][:3]], path)


def test_rows_are_read_and_nothing_else_is_changed(tmp_path: Path) -> None:
    write(tmp_path / "model.safetensors")
    part, number, nothing = torch.zeros(2, 3), torch.tensor(0.0), torch.zeros(0, 3)

    with open_tensors(str(tmp_path / "model.safetensors")) as file:
        assert file.shapes == {name: tuple(tensor.shape) for name, tensor in TENSORS.items()}
        file.read("h.10.weight", slice(1, 3), part)
        file.read("h.10.weight", slice(4, 4), nothing)
        file.read("h.2.weight/step", slice(0, 0), number)

    assert part.tolist() == [[3.0, 4.0, 5.0], [6.0, 7.0, 8.0]]
    assert number.item() == 7


def test_what_is_no_tensor_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"no header at all")

    with pytest.raises(IntegrityError, match="text: the file cannot be read as safetensors"):
        open_tensors(str(tmp_path / "text")).__enter__()
    with pytest.raises(InputError, match="nothing: there is no such file"):
        open_tensors(str(tmp_path / "nothing")).__enter__()


def test_a_full_disk_is_an_output_error(tmp_path: Path) -> None:
    """The limit on a file's size, which the system reports as it does a full disk."""
    path = tmp_path / "model.safetensors"
    tensors = {"a": torch.zeros(1 << 16)}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        with (
            pytest.raises(OutputError, match=r"File too large.*Free some space") as caught,
            storage.publish(str(path)) as temporary,
        ):
            write_tensors(tensors, tensors.values(), temporary)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert caught.value.where == str(path)
    assert list(tmp_path.iterdir()) == []

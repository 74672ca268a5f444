"""Tensors that cannot be written: an error of the disk, and not a defect."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from corpus import storage
from corpus.errors import OutputError
from corpus.trainer import tensor_files

FULL = "Error while serializing: I/O error: No space left on device (os error 28)"


def refuse(*arguments: object, **named: object) -> None:
    raise SafetensorError(FULL)


def publish(path: Path) -> None:
    with storage.publish(str(path)) as temporary:
        tensor_files.save_tensors({"a": torch.zeros(4)}, temporary)


def test_a_full_disk_is_an_output_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_files, "save_file", refuse)

    with pytest.raises(OutputError, match="No space left") as caught:
        publish(tmp_path / "model.safetensors")

    assert caught.value.where == str(tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []

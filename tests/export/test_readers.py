"""Files of sequences in their own readers, where those are installed: every token agrees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.export.test_token_files import END, made, write


@pytest.mark.parametrize("split", ["train", "val"])
def test_datatrove_reads_the_sequences_and_their_positions(split: str, tmp_path: Path) -> None:
    dataset = pytest.importorskip("datatrove.utils.dataset", exc_type=ImportError)
    sequences = made(tmp_path)
    rows = write(sequences, tmp_path / "out", "datatrove", split, shard_tokens=80)
    assert rows.digests
    read = dataset.DatatroveFolderDataset(
        str(tmp_path / "out" / split), seq_len=4, filename_pattern="*.ds", return_positions=True
    )
    count = 101 if split == "train" else 2
    expected = sequences.read(np.arange(count), held_out=split == "val").tolist()
    found = [read[number] for number in range(len(read))]
    assert [row["input_ids"].tolist() for row in found] == expected
    for row, ids in zip(found, expected, strict=True):
        positions = [0]
        for token in ids[:-1]:
            positions.append(0 if token == END else positions[-1] + 1)
        assert row["positions"].tolist() == positions


@pytest.mark.parametrize("split", ["train", "val"])
def test_litdata_reads_the_sequences(split: str, tmp_path: Path) -> None:
    litdata = pytest.importorskip("litdata")
    sequences = made(tmp_path)
    write(sequences, tmp_path / "out", "litdata", split, shard_tokens=80)
    read = litdata.StreamingDataset(
        str(tmp_path / "out" / split), item_loader=litdata.TokensLoader(block_size=5)
    )
    count = 101 if split == "train" else 2
    found = [np.asarray(read[number]).tolist() for number in range(len(read))]
    assert found == sequences.read(np.arange(count), held_out=split == "val").tolist()


@pytest.mark.parametrize("split", ["train", "val"])
def test_mds_reader_reads_the_sequences(split: str, tmp_path: Path) -> None:
    streaming = pytest.importorskip("streaming")
    sequences = made(tmp_path)
    write(sequences, tmp_path / "out", "mds", split, shard_tokens=80)
    read = streaming.LocalDataset(str(tmp_path / "out"), split=split)
    count = 101 if split == "train" else 2
    found = [read[number]["tokens"].tolist() for number in range(len(read))]
    assert found == sequences.read(np.arange(count), held_out=split == "val")[:, :-1].tolist()

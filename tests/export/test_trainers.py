"""Mixtures in the trainers that they are for, where those are installed: every token agrees."""

from __future__ import annotations

import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus import storage
from corpus.export import megatron
from corpus.export.rows import Files
from corpus.trainer.sequences import MixtureSequences
from tests.export.test_token_files import END, made, write


def imported(name: str) -> Any:
    """Import a library that warns of what it would rather have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, exc_type=ImportError)


@pytest.mark.parametrize("split", ["train", "val"])
def test_olmo_core_reads_the_sequences_and_where_documents_end(split: str, tmp_path: Path) -> None:
    data = imported("olmo_core.data")
    sequences = made(tmp_path)
    rows = write(sequences, tmp_path / "out", "olmo", split, shard_tokens=80)
    paths = sorted(str(path) for path in (tmp_path / "out" / split).glob("*.npy"))
    assert len(paths) == len([name for name in rows.digests if name.endswith(".npy")])
    dataset = data.NumpyFSLDataset(
        *paths,
        sequence_length=4,
        pad_token_id=END,
        eos_token_id=END,
        vocab_size=16,
        generate_doc_lengths=True,
    )
    dataset.work_dir = tmp_path / "work"
    dataset.prepare()
    count = 101 if split == "train" else 2
    expected = sequences.read(np.arange(count), held_out=split == "val")[:, :-1].tolist()
    found = [dataset[number] for number in range(len(dataset))]
    assert [row["input_ids"].tolist() for row in found] == expected
    for row, ids in zip(found, expected, strict=True):
        ends = [number + 1 for number, token in enumerate(ids) if token == END]
        bounds = sorted({0, *ends, len(ids)})
        assert row["doc_lens"].tolist() == np.diff(bounds).tolist()


def exported(folder: Path) -> tuple[MixtureSequences, Path]:
    sequences = made(folder)
    out = folder / "out"
    megatron.write(sequences, Files(str(out), False, lambda line: None), None)
    return sequences, out


def test_megatron_core_reads_every_document_of_every_shard(tmp_path: Path) -> None:
    indexed = imported("megatron.core.datasets.indexed_dataset")
    sequences, out = exported(tmp_path)
    for number, source in enumerate(sequences.sources):
        tokens: list[int] = []
        for part in ("part-0", "part-1"):
            shard = indexed.IndexedDataset(str(out / source / part))
            documents = [shard[place].tolist() for place in range(len(shard))]
            assert all(document[-1] == END for document in documents)
            tokens += [token for document in documents for token in document]
        stream = sequences.stream(number)
        assert tokens == stream.read(0, len(stream)).tolist()


def test_megatron_core_blends_the_shards_by_the_weights(tmp_path: Path) -> None:
    gpt = imported("megatron.core.datasets.gpt_dataset")
    blended = imported("megatron.core.datasets.blended_megatron_dataset_builder")
    sequences, out = exported(tmp_path)
    blend = storage.read_bytes(str(out / "blend.txt")).decode().split()
    prefixes, weights = blend[1::2], [float(weight) for weight in blend[::2]]
    parts = [f"{out}/{name}/part-{number}" for name in ("a", "b") for number in (0, 1)]
    assert prefixes == parts  # and not those that are held out
    tokenizer = types.SimpleNamespace(
        eod=END, pad=15, vocab_size=16, unique_identifiers={"name": "test"}
    )
    config = gpt.GPTDatasetConfig(
        random_seed=1,
        sequence_length=4,
        blend_per_split=[(prefixes, weights), None, None],
        tokenizer=tokenizer,
        reset_position_ids=False,
        reset_attention_mask=False,
        eod_mask_loss=False,
        create_attention_mask=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train, _, _ = blended.BlendedMegatronDatasetBuilder(
            gpt.GPTDataset, [400, 0, 0], lambda: True, config
        ).build()
        rows = [train[number] for number in range(400)]
    drawn = np.bincount(train.dataset_index[:400], minlength=len(prefixes)) / 400
    assert np.abs(drawn - np.array(weights) / sum(weights)).max() < 0.01
    streams = []
    for number in range(len(sequences.sources)):
        stream = sequences.stream(number)
        streams.append(set(stream.read(0, len(stream)).tolist()))
    for row in rows:
        assert row["tokens"].tolist()[1:] == row["labels"].tolist()[:-1]
        assert set(row["tokens"].tolist()) <= set.union(*streams)

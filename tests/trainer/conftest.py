"""What the trainer's tests share: one thread, a small model, and a small mix on disk."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from corpus import storage
from corpus.mix import mixture
from corpus.text import tokenizer
from corpus.tokenize import shards
from corpus.trainer.model import GPT
from corpus.trainer.presets import Architecture

NOUNS = ["cat", "dog", "bird", "house", "tree", "river"]
WORDS = [*NOUNS, "the", "a", "sees", "hears", "likes", "small", "old", "red", "and", "in", "on"]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Small tensors gain nothing from threads, and machines under test have few cores."""
    torch.set_num_threads(1)


@pytest.fixture
def shape() -> Architecture:
    return Architecture(n_layer=2, n_head=4, d_model=32, context=16, vocabulary_size=61)


@pytest.fixture
def model(shape: Architecture) -> GPT:
    return GPT.create(shape, dropout=0.0, seed=7)


def write_vocabulary(path: Path) -> tokenizer.Tokenizer:
    """Write a vocabulary of the 256 bytes, without merges, and load it."""
    lines = [b"%s %d\n" % (base64.b64encode(bytes([byte])), byte) for byte in range(256)]
    path.write_bytes(b"".join(lines))
    return tokenizer.load(str(path))


def write_shard(
    folder: Path, path: str, texts: Sequence[str], encoder: tokenizer.Tokenizer
) -> mixture.ShardEntry:
    """Write one shard beside the mix and return its entry."""
    prefix = folder / path
    with shards.publish(str(prefix), vocabulary_size=encoder.vocabulary_size) as writer:
        for tokens in encoder.encode(texts):
            writer.write_document(np.append(tokens, encoder.end_of_text))
    size, digest = storage.digest(f"{prefix}.bin")
    return mixture.ShardEntry(f"{path}.bin", size // 2, digest)


def sentences(count: int, *, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(WORDS, size=12)) + "." for _ in range(count)]


def write_mixture(folder: Path, *, seed: int = 1, sequence_length: int = 16) -> str:
    """Write a mix of two sources, 3 to 1, one in two shards, with held-out sequences; its path."""
    encoder = write_vocabulary(folder / "bytes.tiktoken")
    sources = []
    for name, weight in (("prose", 0.75), ("verse", 0.25)):
        parts = tuple(
            write_shard(folder, f"{name}/part-{part}", sentences(20, seed=part), encoder)
            for part in range(2)
        )
        held = write_shard(folder, f"{name}/held", sentences(3, seed=9), encoder)
        tokens = sum(part.tokens for part in parts)
        windows = mixture.windows(tokens, sequence_length)
        sources.append(mixture.MixtureSource(name, weight, weight, tokens, windows, parts, (held,)))
    made = mixture.Mixture(
        seed=seed,
        sequence_length=sequence_length,
        block=16,
        horizon=100,
        dtype="uint16",
        vocabulary=mixture.Vocabulary(
            "bytes.tiktoken",
            encoder.vocabulary_size,
            encoder.digest,
            encoder.end_of_text,
        ),
        sources=tuple(sources),
    )
    path = folder / "mixture.json"
    path.write_text(json.dumps(made.to_json()))
    return str(path)


@pytest.fixture
def mix(tmp_path: Path) -> str:
    """Return the path of a small `mixture.json`."""
    folder = tmp_path / "mix"
    folder.mkdir()
    return write_mixture(folder)


@pytest.fixture
def write_mix(tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes one more mix, with the settings of `write_mixture`."""

    def write(**settings: int) -> str:
        folder = tmp_path / f"mix-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return write_mixture(folder, **settings)

    return write

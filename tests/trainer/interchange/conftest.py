"""Trained models of the three kinds, as checkpoints: all parameters drawn, biases too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from corpus.text import bpe_training
from corpus.trainer import checkpoint
from corpus.trainer.model import GPT
from corpus.trainer.optimizer import adamw
from corpus.trainer.presets import Architecture
from tests.trainer.test_model import shake

TEXT = "the cat sees the dog and the dog hears the bird in the old tree über naïve 3.14"
KINDS: dict[str, dict[str, Any]] = {
    "openai-gpt": {"post_norm": True},
    "gpt2": {},
    "gpt_neo": {"window": 5},
}


def write_run(folder: Path, **change: Any) -> Path:
    """Write a run with one checkpoint, of a model of 300 tokens and 4 layers, and return it."""
    tokens = bpe_training.train(Counter(f" {word}".encode() for word in 3 * TEXT.split()), 300)
    vocabulary = len(tokens) + 1
    sizes = {"n_layer": 4, "n_head": 4, "d_model": 32, "context": 24}
    shape = Architecture(vocabulary_size=vocabulary, **(sizes | change))
    model = shake(GPT.create(shape, dropout=0.1, seed=7))
    checkpoint.save(
        str(folder),
        step=9,
        model=model,
        optimizer=adamw(model, weight_decay=0.0, beta1=0.9, beta2=0.95, epsilon=1e-8),
        loader={"position": 3, "mixture": "abc"},
        settings={f"model.{name}": value for name, value in asdict(shape).items()}
        | {"dropout": 0.1},
        vocabulary=bpe_training.ranks_file(tokens),
        keep=1,
    )
    return folder


@pytest.fixture
def run_of(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a run of a kind, or of changed sizes."""

    def write(kind: str = "gpt2", **change: Any) -> Path:
        return write_run(tmp_path / f"run-{kind}", **(KINDS[kind] | change))

    return write

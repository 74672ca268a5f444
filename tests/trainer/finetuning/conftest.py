"""What the tests of fine-tuning share: a pretrained model on disk, and tasks about its words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus.text.tokenizer import Tokenizer
from corpus.trainer.config import TrainConfig
from corpus.trainer.finetuning.config import FinetuneConfig, Kind
from corpus.trainer.loop import train
from tests.trainer.conftest import NOUNS, write_mixture, write_vocabulary

FIELDS: dict[Kind, dict[str, Any]] = {
    "classification": {"text": "text", "label": "label"},
    "entailment": {"first": "first", "second": "second", "label": "label"},
    "similarity": {"first": "first", "second": "second", "label": "label"},
    "multiple_choice": {"question": "text", "choices": "choices", "answer": "answer"},
}


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the output folder of a small trained model with a context of 32 bytes."""
    return pretrain(tmp_path_factory.mktemp("pretrained"))


def pretrain(folder: Path, **shape: Any) -> str:
    """Train a small model of GPT-2's shape, or with other fields of the shape; its folder."""
    (folder / "mix").mkdir(parents=True)
    recipe = {
        "mixture": write_mixture(folder / "mix", sequence_length=32),
        "output": str(folder / "model"),
        "seed": 3,
        "device": "cpu",
        "model": {"n_layer": 2, "n_head": 2, "d_model": 32, "context": 32, **shape},
        "steps": 8,
        "batch_sequences": 4,
        "optimizer": {"learning_rate": 1e-2, "warmup_tokens": 200},
        "sample": {"tokens": 4},
    }
    return train(TrainConfig.model_validate(recipe), report=lambda step: None).output


@pytest.fixture
def encoder(tmp_path: Path) -> Tokenizer:
    """Return the vocabulary of the 256 bytes, without merges."""
    return write_vocabulary(tmp_path / "bytes.tiktoken")


def write_lines(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return str(path)


def rows(count: int, *, seed: int) -> list[dict[str, Any]]:
    """Return lines that serve every kind of task; the label is whether both nouns are one."""
    draw = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        one, other = draw.choice(NOUNS[:3], size=2)
        label = str(one == other)
        choices = [str(noun) for noun in draw.permutation(NOUNS[:3])]
        made.append(
            {
                "text": f"{one} {other}",
                "first": str(one),
                "second": str(other),
                "label": label,
                "score": 5.0 if one == other else float(draw.uniform(0, 2)),
                "choices": choices,
                "answer": choices.index(one),
            }
        )
    return made


@pytest.fixture
def recipe(pretrained: str, tmp_path: Path) -> Callable[..., FinetuneConfig]:
    """Return a function that makes the recipe of a kind of task, with changes."""
    train = write_lines(tmp_path / "train.jsonl", rows(37, seed=1))
    validation = write_lines(tmp_path / "validation.jsonl", rows(20, seed=2))

    def make(
        kind: Kind = "classification", *, output: str = "run", **changes: Any
    ) -> FinetuneConfig:
        task = {"kind": kind, "train": train, "validation": validation, "fields": FIELDS[kind]}
        settings: dict[str, Any] = {
            "model": pretrained,
            "output": str(tmp_path / output),
            "seed": 5,
            "device": "cpu",
            "batch_examples": 8,
            "micro_batch": 3,
            "checkpoint_every": 4,
            "report_every": 3,
            "epochs": 2,
            "optimizer": {"learning_rate": 1e-3},
            "task": task | changes.pop("task", {}),
        }
        return FinetuneConfig.model_validate(settings | changes)

    return make

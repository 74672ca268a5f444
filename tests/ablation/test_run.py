"""Whole ablations: the better text wins, nothing is done twice, unlike builds are refused."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml

from corpus.ablation import run
from corpus.ablation.config import AblateConfig
from corpus.ablation.run import ablate
from corpus.errors import InputError
from tests.trainer import conftest as made

SENTENCES = made.sentences
TRAIN = {
    "mixture": "replaced",
    "output": "replaced",
    "seed": 99,
    "device": "cpu",
    "model": {"n_layer": 1, "n_head": 2, "d_model": 16, "context": 16},
    "steps": 80,
    "batch_sequences": 8,
    "optimizer": {"learning_rate": 1e-2, "warmup_tokens": 200, "cosine_tokens": 10_000},
    "sample": {"tokens": 1},
}


def quietly(line: str) -> None:
    """Say nothing."""


def scrambled(count: int, *, seed: int) -> list[str]:
    """Return the sentences with their letters in another order."""
    generator = random.Random(seed)
    return ["".join(generator.sample(line, len(line))) for line in SENTENCES(count, seed=seed)]


def mix(folder: Path, *, noise: bool = False, sequence_length: int = 16) -> str:
    """Write a mix of sentences, or of the same sentences scrambled."""
    folder.mkdir()
    with patch.object(made, "sentences", scrambled if noise else SENTENCES):
        return made.write_mixture(folder, sequence_length=sequence_length)


@pytest.fixture
def config(tmp_path: Path) -> AblateConfig:
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(TRAIN))
    text = tmp_path / "unseen.txt"
    text.write_text("\n".join(made.sentences(30, seed=77)))
    evaluation: dict[str, Any] = {
        "model": "replaced",
        "output": "replaced",
        "seed": 1,
        "lm": [{"name": "unseen", "path": str(text), "document": "line"}],
    }
    (tmp_path / "evaluate.yaml").write_text(yaml.safe_dump(evaluation))
    return AblateConfig(
        output=str(tmp_path / "out"),
        builds={"noise": mix(tmp_path / "noise", noise=True), "prose": mix(tmp_path / "prose")},
        train=str(tmp_path / "train.yaml"),
        evaluate=str(tmp_path / "evaluate.yaml"),
    )


def test_text_that_is_like_the_unseen_text_teaches_more(config: AblateConfig) -> None:
    results = ablate(config, say=quietly)

    (measure,) = [m for m in results["measures"] if m["metric"] == "bits_per_byte"]
    noise, prose = measure["builds"]["noise"], measure["builds"]["prose"]
    assert len(noise["values"]) == len(prose["values"]) == len(config.seeds)
    assert len(set(prose["values"])) == len(config.seeds)  # another seed is another model
    assert prose["difference"]["high"] < 0
    assert noise["difference"] is None
    assert prose["difference"]["value"] == pytest.approx(
        prose["mean"]["value"] - noise["mean"]["value"]
    )
    assert results["tokens"] == 80 * 8 * 16
    assert results["builds"]["prose"]["mixture"] != results["builds"]["noise"]["path"]
    written = json.loads((Path(config.output) / "results.json").read_text())
    assert written == results


def test_what_is_there_is_not_trained_again(
    config: AblateConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ablate(config, say=quietly)
    before = {p: p.stat().st_mtime_ns for p in Path(config.output).rglob("model.safetensors")}

    again = ablate(config, say=quietly)

    after = {p: p.stat().st_mtime_ns for p in Path(config.output).rglob("model.safetensors")}
    assert len(before) == 2 * len(config.seeds)
    assert before == after
    assert again == first


def test_every_model_is_trained_by_the_recipe_with_its_own_mixture_and_seed(
    config: AblateConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    train = run.train

    def recording(recipe: Any, **rest: Any) -> Any:
        seen.append(recipe)
        return train(recipe, **rest)

    monkeypatch.setattr(run, "train", recording)

    ablate(config, say=quietly)

    assert [(recipe.mixture, recipe.seed) for recipe in seen] == [
        (mixture, seed) for seed in config.seeds for mixture in config.builds.values()
    ]
    assert {recipe.steps for recipe in seen} == {80}
    assert len({recipe.output for recipe in seen}) == len(seen)


def test_builds_of_other_sequence_lengths_are_not_compared(
    config: AblateConfig, tmp_path: Path
) -> None:
    builds = {**config.builds, "short": mix(tmp_path / "short", sequence_length=8)}

    with pytest.raises(InputError, match="differ in their sequence length"):
        ablate(config.model_copy(update={"builds": builds}), say=quietly)
    assert not Path(config.output).exists()

"""The recipe of a run: what it refuses, what it fills in, and from where."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from corpus.errors import InputError, RecipeError
from corpus.trainer.config import TrainConfig, find_mixture, load_train_config, schedule
from corpus.trainer.presets import GPT2_VOCABULARY

SMALL = """
mixture: data/tiny
output: data/run
seed: 1
steps: 100
batch_sequences: 4
model: {n_layer: 2, n_head: 4, d_model: 32, context: 64}
optimizer: {learning_rate: 1e-3, warmup_tokens: 640}
"""
GPT3 = """
mixture: data/gpt3
output: data/run
seed: 1
tokens: 300_000_000_000
model: {preset: gpt3-small}
"""


def load(folder: Path, text: str, *overrides: str) -> TrainConfig:
    path = folder / "train.yaml"
    path.write_text(text)
    return load_train_config(str(path), overrides)


def test_defaults_are_those_of_gpt3(tmp_path: Path) -> None:
    config = load(tmp_path, GPT3)
    plan = schedule(config, 2048)

    assert (config.optimizer.beta1, config.optimizer.beta2) == (0.9, 0.95)
    assert config.optimizer.epsilon == 1e-8
    assert config.optimizer.weight_decay == 0.1
    assert config.optimizer.clip == 1.0
    assert config.dropout == 0.0
    assert plan.learning_rate == 6e-4
    assert plan.final_learning_rate == pytest.approx(6e-5)
    assert plan.warmup_tokens == 375_000_000
    assert plan.batch_sequences == 256
    # 260 billion, but for the last step being a whole one.
    assert plan.cosine_tokens == pytest.approx(260e9, abs=plan.batch_tokens)
    assert plan.steps * plan.batch_tokens >= 300_000_000_000
    assert (plan.steps - 1) * plan.batch_tokens < 300_000_000_000


def test_a_band_is_asked_for_by_its_width_and_gpt1_is_its_own_shape(tmp_path: Path) -> None:
    dense, banded, small, gpt1 = (
        load(tmp_path, text, *overrides).model.architecture(99)
        for text, overrides in (
            (GPT3, []),
            (GPT3, ["model.window=128"]),
            (SMALL, ["model.window=8", "model.post_norm=true"]),
            (GPT3.replace("gpt3-small", "gpt1"), []),
        )
    )

    assert dense.window is None
    assert banded == replace(dense, window=128)
    assert [banded.window_of(layer) for layer in range(4)] == [None, 128, None, 128]
    assert (small.window, small.post_norm, small.vocabulary_size) == (8, True, 99)
    assert (gpt1.window, gpt1.post_norm, gpt1.vocabulary_size) == (None, True, 40_478)


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    config = load(tmp_path, SMALL, "steps=7", "model.n_layer=3", "optimizer.learning_rate=2e-4")

    assert (config.steps, config.model.n_layer) == (7, 3)
    assert schedule(config, 64).learning_rate == 2e-4


def test_batch_tokens_are_rounded_down_to_whole_sequences(tmp_path: Path) -> None:
    text = SMALL.replace("batch_sequences: 4", "batch_tokens: 1000")

    assert schedule(load(tmp_path, text), 64).batch_sequences == 15


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        (SMALL, ["model.n_layers=3"], "did you mean n_layer"),
        (SMALL, ["tokens=5"], "either steps or tokens"),
        (SMALL.replace("steps: 100", ""), [], "either steps or tokens"),
        (SMALL, ["batch_tokens=640"], "either batch_sequences or batch_tokens"),
        (SMALL.replace("batch_sequences: 4", ""), [], "needs batch_tokens"),
        (SMALL.replace("seed: 1", ""), [], "seed: has to be given"),
        (SMALL.replace("learning_rate: 1e-3, ", ""), [], "learning_rate has to be given"),
        (SMALL, ["model.window=64"], "no narrower than the context of 64"),
        (SMALL, ["model.window=0"], "greater than 0"),
        (GPT3, ["model.window=2048"], "no narrower than the context of 2048"),
        (GPT3, ["model.post_norm=true"], "leave out post_norm"),
        (GPT3.replace("gpt3-small", "gpt1"), ["model.window=64"], "gpt1 has no banded layers"),
        (SMALL, ["model.n_head=5"], "32 is not a multiple of n_head 5"),
        (SMALL, ["model.context=null"], "all of n_layer, n_head, d_model and context"),
        (SMALL, ["model.preset=gpt2-small"], "leave out n_layer"),
        (SMALL, ["device=tpu"], "device"),
        (SMALL, ["dropout=1.0"], "dropout"),
        (GPT3, ["model.preset=gpt3-tiny"], "known: gpt1, gpt2-small"),
        (GPT3, ["model.preset=gpt2-small"], "for gpt2-small none is published"),
    ],
)
def test_a_wrong_recipe_is_refused_with_its_key(
    tmp_path: Path, text: str, overrides: list[str], message: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, text, *overrides)

    assert message in str(caught.value)
    assert "train.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.warmup_tokens=25600", "does not end before the run does, at 25,600"),
        ("optimizer.cosine_tokens=500", "does not end before the cosine, at 500"),
    ],
)
def test_a_warmup_that_does_not_end_is_refused(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        schedule(load(tmp_path, SMALL, override), 64)


def test_a_batch_under_one_sequence_is_refused(tmp_path: Path) -> None:
    text = SMALL.replace("batch_sequences: 4", "batch_tokens: 63")

    with pytest.raises(RecipeError, match="63 tokens are less than one sequence of 64"):
        schedule(load(tmp_path, text), 64)


def test_the_vocabulary_is_the_papers_for_a_preset_and_else_the_mixtures(tmp_path: Path) -> None:
    sized = load(tmp_path, SMALL)

    assert load(tmp_path, GPT3).model.architecture(300).vocabulary_size == GPT2_VOCABULARY
    assert sized.model.architecture(300).vocabulary_size == 300
    given = load(tmp_path, SMALL, "model.vocabulary_size=500")
    assert given.model.architecture(300).vocabulary_size == 500


def test_find_mixture_follows_a_build_to_its_current_mix(tmp_path: Path) -> None:
    (tmp_path / "build.json").write_text(json.dumps({"stages": {"mix": "mix-0123"}}))

    assert find_mixture(str(tmp_path)) == f"{tmp_path}/mix-0123/mixture.json"
    assert find_mixture("somewhere/mixture.json") == "somewhere/mixture.json"


def test_find_mixture_without_a_build_or_a_mix_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no build in this folder"):
        find_mixture(str(tmp_path))
    (tmp_path / "build.json").write_text(json.dumps({"stages": {"dedup": "dedup-0123"}}))
    with pytest.raises(InputError, match=r"no mix yet.*corpus mix"):
        find_mixture(str(tmp_path))

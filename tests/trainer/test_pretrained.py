"""A trained model opened from its folder: the weights and the vocabulary of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from corpus.errors import InputError
from corpus.trainer.loop import train
from corpus.trainer.pretrained import open_model
from corpus.trainer.sequences import MixtureSequences
from tests.trainer.test_loop import quietly, recipe, tensors


def test_a_run_and_its_checkpoint_open_as_the_same_model(mix: str, tmp_path: Path) -> None:
    summary = train(recipe(mix, tmp_path / "run"), report=quietly)

    by_run, by_checkpoint = (open_model(path) for path in (summary.output, summary.checkpoint))

    written = tensors(summary)
    for opened in (by_run, by_checkpoint):
        assert (opened.step, opened.folder) == (summary.steps, summary.checkpoint)
        assert not opened.model.training
        for name, parameter in opened.model.named_parameters():
            assert torch.equal(parameter, written[name]), name
        assert opened.tokenizer.digest == MixtureSequences.open(mix).tokenizer().digest


@pytest.mark.parametrize("change", [{"post_norm": True}, {"window": 3}])
def test_gpt1_and_banded_models_train_go_on_and_open_as_what_they_are(
    mix: str, tmp_path: Path, change: dict[str, Any]
) -> None:
    model = {"n_layer": 2, "n_head": 2, "d_model": 32, "context": 16, **change}
    whole = train(recipe(mix, tmp_path / "whole", model=model), report=quietly)
    train(recipe(mix, tmp_path / "run", model=model, steps=6), report=quietly)
    summary = train(recipe(mix, tmp_path / "run", model=model), report=quietly)

    opened = open_model(str(tmp_path / "run"))

    assert summary.resumed_from == 6
    assert {name: getattr(opened.model.shape, name) for name in change} == change
    expected = tensors(whole)
    for name, parameter in opened.model.named_parameters():
        assert torch.equal(parameter, expected[name]), name


def test_a_run_does_not_go_on_with_another_window(mix: str, tmp_path: Path) -> None:
    model = {"n_layer": 2, "n_head": 2, "d_model": 32, "context": 16}
    train(recipe(mix, tmp_path / "run", model=model, steps=6), report=quietly)

    with pytest.raises(InputError, match=r"model\.window was None and is 3"):
        train(recipe(mix, tmp_path / "run", model=model | {"window": 3}), report=quietly)


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no trained model") as caught:
        open_model(str(tmp_path))
    assert caught.value.where == str(tmp_path)

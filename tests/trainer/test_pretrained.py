"""A trained model opened from its folder: the weights and the vocabulary of the run."""

from __future__ import annotations

from pathlib import Path

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


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no trained model") as caught:
        open_model(str(tmp_path))
    assert caught.value.where == str(tmp_path)

"""A trained model opened from its folder: the weights and the vocabulary of the run."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from corpus.errors import InputError
from corpus.text.tokenizer import Tokenizer
from corpus.text.vocabulary import Vocabulary
from corpus.trainer import checkpoint
from corpus.trainer.loop import train
from corpus.trainer.model import GPT
from corpus.trainer.presets import Architecture
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


def test_end_of_text_is_where_the_vocabulary_had_it(tmp_path: Path, shape: Architecture) -> None:
    """A `tokenizer.json` may have its added tokens first, so that its ranks begin at 2."""
    ranks = {bytes([byte]): byte + 2 for byte in range(256)} | {b"th": 259}
    written = Tokenizer(Vocabulary("tokenizer.json", ranks, end_of_text=0, size=262))
    model = GPT.create(replace(shape, vocabulary_size=262), dropout=0.0, seed=1)
    folder = checkpoint.save(
        str(tmp_path),
        step=1,
        model=model,
        optimizer=torch.optim.SGD(model.parameters()),
        loader={},
        settings={f"model.{name}": value for name, value in asdict(model.shape).items()},
        tokenizer=written,
        keep=1,
    )

    opened = open_model(folder).tokenizer

    assert (opened.end_of_text, opened.vocabulary_size) == (0, 262)
    assert opened.digest == written.digest
    assert opened.encode(["the"])[0].tolist() == [259, 103]
    assert opened.decode_bytes([259, 103, 0]) == b"the<|endoftext|>"

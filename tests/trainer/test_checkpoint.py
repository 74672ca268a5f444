"""Checkpoints: whole, found again, and never trusted when damaged."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from corpus.errors import InputError, IntegrityError
from corpus.text.tokenizer import Tokenizer
from corpus.text.vocabulary import Vocabulary
from corpus.trainer import checkpoint
from corpus.trainer.model import GPT
from corpus.trainer.optimizer import adamw, set_learning_rate
from corpus.trainer.presets import Architecture
from corpus.trainer.step import optimizer_step, seed_dropout

TOKENS = torch.arange(34).view(2, 17) % 61
LOADER = {"position": 12, "mixture": "abc"}
TOKENIZER = Tokenizer(
    Vocabulary("bytes", {bytes([n]): n for n in range(256)}, end_of_text=256, size=257)
)
SETTINGS = {"optimizer.learning_rate": 6e-4, "seed": 1}


def prepared(shape: Architecture, *, steps: int) -> tuple[GPT, torch.optim.AdamW]:
    model = GPT.create(shape, dropout=0.1, seed=steps)
    optimizer = adamw(model, weight_decay=0.1, beta1=0.9, beta2=0.95, epsilon=1e-8)
    set_learning_rate(optimizer, 1e-2)
    for _ in range(steps):
        optimizer_step(model, optimizer, TOKENS, micro_batch=2, clip=1.0)
    return model, optimizer


def save(output: Path, shape: Architecture, *, step: int, keep: int = 9) -> str:
    model, optimizer = prepared(shape, steps=2)
    return checkpoint.save(
        str(output),
        step=step,
        model=model,
        optimizer=optimizer,
        loader=LOADER,
        settings=SETTINGS,
        tokenizer=TOKENIZER,
        keep=keep,
    )


def test_a_restored_run_does_the_same_step_as_one_that_never_stopped(
    tmp_path: Path, shape: Architecture
) -> None:
    """With dropout: weights, both moments and the step counter have to come back."""
    model, optimizer = prepared(shape, steps=3)
    checkpoint.save(
        str(tmp_path),
        step=3,
        model=model,
        optimizer=optimizer,
        loader=LOADER,
        settings=SETTINGS,
        tokenizer=TOKENIZER,
        keep=1,
    )
    seed_dropout(1, 4, 0)
    loss, norm = optimizer_step(model, optimizer, TOKENS, micro_batch=2, clip=1.0)

    torch.manual_seed(99)
    again, its_optimizer = prepared(shape, steps=0)
    found = checkpoint.load_latest(str(tmp_path))
    assert found is not None
    checkpoint.restore(found, again, its_optimizer)
    set_learning_rate(its_optimizer, 1e-2)
    seed_dropout(1, 4, 0)
    same_loss, same_norm = optimizer_step(again, its_optimizer, TOKENS, micro_batch=2, clip=1.0)

    assert (found.step, found.loader) == (3, LOADER)
    assert SETTINGS.items() <= found.settings.items()
    assert torch.equal(loss, same_loss)
    assert torch.equal(norm, same_norm)
    for (name, one), (_, other) in zip(
        model.named_parameters(), again.named_parameters(), strict=True
    ):
        assert torch.equal(one, other), name


def test_a_checkpoint_from_before_gpt1_and_the_band_is_of_neither(
    tmp_path: Path, shape: Architecture
) -> None:
    found = checkpoint.load(save(tmp_path, shape, step=2))

    assert found.settings == SETTINGS | {"model.post_norm": False, "model.window": None}


def test_only_the_latest_checkpoints_are_kept(tmp_path: Path, shape: Architecture) -> None:
    for step in (2, 4, 100_000_000):
        save(tmp_path, shape, step=step, keep=2)

    assert checkpoint.steps_present(str(tmp_path)) == [100_000_000, 4]


def test_nothing_but_whole_checkpoints_is_left_after_a_save(
    tmp_path: Path, shape: Architecture
) -> None:
    folder = save(tmp_path, shape, step=2)

    assert sorted(path.name for path in Path(folder).iterdir()) == [
        "checkpoint.json",
        "model.safetensors",
        "training.safetensors",
        "vocabulary.tiktoken",
    ]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [truncate, flip, Path.unlink])
@pytest.mark.parametrize(
    "name", ["model.safetensors", "training.safetensors", "vocabulary.tiktoken"]
)
def test_a_damaged_checkpoint_is_passed_over_with_a_message(
    tmp_path: Path,
    shape: Architecture,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
    name: str,
) -> None:
    whole = save(tmp_path, shape, step=2)
    damage(Path(save(tmp_path, shape, step=4)) / name)

    with caplog.at_level(logging.WARNING):
        found = checkpoint.load_latest(str(tmp_path))

    assert found is not None
    assert found.folder == whole
    assert "a damaged checkpoint is passed over" in caplog.text
    assert name in caplog.text


def test_a_checkpoint_whose_json_is_cut_is_passed_over(tmp_path: Path, shape: Architecture) -> None:
    save(tmp_path, shape, step=2)
    truncate(Path(save(tmp_path, shape, step=4)) / "checkpoint.json")

    found = checkpoint.load_latest(str(tmp_path))

    assert found is not None
    assert found.step == 2


@pytest.mark.parametrize(
    "change", [{"files": {}}, {"vocabulary": {"nam": "a"}}, {"settings": []}, {"loader": None}]
)
def test_a_checkpoint_whose_json_was_changed_is_passed_over(
    tmp_path: Path, shape: Architecture, change: dict[str, object]
) -> None:
    save(tmp_path, shape, step=2)
    place = Path(save(tmp_path, shape, step=4)) / "checkpoint.json"
    content = json.loads(place.read_text()) | change
    place.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))

    found = checkpoint.load_latest(str(tmp_path))

    assert found is not None
    assert found.step == 2


def test_a_checkpoint_that_was_never_finished_is_none(tmp_path: Path, shape: Architecture) -> None:
    (Path(save(tmp_path, shape, step=4)) / "checkpoint.json").unlink()

    assert checkpoint.load_latest(str(tmp_path)) is None
    assert checkpoint.load_latest(str(tmp_path / "elsewhere")) is None


def test_nothing_but_damaged_checkpoints_is_an_error_and_no_fresh_start(
    tmp_path: Path, shape: Architecture
) -> None:
    for step in (2, 4):
        truncate(Path(save(tmp_path, shape, step=step)) / "model.safetensors")

    with pytest.raises(IntegrityError, match="every checkpoint is damaged"):
        checkpoint.load_latest(str(tmp_path))


def test_a_checkpoint_of_an_unknown_format_is_refused(tmp_path: Path, shape: Architecture) -> None:
    folder = save(tmp_path, shape, step=2)
    place = Path(folder) / "checkpoint.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | {"format": 1}))

    with pytest.raises(IntegrityError, match="not a checkpoint of format 3"):
        checkpoint.load(folder)


def test_a_checkpoint_of_another_shape_is_refused(tmp_path: Path, shape: Architecture) -> None:
    found = checkpoint.load(save(tmp_path, shape, step=2))
    other, optimizer = prepared(Architecture(3, 4, 32, 16, 61), steps=0)

    with pytest.raises(InputError, match="model of another shape"):
        checkpoint.restore(found, other, optimizer)


def test_later_checkpoints_are_removed_when_a_run_goes_on_from_an_earlier_one(
    tmp_path: Path, shape: Architecture
) -> None:
    for step in (2, 4, 6):
        save(tmp_path, shape, step=step)

    checkpoint.remove_after(str(tmp_path), 4)

    assert checkpoint.steps_present(str(tmp_path)) == [4, 2]

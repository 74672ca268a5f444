"""`corpus train` as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from typer.testing import CliRunner

from corpus.cli import app
from corpus.errors import RecipeError
from tests.trainer.conftest import write_mixture
from tests.trainer.test_loop import recipe


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Return a recipe of six steps in a file."""
    torch.set_num_threads(1)
    (tmp_path / "mix").mkdir()
    settings = recipe(write_mixture(tmp_path / "mix"), tmp_path / "run", steps=6).model_dump()
    path = tmp_path / "train.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(settings))))
    return str(path)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["train", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_a_line_is_shown_when_the_loss_was_looked_at(file: str) -> None:
    """Every third step is reported; checkpoints and validations make looks of their own."""
    lines = run("-c", file, "--set", "report_every=3", "--set", "checkpoint.every=2").splitlines()

    assert [line.split(":")[0] for line in lines[:3]] == ["step 1/6", "step 3/6", "step 6/6"]
    assert "bits/byte" in lines[2]
    assert lines[3].startswith("validation loss: prose ")
    assert "Trained in" in lines[-1]
    again = run("-c", file, "--set", "report_every=3", "--set", "checkpoint.every=2").splitlines()
    assert again[0] == lines[3]
    assert again[-1].startswith("Was trained already; checkpoint in ")


def test_a_machine_gets_json_alone(file: str) -> None:
    summary = json.loads(run("-c", file, "--json"))

    assert summary["steps"] == 6
    assert summary["bits_per_byte"].keys() == {"prose", "verse"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workers", "2"], "torchrun --nproc-per-node 2 -m corpus train"),
        (["--engine", "spark"], "no engine 'spark'"),
    ],
)
def test_processes_are_started_by_who_can(file: str, arguments: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        run("-c", file, *arguments)

"""TensorBoard and Weights & Biases: asked for, there or not, and what they are told."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from corpus.errors import RecipeError, StageError
from corpus.trainer import logs
from corpus.trainer.loop import train
from tests.trainer.test_loop import quietly, recipe
from tests.trainer.test_metrics import line

STEP = replace(line(3, loss=2.0), bits_per_byte={"wikipedia": 1.5})


def test_numbers_have_names_and_what_is_not_measured_has_none() -> None:
    found = logs.numbers(STEP)

    assert found["loss"] == 2.0
    assert found["validation/wikipedia"] == 3.5
    assert found["bits_per_byte/wikipedia"] == 1.5
    assert not {"mfu", "step", "steps", "validation"} & found.keys()


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_what_is_not_installed_is_refused_before_anything_is_written(
    mix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    module = {"tensorboard": "torch.utils.tensorboard", "wandb": "wandb"}[name]
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(RecipeError, match=f"log: metrics are to go to {name}, which is not.*pip"):
        train(recipe(mix, tmp_path / "run", log=[name]), report=quietly)

    assert not (tmp_path / "run").exists()


class Board:
    """Stands for TensorBoard's SummaryWriter."""

    def __init__(self, folder: str, *, purge_step: int) -> None:
        self.told: list[Any] = [folder, purge_step]
        boards.append(self)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.told.append((name, value, step))

    def close(self) -> None:
        self.told.append("closed")


boards: list[Board] = []


def test_tensorboard_goes_on_behind_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Board  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    logs.require_installed(["tensorboard"])

    with logs.writers(str(tmp_path), names=["tensorboard"], step=2, settings={}) as writers:
        for writer in writers:
            writer.write(STEP)

    told = boards.pop().told
    assert told[:2] == [f"{tmp_path}/tensorboard", 3]
    assert ("loss", 2.0, 3) in told
    assert ("validation/wikipedia", 3.5, 3) in told
    assert told[-1] == "closed"
    assert (tmp_path / "metrics.jsonl").read_text().count("\n") == 1


class WandB(ModuleType):
    """Stands for the module wandb, and for its run."""

    def __init__(self, *, broken: bool = False) -> None:
        super().__init__("wandb")
        self.errors = SimpleNamespace(Error=ConnectionError)
        self.told: list[Any] = []
        self.broken = broken

    def init(self, **settings: Any) -> WandB:
        if self.broken:
            raise self.errors.Error("api_key not configured\nsecond line")
        self.told.append(settings)
        return self

    def define_metric(self, name: str, *, step_metric: str) -> None:
        self.told.append((name, step_metric))

    def log(self, numbers: dict[str, float]) -> None:
        self.told.append(numbers)

    def finish(self) -> None:
        self.told.append("finished")


def test_wandb_knows_a_run_that_goes_on_by_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = WandB()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    for folder in ("a", "a", "b"):
        output, settings = str(tmp_path / folder), {"seed": 1}
        with logs.writers(output, names=["wandb"], step=0, settings=settings) as made:
            for writer in made:
                writer.write(STEP)

    first, second, third = (told for told in wandb.told if isinstance(told, dict) and "id" in told)
    assert first == second
    assert first["id"] != third["id"]
    assert (first["resume"], first["config"], first["name"]) == ("allow", {"seed": 1}, "a")
    assert ("*", "step") in wandb.told
    numbers = next(told for told in wandb.told if isinstance(told, dict) and "loss" in told)
    assert (numbers["step"], numbers["loss"]) == (3, 2.0)
    assert wandb.told.count("finished") == 3


def test_wandb_that_does_not_start_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", WandB(broken=True))

    with (
        pytest.raises(StageError, match=r"did not start\. api_key not configured\. Log in"),
        logs.writers(str(tmp_path), names=["wandb"], step=0, settings={}),
    ):
        pytest.fail("started")

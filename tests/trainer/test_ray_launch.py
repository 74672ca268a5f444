"""A training on Ray: two actors, the losses of one process, and errors that come back."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from corpus.errors import InputError, RecipeError, StageError
from corpus.trainer.loop import train
from corpus.trainer.metrics import Metrics
from corpus.trainer.ray_launch import _placed, train_on_ray
from tests.trainer.test_loop import SIZES, quietly, recipe, rows

SETTINGS = {"steps": 4, "dropout": 0.0, "sample": {"tokens": 2}}


@pytest.mark.ray
def test_two_actors_train_as_one_process_and_report_each_step(mix: str, tmp_path: Path) -> None:
    train(recipe(mix, tmp_path / "one", **SETTINGS), report=quietly)
    reported: list[Metrics] = []

    summary = train_on_ray(
        recipe(mix, tmp_path / "two", **SETTINGS), workers=2, report=reported.append
    )

    assert (summary.processes, summary.leads) == (2, True)
    assert [metrics.step for metrics in reported] == [1, 2, 3, 4]
    losses = [row["loss"] for row in rows(tmp_path / "one")]
    assert [row["loss"] for row in rows(tmp_path / "two")] == pytest.approx(losses, abs=1e-6)


@pytest.mark.ray
def test_an_error_of_an_actor_is_that_of_the_run(mix: str, tmp_path: Path) -> None:
    config = recipe(mix, tmp_path / "run", model={**SIZES, "context": 8})

    with pytest.raises(InputError, match="longer than the model's context of 8"):
        train_on_ray(config, workers=1, report=quietly)


def test_more_gpus_than_there_are_is_told(mix: str, tmp_path: Path) -> None:
    config = recipe(mix, tmp_path / "run", device="cuda")
    ray = SimpleNamespace(cluster_resources=lambda: {"CPU": 2.0})

    with (
        pytest.raises(StageError, match=r"no place for 2 processes.*2 CPUs and 0 GPUs"),
        _placed(ray, config, 2),
    ):
        pytest.fail("placed")


def test_no_process_cannot_train(mix: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="0 processes cannot train"):
        train_on_ray(recipe(mix, tmp_path / "run"), workers=0, report=quietly)

"""Two processes and one: the same losses, checkpoints that either can go on from, one writer."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from corpus.errors import InputError, RecipeError
from corpus.trainer import checkpoint
from corpus.trainer.batches import require_shares
from corpus.trainer.loop import train
from corpus.trainer.parallel import choose_way
from corpus.trainer.pretrained import open_model
from corpus.trainer.world import World
from tests.trainer.conftest import write_mixture
from tests.trainer.test_loop import quietly, recipe, rows

STEPS = 8
SETTINGS: dict[str, Any] = {
    "steps": STEPS,
    "batch_sequences": 8,
    "micro_batch": 3,  # of one process: parts of 3, 3, 2; of two: of 3 and 1
    "dropout": 0.0,
    "ramp": {"from_tokens": 64, "over_tokens": 400},
    "validation": {"every": 4, "sequences": 5},
    "checkpoint": {"every": 4, "keep": 5},
}
# What two processes do, one after the other.
RUNS: dict[str, dict[str, Any]] = {
    "ddp": {"parallel": "ddp"},
    "fsdp": {"parallel": "fsdp", "checkpoint_activations": True},
    "ddp-first": {"parallel": "ddp", "steps": STEPS // 2},
    "fsdp-first": {"parallel": "fsdp", "steps": STEPS // 2},
    "fsdp-second": {"parallel": "fsdp"},  # what one process has begun
    "none": {"parallel": "none"},
    "uneven": {"batch_sequences": 7, "ramp": None},
}


def run_processes(jobs: list[dict[str, Any]], folder: Path, *, count: int = 2) -> None:
    """Let `count` processes do jobs (`tests.trainer.process`), one after the other."""
    (folder / "jobs.json").write_text(json.dumps(jobs))
    environment = {
        **os.environ,
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(random.SystemRandom().randrange(20_000, 60_000)),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    command = [sys.executable, "-m", "tests.trainer.process", str(folder / "jobs.json")]
    running = [
        subprocess.Popen(command, env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(count)
    ]
    try:
        assert [process.wait(timeout=240) for process in running] == [0] * count
    finally:
        for process in running:
            process.kill()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the runs of one process (`one`) and of two (`RUNS`)."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "mix").mkdir()
    mix = write_mixture(folder / "mix")
    train(recipe(mix, folder / "one", **SETTINGS), report=quietly)
    train(recipe(mix, folder / "fsdp-second", **SETTINGS | {"steps": STEPS // 2}), report=quietly)
    jobs = [
        recipe(mix, folder / name, **SETTINGS | changes).model_dump()
        for name, changes in RUNS.items()
    ]
    run_processes(jobs, folder)
    for way in ("ddp", "fsdp"):
        train(recipe(mix, folder / f"{way}-first", **SETTINGS), report=quietly)
    return folder


def summary(runs: Path, name: str, rank: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((runs / name / f"summary-{rank}.json").read_text())
    return found


@pytest.mark.parametrize("name", ["ddp", "fsdp", "ddp-first", "fsdp-first", "fsdp-second"])
def test_losses_and_weights_are_those_of_one_process(runs: Path, name: str) -> None:
    """Also where two processes began and one went on, and the other way round."""
    one, two = rows(runs / "one"), rows(runs / name)

    assert [row["step"] for row in two] == list(range(1, STEPS + 1))
    assert [row["batch_sequences"] for row in two] == [4, 4, 4, 4, 4, 4, 4, 8]
    for a, b in zip(one, two, strict=True):
        assert b["loss"] == pytest.approx(a["loss"], abs=1e-6)
        assert b["gradient_norm"] == pytest.approx(a["gradient_norm"], abs=1e-5)
        assert b["validation"] == pytest.approx(a["validation"], abs=1e-6)
    expected, found = (open_model(str(runs / which)) for which in ("one", name))
    assert found.step == STEPS
    for (parameter, value), other in zip(
        expected.model.named_parameters(), found.model.parameters(), strict=True
    ):
        if parameter.endswith("c_attn.bias"):
            # A key's bias changes no attention; its gradient is rounding, which Adam makes large.
            value, other = (torch.cat([part[:32], part[64:]]) for part in (value, other))
        assert torch.allclose(value, other, atol=2e-5), parameter


@pytest.mark.parametrize("name", ["ddp", "fsdp"])
def test_one_process_writes_and_checkpoints_are_the_same_files(runs: Path, name: str) -> None:
    one, two = checkpoint.load_latest(str(runs / "one")), checkpoint.load_latest(str(runs / name))

    assert one is not None
    assert two is not None
    assert one.loader == two.loader
    assert one.settings == two.settings
    for file in (checkpoint.WEIGHTS, checkpoint.TRAINING):
        tensors, others = (load_file(f"{found.folder}/{file}") for found in (one, two))
        shapes = {key: (value.shape, value.dtype) for key, value in tensors.items()}
        assert shapes == {key: (value.shape, value.dtype) for key, value in others.items()}
    assert [summary(runs, name, rank)["leads"] for rank in range(2)] == [True, False]
    assert summary(runs, name)["sample"] == (runs / name / "sample.txt").read_text()
    assert summary(runs, name)["processes"] == 2


def test_every_process_is_told_what_does_not_fit_and_one_says_it(runs: Path) -> None:
    for name, message, code in (
        ("none", "2 processes were started, and parallel is none", 2),
        ("uneven", "a batch of 7 sequences cannot be shared by 2", 1),
    ):
        told = [summary(runs, name, rank) for rank in range(2)]
        assert all(message in found["error"] for found in told)
        assert [found["silent"] for found in told] == [False, True]  # one says it for all
        assert [found["code"] for found in told] == [code, code]


def test_what_processes_share_is_chosen_by_the_recipe() -> None:
    two, one = World(0, 2, torch.device("cpu")), World(0, 1, torch.device("cpu"))

    assert [choose_way(way, two) for way in ("auto", "ddp", "fsdp")] == ["ddp", "ddp", "fsdp"]
    assert {choose_way(way, one) for way in ("auto", "none", "ddp", "fsdp")} == {"none"}
    with pytest.raises(RecipeError, match="parallel is none"):
        choose_way("none", two)
    with pytest.raises(InputError, match="9 sequences cannot be shared by 4"):
        require_shares(9, 4)

"""Models in parts (FSDP2) over two and over four processes: bits, files, and what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from corpus.errors import StageError
from corpus.trainer import checkpoint, world
from corpus.trainer.config import TrainConfig
from corpus.trainer.loop import train
from corpus.trainer.model import GPT
from corpus.trainer.presets import Architecture
from corpus.trainer.pretrained import open_model
from corpus.trainer.samples import Samples
from corpus.trainer.world import ALONE
from tests.trainer.conftest import write_mixture
from tests.trainer.test_distributed import run_processes, summary
from tests.trainer.test_loop import quietly, recipe, trajectory

STEPS = 4
SETTINGS: dict[str, Any] = {
    "steps": STEPS,
    "batch_sequences": 8,
    "micro_batch": 2,
    "dropout": 0.1,
    # 257 rows of tokens and 18 of positions: parts of 65, 65, 65, 62 and of 5, 5, 5, 3.
    "model": {"n_layer": 2, "n_head": 2, "d_model": 32, "context": 18},
    "validation": {"every": 2, "sequences": 3},
    "checkpoint": {"every": 2, "keep": 2},
    "parallel": "fsdp",
}
# Adam's first step moves a weight by the rate at most, and a rate like this one moves none.
STILL = {"optimizer": {"learning_rate": 1e-30, "warmup_tokens": 0, "weight_decay": 0.0}}
# What two processes do besides, one after the other; the last one loses a process.
FAULTS: list[dict[str, Any]] = [
    {"output": "full_disk", "fault": "full_disk"},
    {"output": "unreadable", "steps": STEPS // 2},
    {"output": "unreadable", "fault": "unreadable"},
    {"output": "no_data", "fault": "no_data"},
]


def jobs(mix: str, folder: Path, changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return recipes for `tests.trainer.process`, each with its fault."""
    made = []
    for change in changes:
        fault = {"fault": change["fault"]} if "fault" in change else {}
        settings = {k: v for k, v in change.items() if k not in ("output", "fault")}
        config: TrainConfig = recipe(mix, folder / change["output"], **SETTINGS | settings)
        made.append(config.model_dump() | fault)
    return made


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the runs of one, two and four processes, in `1`, `2` and `4`."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "mix").mkdir()
    mix = write_mixture(folder / "mix")
    changes: list[dict[str, Any]] = [
        {"output": "still", "steps": 1} | STILL,
        {"output": "whole"},
        {"output": "parts", "steps": STEPS // 2},
        {"output": "parts"},
    ]
    for change in changes:
        settings = {key: value for key, value in change.items() if key != "output"}
        train(recipe(mix, folder / "1" / change["output"], **SETTINGS | settings), report=quietly)
    for count, more in ((4, []), (2, FAULTS)):
        run_processes(jobs(mix, folder / str(count), changes + more), folder, count=count)
    return folder


def last(run: Path) -> Path:
    found = checkpoint.load_latest(str(run))
    assert found is not None
    return Path(found.folder)


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_first_weights_are_those_of_the_whole_model(runs: Path, processes: int) -> None:
    weights = load_file(last(runs / str(processes) / "still") / checkpoint.WEIGHTS)

    model = GPT.create(Architecture(2, 2, 32, 18, 257), dropout=0.0, seed=3)
    assert weights.keys() == dict(model.named_parameters()).keys()
    for name, parameter in model.named_parameters():
        # What was zero has been moved by 1e-30.
        assert torch.equal(weights[name] + 1, parameter + 1), name
        assert torch.equal(weights[name][parameter != 0], parameter[parameter != 0]), name


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_a_run_in_two_parts_writes_the_same_bytes_as_one_in_one(runs: Path, processes: int) -> None:
    folder = runs / str(processes)
    whole, parts = last(folder / "whole"), last(folder / "parts")

    assert whole.name == parts.name == f"step-{STEPS:08d}"
    for name in (checkpoint.WEIGHTS, checkpoint.TRAINING, checkpoint.CONTENT):
        assert (whole / name).read_bytes() == (parts / name).read_bytes(), name
    assert trajectory(folder / "whole") == trajectory(folder / "parts")
    assert (folder / "whole/sample.txt").read_text() == (folder / "parts/sample.txt").read_text()


@pytest.mark.parametrize("processes", [2, 4])
def test_a_model_in_parts_writes_what_its_checkpoint_does(runs: Path, processes: int) -> None:
    run = runs / str(processes) / "whole"
    opened = open_model(str(run))
    config = recipe(str(runs / "mix"), run)

    alone = Samples(config, opened.tokenizer, context=16, world=ALONE).draw(opened.model)

    assert len(alone) > len("the ")
    assert (run / "sample.txt").read_text() == alone


def told(runs: Path, name: str, text: str) -> None:
    """Check that the process with the fault says a text, and the other one says nothing."""
    wrong = 0 if name == "full_disk" else 1
    said, silent = (summary(runs / "2", name, rank) for rank in (wrong, 1 - wrong))
    assert text in said["error"]
    assert (said["silent"], silent["silent"]) == (False, True)
    assert said["code"] == silent["code"] == 1


def test_a_full_disk_ends_all_processes_with_one_error(runs: Path) -> None:
    told(runs, "full_disk", "model.safetensors: the output cannot be written")

    left = [path.name for path in (runs / "2/full_disk/checkpoints").rglob("*") if path.is_file()]
    assert left == []


def test_a_checkpoint_that_one_process_cannot_read_ends_all_with_one_error(runs: Path) -> None:
    told(runs, "unreadable", "model.safetensors: the file cannot be read")

    assert last(runs / "2/unreadable").name == f"step-{STEPS // 2:08d}"


def test_a_process_that_fails_on_its_own_is_the_one_that_says_it(runs: Path) -> None:
    told(runs, "no_data", "the shard is gone")


def test_a_process_that_is_lost_without_a_word_is_told() -> None:
    store = torch.distributed.HashStore()
    gloo = RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer")

    assert world._is_of_others(gloo)
    assert not world._is_of_others(RuntimeError("shapes differ"))
    error = world._lost(store)
    assert type(error) is StageError
    assert "another process of the run was lost" in str(error)
    store.set(world._SAID, "")
    assert type(world._lost(store)) is world.SaidElsewhereError


def test_summaries_of_all_processes_are_one(runs: Path) -> None:
    told = [json.loads((runs / f"4/whole/summary-{rank}.json").read_text()) for rank in range(4)]

    assert [found["leads"] for found in told] == [True, False, False, False]
    assert {found["loss"] for found in told} == {told[0]["loss"]}

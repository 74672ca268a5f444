"""Whole fine-tunings: bit-exact resume, results, and the model opened again."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from corpus.cli import app
from corpus.errors import InputError, RecipeError
from corpus.settings import dump_yaml
from corpus.trainer.finetuning.config import FinetuneConfig, Kind
from corpus.trainer.finetuning.finetuned import open_finetuned
from corpus.trainer.finetuning.results import Step, Summary
from corpus.trainer.finetuning.run import finetune
from corpus.trainer.presets import Architecture
from corpus.trainer.pretrained import open_model
from tests.trainer.finetuning.conftest import FIELDS, pretrain, rows, write_lines

Recipe = Callable[..., FinetuneConfig]
FILES = ("results.json", "predictions.jsonl")


def quietly(step: Step) -> None:
    """Report nothing."""


def tensors(summary: Summary) -> dict[str, torch.Tensor]:
    folder = Path(summary.checkpoint)
    return load_file(folder / "model.safetensors") | load_file(folder / "training.safetensors")


def trajectory(summary: Summary) -> list[dict[str, Any]]:
    lines = (Path(summary.output) / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line) for line in lines]
    return [{k: v for k, v in step.items() if k != "examples_per_second"} for step in steps]


def assert_same_run(one: Summary, other: Summary) -> None:
    a, b = tensors(one), tensors(other)
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name
    assert trajectory(one) == trajectory(other)
    for name in FILES:
        assert (Path(one.output) / name).read_bytes() == (Path(other.output) / name).read_bytes()


@pytest.mark.parametrize("step", [2, 5, 7, 10])
def test_a_run_that_was_stopped_anywhere_ends_in_the_same_bits(recipe: Recipe, step: int) -> None:
    """Before any checkpoint, at the end of an epoch, behind one, and after the last step."""
    whole = finetune(recipe(output="whole"), report=quietly)

    def stop(metrics: Step) -> None:
        if metrics.step == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(recipe(output="stopped"), report=stop)
    torch.manual_seed(1234)  # another process has another random state
    resumed = finetune(recipe(output="stopped"), report=quietly)

    assert whole.steps == 10  # 37 examples in batches of 8, twice
    assert resumed.resumed_from == {2: None, 5: 4, 7: 5, 10: 8}[step]
    assert_same_run(whole, resumed)


def test_a_run_that_a_signal_stops_loses_no_step(recipe: Recipe) -> None:
    whole = finetune(recipe(output="whole"), report=quietly)

    def send(metrics: Step) -> None:
        if metrics.step == 6:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit):
        finetune(recipe(output="stopped"), report=send)
    resumed = finetune(recipe(output="stopped"), report=quietly)

    assert resumed.resumed_from == 7
    assert_same_run(whole, resumed)


def test_a_run_that_is_done_does_nothing_and_says_the_same(recipe: Recipe) -> None:
    first = finetune(recipe(), report=quietly)
    steps: list[Step] = []

    again = finetune(recipe(), report=steps.append)

    assert steps == []
    assert again.resumed_from == first.steps
    assert again.results == first.results


def test_a_fine_tuned_model_is_not_opened_as_a_pretrained_one(recipe: Recipe) -> None:
    tuned = finetune(recipe(epochs=1), report=quietly)

    with pytest.raises(InputError, match="fine-tuned") as caught:
        open_model(tuned.output)
    assert caught.value.where == tuned.checkpoint


def test_the_seed_and_lambda_and_the_initialization_matter(recipe: Recipe) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"seed": 6},
        {"lm_weight": 0.0},
        {"initialization": "random"},
    ]
    runs = [
        finetune(recipe(output=f"run-{n}", epochs=1, **change), report=quietly)
        for n, change in enumerate(changes)
    ]
    losses = [trajectory(run)[0] for run in runs]

    assert len({step["loss"] for step in losses}) == 4
    assert losses[2]["language_loss"] == 0
    assert losses[0]["loss"] == pytest.approx(
        losses[0]["task_loss"] + 0.5 * losses[0]["language_loss"]
    )
    # What was pretrained predicts these words better than what was not.
    assert losses[0]["language_loss"] < losses[3]["language_loss"] - 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 9}, "seed was 5 and is 9"),
        ({"epochs": 3}, "epochs was 2 and is 3"),
        ({"lm_weight": 0.0}, r"lm_weight was 0\.5 and is 0\.0"),
        ({"task": {"train": "{folder}/validation.jsonl"}}, "train was"),
        ({"task": {"fields": {"text": "first", "label": "label"}}}, "task was"),
    ],
)
def test_a_run_is_not_gone_on_with_under_other_settings(
    recipe: Recipe, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    finetune(recipe(), report=quietly)
    filled = json.loads(json.dumps(changes).replace("{folder}", str(tmp_path)))
    with pytest.raises(InputError, match=message):
        finetune(recipe(**filled), report=quietly)


@pytest.mark.parametrize("kind", list(FIELDS))
def test_every_kind_of_task_is_trained_evaluated_and_opened_again(
    recipe: Recipe, tmp_path: Path, kind: Kind
) -> None:
    test = write_lines(tmp_path / "test.jsonl", rows(9, seed=4))
    reported: list[Step] = []

    summary = finetune(recipe(kind, task={"test": test}), report=reported.append)

    assert [step.step for step in reported] == list(range(1, 11))
    assert [step.step for step in reported if step.validation] == [5, 10]
    assert [step.epoch for step in reported] == [1] * 5 + [2] * 5
    results = summary.results
    assert results == json.loads((Path(summary.output) / "results.json").read_text())
    assert {name: c["examples"] for name, c in results["counts"].items()} == {
        "train": 37,
        "validation": 20,
        "test": 9,
    }
    accuracy = results["evaluations"]["validation"]["measures"]["accuracy"]
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
    assert reported[-1].validation["accuracy"] == accuracy["value"]
    written = (Path(summary.output) / "predictions.jsonl").read_text().splitlines()
    lines = [json.loads(line) for line in written]
    right = [one["label"] == one["predicted"] for one in lines if one["split"] == "validation"]
    assert sum(right) / len(right) == accuracy["value"]
    for one in lines:
        given = one["probabilities"]
        values = list(given.values()) if isinstance(given, dict) else given
        assert sum(values) == pytest.approx(1)
        best = max(range(len(values)), key=values.__getitem__)
        assert one["predicted"] == (list(given)[best] if isinstance(given, dict) else best)

    opened = open_finetuned(summary.output)
    again = list(opened.predict(test, micro_batch=3))  # as in the run, for the same bits

    assert opened.step == 10
    wanted = [one for one in lines if one["split"] == "test"]
    assert [one["where"] for one in again] == [one["where"] for one in wanted]
    for a, b in zip(again, wanted, strict=True):
        assert (a["predicted"], a["probabilities"]) == (b["predicted"], b["probabilities"])
        assert a["label"] is None


# Layer normalization as in GPT-1, and bands as in GPT-3, where the trainer has them.
OTHER_SHAPES = [
    {name: value}
    for name, value in (("post_norm", True), ("window", 4))
    if name in {field.name for field in dataclasses.fields(Architecture)}
]


@pytest.mark.parametrize("shape", OTHER_SHAPES, ids=str)
def test_models_of_other_shapes_are_fine_tuned_as_well(
    recipe: Recipe, tmp_path: Path, shape: dict[str, Any]
) -> None:
    model = pretrain(tmp_path / "other", **shape)

    summary = finetune(recipe("similarity", model=model, epochs=1), report=quietly)

    opened = open_finetuned(summary.output)
    assert {name: getattr(opened.model.shape, name) for name in shape} == shape
    validation = str(tmp_path / "validation.jsonl")
    written = (Path(summary.output) / "predictions.jsonl").read_text().splitlines()
    for a, line in zip(opened.predict(validation, micro_batch=3), written, strict=True):
        assert a["probabilities"] == json.loads(line)["probabilities"]


def test_scores_are_predicted_on_their_own_scale(recipe: Recipe, tmp_path: Path) -> None:
    fields = FIELDS["similarity"] | {"label": "score"}
    task = {"fields": fields, "target": "score"}

    summary = finetune(
        recipe("similarity", task=task, epochs=12, dropout=0.0, lm_weight=0.0), report=quietly
    )

    found = summary.results["evaluations"]["validation"]["measures"]
    assert summary.results["metric"] == "pearson"
    assert found["pearson"]["value"] > 0.5
    assert found["rmse"]["value"] < found["rmse"]["baseline"]
    opened = open_finetuned(summary.checkpoint)
    predicted = [one["predicted"] for one in opened.predict(str(tmp_path / "validation.jsonl"))]
    assert 0 < min(predicted) < 3 < max(predicted) < 6


def test_texts_that_are_too_long_are_counted(recipe: Recipe, tmp_path: Path) -> None:
    long = [{"text": "x" * n, "label": str(n % 2)} for n in (5, 30, 31, 40)]
    path = write_lines(tmp_path / "long.jsonl", long)

    summary = finetune(recipe(task={"train": path, "labels": ["0", "1"],
                                    "validation": path}), report=quietly)  # fmt: skip

    counts = summary.results["counts"]["train"]
    assert (counts["cut_examples"], counts["cut_tokens"]) == (2, 1 + 10)


def test_an_unknown_label_stops_the_run_before_anything_is_written(
    recipe: Recipe, tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "other.jsonl", [{"text": "x", "label": "Maybe"}])
    with pytest.raises(InputError, match=r"other\.jsonl:1: the label 'Maybe' is unknown"):
        finetune(recipe(task={"test": path}), report=quietly)
    assert not (tmp_path / "run").exists()


def test_the_output_has_to_be_on_this_machine(recipe: Recipe) -> None:
    with pytest.raises(RecipeError, match="has to be on this machine"):
        finetune(recipe().model_copy(update={"output": "s3://bucket/run"}), report=quietly)


def test_a_run_leaves_the_random_state_of_its_caller(recipe: Recipe) -> None:
    torch.manual_seed(11)
    state = torch.get_rng_state()

    open_finetuned(finetune(recipe(epochs=1), report=quietly).output)

    assert torch.equal(state, torch.get_rng_state())


def test_models_are_not_taken_for_each_other(
    recipe: Recipe, pretrained: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="pretrained and not fine-tuned"):
        open_finetuned(pretrained)
    with pytest.raises(InputError, match="no fine-tuned model"):
        open_finetuned(str(tmp_path))
    tuned = finetune(recipe(epochs=1), report=quietly)
    with pytest.raises(InputError, match="this model was fine-tuned"):
        open_model(tuned.output)


def test_the_verb_trains_says_the_baseline_and_predicts(recipe: Recipe, tmp_path: Path) -> None:
    config = recipe(epochs=1)
    path = tmp_path / "finetune.yaml"
    settings = config.model_dump(mode="json", exclude_unset=True)
    path.write_text(dump_yaml(settings))

    trained = CliRunner().invoke(app, ["finetune", "--config", str(path)])
    predicted = CliRunner().invoke(
        app, ["finetune", "--config", str(path), "--predict", str(tmp_path / "validation.jsonl")]
    )

    assert trained.exit_code == predicted.exit_code == 0, (trained.output, predicted.output)
    assert "step 5/5, epoch 1: loss" in trained.output
    assert "validation accuracy: 0." in trained.output
    assert "majority baseline 0." in trained.output
    lines = [json.loads(line) for line in predicted.output.splitlines()]
    assert len(lines) == 20
    assert {line["predicted"] for line in lines} <= {"True", "False"}

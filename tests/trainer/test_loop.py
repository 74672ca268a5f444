"""Whole runs: bit-exact resume, falling loss, and what a run refuses to do."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from corpus import storage
from corpus.errors import InputError, OutputError, RecipeError, StageError
from corpus.trainer.config import TrainConfig
from corpus.trainer.loop import Summary, train
from corpus.trainer.metrics import Metrics


def recipe(mix: str, folder: Path, **changes: Any) -> TrainConfig:
    settings: dict[str, Any] = {
        "mixture": mix,
        "output": str(folder),
        "seed": 3,
        "device": "cpu",
        "model": {"n_layer": 2, "n_head": 2, "d_model": 32, "context": 16},
        "steps": 12,
        "batch_sequences": 6,
        "micro_batch": 4,
        "dropout": 0.1,
        "optimizer": {"learning_rate": 1e-2, "warmup_tokens": 200, "cosine_tokens": 2000},
        "validation": {"every": 6, "sequences": 4},
        "checkpoint": {"every": 3, "keep": 2},
        "report_every": 2,
        "sample": {"prompt": "the ", "tokens": 20},
    }
    return TrainConfig.model_validate(settings | changes)


def quietly(metrics: Metrics) -> None:
    """Report nothing."""


def rows(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def trajectory(output: Path) -> list[tuple[Any, ...]]:
    """Return what of the metrics is no clock."""
    names = ("step", "tokens", "loss", "learning_rate", "gradient_norm", "validation")
    return [tuple(str(row[name]) for name in names) for row in rows(output)]


def tensors(summary: Summary) -> dict[str, torch.Tensor]:
    folder = Path(summary.checkpoint)
    return load_file(folder / "model.safetensors") | load_file(folder / "training.safetensors")


def assert_same_run(one: Summary, other: Summary) -> None:
    a, b = tensors(one), tensors(other)
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name
    assert trajectory(Path(one.output)) == trajectory(Path(other.output))
    assert (one.sample, one.validation, one.loss) == (other.sample, other.validation, other.loss)


def test_a_run_made_in_two_parts_is_the_same_bits_as_one_in_one(mix: str, tmp_path: Path) -> None:
    """With dropout, a ragged micro-batch, warm-up, cosine and epochs of the small source."""
    whole = train(recipe(mix, tmp_path / "whole"), report=quietly)

    first = train(recipe(mix, tmp_path / "parts", steps=6), report=quietly)
    second = train(recipe(mix, tmp_path / "parts"), report=quietly)

    assert (first.resumed_from, second.resumed_from) == (None, 6)
    assert (whole.steps, whole.tokens) == (12, 12 * 6 * 16)
    assert_same_run(whole, second)


def test_a_run_made_in_two_parts_is_the_same_bits_on_a_ramp(mix: str, tmp_path: Path) -> None:
    """The batch grows twice in the second part."""
    ramp = {"from_tokens": 32, "over_tokens": 400}
    optimizer = {"learning_rate": 1e-2, "warmup_tokens": 100, "cosine_tokens": 2000}
    changes = {"ramp": ramp, "checkpoint_activations": True, "optimizer": optimizer}
    whole = train(recipe(mix, tmp_path / "whole", **changes), report=quietly)

    train(recipe(mix, tmp_path / "parts", steps=6, **changes), report=quietly)
    second = train(recipe(mix, tmp_path / "parts", **changes), report=quietly)

    sizes = [row["batch_sequences"] for row in rows(tmp_path / "whole")]
    assert sizes == [2] * 7 + [4] * 3 + [6] * 2
    assert second.tokens == sum(sizes) * 16
    assert second.resumed_from == 6
    assert_same_run(whole, second)


@pytest.mark.parametrize("step", [2, 8, 12])
def test_a_run_that_was_stopped_anywhere_ends_in_the_same_bits(
    mix: str, tmp_path: Path, step: int
) -> None:
    """Stopped before the first checkpoint, between two, and after the last step before its own."""
    whole = train(recipe(mix, tmp_path / "whole"), report=quietly)

    def stop(metrics: Metrics) -> None:
        if metrics.step == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe(mix, tmp_path / "stopped"), report=stop)
    torch.manual_seed(1234)  # another process has another random state
    resumed = train(recipe(mix, tmp_path / "stopped"), report=quietly)

    assert resumed.resumed_from == {2: None, 8: 6, 12: 9}[step]
    assert_same_run(whole, resumed)


def test_a_damaged_checkpoint_costs_its_steps_and_not_the_run(
    mix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = train(recipe(mix, tmp_path / "whole"), report=quietly)
    stopped = train(recipe(mix, tmp_path / "run", steps=9), report=quietly)
    weights = Path(stopped.checkpoint) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])

    with caplog.at_level(logging.WARNING):
        resumed = train(recipe(mix, tmp_path / "run"), report=quietly)

    assert resumed.resumed_from == 6
    assert "damaged checkpoint" in caplog.text
    assert_same_run(whole, resumed)


def test_a_damaged_checkpoint_does_not_take_the_place_of_a_whole_one(
    mix: str, tmp_path: Path
) -> None:
    """With one checkpoint kept, a damaged later one must not be the one that is."""
    stopped = train(recipe(mix, tmp_path / "run", steps=9), report=quietly)
    (Path(stopped.checkpoint) / "model.safetensors").unlink()

    def stop(metrics: Metrics) -> None:
        if metrics.step == 10:
            raise KeyboardInterrupt

    rarely = {"checkpoint": {"every": 8, "keep": 1}}
    with pytest.raises(KeyboardInterrupt):
        train(recipe(mix, tmp_path / "run", **rarely), report=stop)

    assert train(recipe(mix, tmp_path / "run", **rarely), report=quietly).resumed_from == 8


def test_a_run_that_is_done_does_nothing_and_says_the_same(mix: str, tmp_path: Path) -> None:
    first = train(recipe(mix, tmp_path / "run"), report=quietly)
    reported: list[Metrics] = []

    again = train(recipe(mix, tmp_path / "run"), report=reported.append)

    assert reported == []
    assert (again.resumed_from, again.loss) == (12, None)
    assert (again.sample, again.validation) == (first.sample, first.validation)
    assert len(rows(tmp_path / "run")) == 12


def test_the_loss_falls_from_that_of_a_guess_on_seen_and_on_held_out_text(
    mix: str, tmp_path: Path
) -> None:
    reported: list[Metrics] = []
    optimizer = {"learning_rate": 1e-2, "warmup_tokens": 500}
    changes = {"steps": 80, "batch_sequences": 8, "dropout": 0.0, "optimizer": optimizer}

    summary = train(recipe(mix, tmp_path / "run", **changes), report=reported.append)

    assert reported[0].loss == pytest.approx(5.55, abs=0.1)  # ln 257
    assert summary.loss is not None
    assert summary.loss < 2.6
    assert set(summary.validation) == {"prose", "verse"}
    assert max(summary.validation.values()) < 2.8


def test_every_step_is_reported_once_in_order_with_all_that_is_measured(
    mix: str, tmp_path: Path
) -> None:
    reported: list[Metrics] = []

    summary = train(recipe(mix, tmp_path / "run"), report=reported.append)

    assert [metrics.step for metrics in reported] == list(range(1, 13))
    assert [row["step"] for row in rows(tmp_path / "run")] == list(range(1, 13))
    assert [metrics.step for metrics in reported if metrics.validation] == [6, 12]
    assert reported[-1].tokens == 12 * 96
    assert reported[-1].loss == summary.loss
    assert reported[0].learning_rate == pytest.approx(1e-2 * 96 / 200)
    assert reported[-1].learning_rate > 1e-3
    assert all(m.tokens_per_second > 0 and m.gradient_norm > 0 for m in reported)
    assert all(0 <= m.data_wait < 5 for m in reported)
    assert summary.parameters == (257 + 16) * 32 + 2 * (12 * 32**2 + 13 * 32) + 2 * 32
    checkpoints = sorted(path.name for path in (tmp_path / "run/checkpoints").iterdir())
    assert checkpoints == ["step-00000009", "step-00000012"]
    assert (tmp_path / "run/sample.txt").read_text() == summary.sample
    assert summary.sample.startswith("the ")


def test_a_run_leaves_the_random_state_of_its_caller(mix: str, tmp_path: Path) -> None:
    torch.manual_seed(11)
    state = torch.get_rng_state()

    train(recipe(mix, tmp_path / "run", steps=4), report=quietly)

    assert torch.equal(state, torch.get_rng_state())


def test_samples_on_the_way_are_those_of_the_run_that_led_here(mix: str, tmp_path: Path) -> None:
    often = {"sample": {"prompt": "the ", "tokens": 5, "every": 4}}
    summary = train(recipe(mix, tmp_path / "whole", **often), report=quietly)

    def stop(metrics: Metrics) -> None:
        if metrics.step == 10:
            raise KeyboardInterrupt

    rarely = often | {"checkpoint": {"every": 6}}
    with pytest.raises(KeyboardInterrupt):
        train(recipe(mix, tmp_path / "parts", **rarely), report=stop)
    train(recipe(mix, tmp_path / "parts", **rarely), report=quietly)

    text = (tmp_path / "whole/samples.txt").read_text()
    assert re.findall(r"=== step (\d+) ===\n(the )", text) == [
        (n, "the ") for n in ("4", "8", "12")
    ]
    assert text.endswith(f"=== step 12 ===\n{summary.sample}\n\n")
    assert (tmp_path / "parts/samples.txt").read_text() == text


def test_the_held_out_loss_is_told_in_bits_a_byte_too(mix: str, tmp_path: Path) -> None:
    """One token is one byte in this vocabulary, but for the ends of documents."""
    summary = train(recipe(mix, tmp_path / "run", steps=6), report=quietly)

    row = rows(tmp_path / "run")[-1]
    assert row["bits_per_byte"] == dict(summary.bits_per_byte)
    assert summary.validation.keys() == summary.bits_per_byte.keys()
    for source, loss in summary.validation.items():
        bits = loss / math.log(2)
        assert bits <= summary.bits_per_byte[source] < 1.05 * bits


def test_another_seed_gives_another_run(mix: str, tmp_path: Path) -> None:
    one = train(recipe(mix, tmp_path / "one"), report=quietly)
    other = train(recipe(mix, tmp_path / "other", seed=4), report=quietly)

    assert one.loss != other.loss
    assert one.sample != other.sample


SIZES = {"n_layer": 2, "n_head": 2, "d_model": 32}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"model": {**SIZES, "context": 16, "vocabulary_size": 50_257}},
            InputError,
            "the model has 50,257 tokens and the mixture 257",
        ),
        ({"model": {"preset": "gpt2-small"}}, InputError, "50,257 tokens and the mixture 257"),
        ({"model": {**SIZES, "context": 8}}, InputError, "longer than the model's context of 8"),
        ({"mixture": "nowhere/mixture.json"}, InputError, "nowhere/mixture.json: there is no such"),
        ({"output": "s3://bucket/run"}, RecipeError, "has to be on this machine"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    mix: str, tmp_path: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        train(recipe(mix, tmp_path / "run", **changes), report=quietly)

    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_sequences": 4}, "batch_sequences was 6 and is 4"),
        ({"seed": 9}, "seed was 3 and is 9"),
        (
            {"ramp": {"from_tokens": 32, "over_tokens": 500}, "steps": 30},
            "ramp.over_tokens was None and is 500",
        ),
        ({"dropout": 0.0}, r"dropout was 0\.1 and is 0\.0"),
        ({"model": {**SIZES, "n_layer": 3, "context": 16}}, "model.n_layer was 2 and is 3"),
        ({"steps": 3}, "it has done 6 steps, and 3 are asked for"),
        (
            {"optimizer": {"learning_rate": 1e-2, "warmup_tokens": 100, "cosine_tokens": 2000}},
            "optimizer.warmup_tokens was 200 and is 100",
        ),
        (
            {"optimizer": {"learning_rate": 1e-2, "warmup_tokens": 200}},
            r"cosine_tokens was 2000 and is 998\. Set optimizer.cosine_tokens: 2000",
        ),
    ],
)
def test_a_run_does_not_go_on_with_other_settings(
    mix: str, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    train(recipe(mix, tmp_path / "run", steps=6), report=quietly)

    with pytest.raises(InputError, match=message):
        train(recipe(mix, tmp_path / "run", **changes), report=quietly)


def test_a_run_does_not_go_on_from_a_model_that_is_none_of_its_own(
    mix: str, tmp_path: Path
) -> None:
    """As `corpus model import` leaves one: it has a shape, and no settings of a training."""
    summary = train(recipe(mix, tmp_path / "run", steps=6), report=quietly)
    place = Path(summary.checkpoint) / "checkpoint.json"
    content = json.loads(place.read_text())
    content["settings"] = {k: v for k, v in content["settings"].items() if k.startswith("model.")}
    place.write_text(json.dumps(content))

    with pytest.raises(InputError, match="was not made by corpus train"):
        train(recipe(mix, tmp_path / "run"), report=quietly)


def test_a_run_that_is_refused_removes_nothing(mix: str, tmp_path: Path) -> None:
    """A damaged checkpoint is done again by the run that it is of, and touched by no other."""
    summary = train(recipe(mix, tmp_path / "run", steps=6), report=quietly)
    damaged = Path(summary.checkpoint) / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-4])

    with pytest.raises(InputError, match="other settings"):
        train(recipe(mix, tmp_path / "run", seed=4), report=quietly)

    assert damaged.exists()


def test_a_run_does_not_go_on_with_another_mix(
    mix: str, tmp_path: Path, write_mix: Callable[..., str]
) -> None:
    train(recipe(mix, tmp_path / "run", steps=3), report=quietly)

    with pytest.raises(InputError, match="started on another mixture"):
        train(recipe(write_mix(seed=2), tmp_path / "run"), report=quietly)


def test_a_folder_is_used_by_one_run_at_a_time(mix: str, tmp_path: Path) -> None:
    with storage.lock(str(tmp_path / "run")), pytest.raises(OutputError, match="another"):
        train(recipe(mix, tmp_path / "run"), report=quietly)


def test_a_run_that_diverges_stops_without_a_checkpoint_of_it(mix: str, tmp_path: Path) -> None:
    changes = {"optimizer": {"learning_rate": 1e30, "warmup_tokens": 0, "cosine_tokens": 2000}}

    with pytest.raises(StageError, match=r"the loss is (nan|inf)"):
        train(recipe(mix, tmp_path / "run", **changes), report=quietly)

    assert not (tmp_path / "run/checkpoints").exists()


def test_positions_that_are_never_trained_are_told(
    mix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        train(
            recipe(mix, tmp_path / "run", steps=3, model={**SIZES, "context": 20}), report=quietly
        )

    assert "positions from 16 to 19 of the context are not trained" in caplog.text

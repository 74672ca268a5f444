"""What is measured of a run: speed, share of the peak, time left, and when to stop it."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch

from corpus.errors import StageError
from corpus.trainer import flops
from corpus.trainer.meter import Meter, require_finite
from corpus.trainer.metrics import Metrics
from corpus.trainer.presets import Architecture
from corpus.trainer.schedule import Schedule, Stage
from corpus.trainer.world import World

PLAN = Schedule(10, 16, 4, (Stage(0, 0, 2), Stage(3, 6, 4)), 1e-3, 1e-4, 0, 1000)


def read(
    shape: Architecture, monkeypatch: pytest.MonkeyPatch, *, device: str = "cpu", **changes: Any
) -> list[Metrics]:
    """Return the metrics of steps 3 and 4 of PLAN, which have taken two seconds."""
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: changes["name"])
    meter = Meter(PLAN, shape, World(0, 1, torch.device(device)))
    now[0] += 50  # validation, a checkpoint
    meter.start()
    for step, wait in ((3, 0.5), (4, 0.25)):
        now[0] += 1
        meter.add(
            step,
            learning_rate=1e-3,
            data_wait=wait,
            loss=torch.tensor(float(step)),
            norm=torch.tensor(0.5),
        )
    return meter.read()


def test_speed_is_the_tokens_of_the_steps_over_their_time(
    shape: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    third, fourth = read(shape, monkeypatch)

    assert (third.step, third.loss, third.data_wait) == (3, 3.0, 0.5)
    assert (third.tokens, third.batch_sequences) == (6 * 16, 2)
    assert (fourth.tokens, fourth.batch_sequences) == (10 * 16, 4)
    assert third.tokens_per_second == fourth.tokens_per_second == (2 + 4) * 16 / 2
    assert fourth.seconds_left == pytest.approx((PLAN.tokens - 160) / 48)
    assert PLAN.tokens == (6 + 7 * 4) * 16
    assert fourth.mfu is None


def test_mfu_is_the_models_arithmetic_over_the_peak_of_the_device(
    shape: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, known = read(shape, monkeypatch, device="cuda", name="NVIDIA H200")
    _, unknown = read(shape, monkeypatch, device="cuda", name="NVIDIA Z9")

    assert known.mfu == pytest.approx(48 * flops.flops_per_token(shape, 16) / 989.4e12)
    assert unknown.mfu is None


@pytest.mark.parametrize("name", ["loss", "gradient_norm"])
def test_a_run_stops_at_what_is_no_number(
    shape: Architecture, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    import dataclasses

    _, step = read(shape, monkeypatch)
    require_finite(step, "run")

    with pytest.raises(StageError, match=r"run: the loss is .* at step 4.*has diverged"):
        require_finite(dataclasses.replace(step, **{name: float("nan")}), "run")

"""The measures of a run: steps that the device may still be at in, `Metrics` out.

Reading a loss waits for the device, so losses are left there until several are read at once.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from corpus.errors import StageError
from corpus.trainer import flops
from corpus.trainer.metrics import Metrics
from corpus.trainer.presets import Architecture
from corpus.trainer.schedule import Schedule
from corpus.trainer.world import World


@dataclass(frozen=True, slots=True)
class _Step:
    """A step whose loss has not been read yet."""

    step: int
    learning_rate: float
    data_wait: float
    loss: Tensor
    norm: Tensor


class Meter:
    """Collects steps, and the time that they take, between two looks at the loss."""

    def __init__(self, plan: Schedule, shape: Architecture, world: World) -> None:
        self._plan = plan
        self._world = world
        self._steps: list[_Step] = []
        self._operations = flops.flops_per_token(shape, plan.sequence_length)
        on_gpu = world.device.type == "cuda"
        name = torch.cuda.get_device_name(world.device) if on_gpu else ""
        self._peak = flops.peak_flops(name)
        self._start = time.perf_counter()

    def start(self) -> None:
        """Begin to count time: what came before (validation, checkpoints) is no training."""
        self._start = time.perf_counter()

    def add(
        self, step: int, *, learning_rate: float, data_wait: float, loss: Tensor, norm: Tensor
    ) -> None:
        """Take a step in, without waiting for it."""
        self._steps.append(_Step(step, learning_rate, data_wait, loss, norm))

    def read(self) -> list[Metrics]:
        """Return the metrics of the steps since the last time; all processes take part."""
        steps, self._steps = self._steps, []
        losses = self._world.mean(torch.stack([step.loss for step in steps])).tolist()
        norms = torch.stack([step.norm for step in steps]).tolist()
        waits = self._world.greatest(torch.tensor([step.data_wait for step in steps])).tolist()
        plan, total = self._plan, self._plan.tokens
        seen = plan.tokens_after(steps[-1].step) - plan.tokens_after(steps[0].step - 1)
        per_second = seen / (time.perf_counter() - self._start)
        mfu = None
        if self._peak is not None:
            mfu = per_second * self._operations / (self._peak * self._world.size)
        found = []
        for step, loss, norm, wait in zip(steps, losses, norms, waits, strict=True):
            tokens = plan.tokens_after(step.step)
            of_step = tokens - plan.tokens_after(step.step - 1)
            found.append(
                Metrics(
                    step=step.step,
                    steps=plan.steps,
                    tokens=tokens,
                    batch_sequences=of_step // plan.sequence_length,
                    loss=loss,
                    learning_rate=step.learning_rate,
                    gradient_norm=norm,
                    tokens_per_second=per_second,
                    data_wait=wait,
                    seconds_left=(total - tokens) / per_second,
                    mfu=mfu,
                )
            )
        return found


def require_finite(metrics: Metrics, where: str) -> None:
    """Stop a run that has diverged.

    Raises:
        StageError: The loss or the gradient is not a finite number.
    """
    if math.isfinite(metrics.loss) and math.isfinite(metrics.gradient_norm):
        return
    raise StageError(
        f"the loss is {metrics.loss} and the norm of the gradient {metrics.gradient_norm} at step "
        f"{metrics.step}",
        where=where,
        why="Training has diverged, or the weights were damaged",
        fix="Lower optimizer.learning_rate or lengthen optimizer.warmup_tokens, and start in "
        "another output folder",
    )

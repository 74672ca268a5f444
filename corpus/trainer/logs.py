"""Where metrics go: `metrics.jsonl` always, TensorBoard and Weights & Biases when asked for.

Neither of the two is a dependency: a run that asks for one that is not installed is refused before
it starts. Both get the numbers of `Metrics` by name (`loss`, `validation/<source>`, ...).
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from corpus import storage
from corpus.errors import RecipeError, StageError
from corpus.trainer.metrics import Metrics, MetricsFile

# What to import, and what to install when that fails.
_NEEDS = {
    "tensorboard": ("torch.utils.tensorboard", "tensorboard"),
    "wandb": ("wandb", "wandb"),
}


class Writer(Protocol):
    """Something that takes metrics."""

    def write(self, metrics: Metrics) -> None:
        """Take one step."""


def require_installed(names: Sequence[str]) -> None:
    """Check that what a recipe's `log` names can be imported.

    Raises:
        RecipeError: It cannot.
    """
    for name in names:
        module, package = _NEEDS[name]
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise RecipeError(
                f"metrics are to go to {name}, which is not installed",
                where="log",
                why=str(error),
                fix=f"Install it: pip install {package}; or leave it out of log",
            ) from error


@contextlib.contextmanager
def writers(
    output: str, *, names: Sequence[str], step: int, settings: Mapping[str, Any]
) -> Iterator[list[Writer]]:
    """Yield what takes the metrics of a run from `step` on, and close it in the end.

    Args:
        output: Folder of the run.
        names: The recipe's `log`.
        step: Step to go on from; what was logged beyond it is replaced.
        settings: Of the run, to be shown with it.
    """
    with contextlib.ExitStack() as stack:
        made: list[Writer] = [stack.enter_context(MetricsFile(output, step=step))]
        if "tensorboard" in names:
            made.append(stack.enter_context(_tensorboard(output, step)))
        if "wandb" in names:
            made.append(stack.enter_context(_wandb(output, settings)))
        yield made


def numbers(metrics: Metrics) -> dict[str, float]:
    """Return the numbers of a step by name, those of sources as `validation/<source>`."""
    found: dict[str, float] = {}
    for name, value in asdict(metrics).items():
        if isinstance(value, Mapping):
            found |= {f"{name}/{source}": of_source for source, of_source in value.items()}
        elif value is not None and name not in ("step", "steps"):
            found[name] = value
    return found


class _TensorBoard:
    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def write(self, metrics: Metrics) -> None:
        for name, value in numbers(metrics).items():
            self._writer.add_scalar(name, value, metrics.step)


@contextlib.contextmanager
def _tensorboard(output: str, step: int) -> Iterator[_TensorBoard]:
    from torch.utils.tensorboard import SummaryWriter

    # Steps from `purge_step` on that an earlier start of this run has logged are hidden.
    writer = SummaryWriter(storage.join(output, "tensorboard"), purge_step=step + 1)
    try:
        yield _TensorBoard(writer)
    finally:
        writer.close()


class _WandB:
    def __init__(self, run: Any) -> None:
        self._run = run

    def write(self, metrics: Metrics) -> None:
        self._run.log({**numbers(metrics), "step": metrics.step})


@contextlib.contextmanager
def _wandb(output: str, settings: Mapping[str, Any]) -> Iterator[_WandB]:
    import wandb

    # The same folder is the same run, so that one that goes on is one line in the plots.
    where = os.path.abspath(output)  # noqa: PTH100 - a path that need not exist yet
    try:
        run = wandb.init(
            id=hashlib.sha256(where.encode()).hexdigest()[:16],
            name=storage.name(output),
            dir=output,
            resume="allow",
            config=dict(settings),
        )
    except wandb.errors.Error as error:
        raise StageError(
            "Weights & Biases did not start",
            where="log",
            why=str(error).strip().splitlines()[0] if str(error) else type(error).__name__,
            fix="Log in with `wandb login`, or set WANDB_MODE=offline",
        ) from error
    run.define_metric("*", step_metric="step")  # its own counter would not go back to a checkpoint
    try:
        yield _WandB(run)
    finally:
        run.finish()

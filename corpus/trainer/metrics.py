"""What a run tells while it goes: one line of `metrics.jsonl` a step, and one on the terminal.

The file is cut back to the checkpoint when a run goes on from one, so that every step is there
once, with the values of the run that led to the final weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from corpus import storage
from corpus.errors import IntegrityError, OutputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

NAME = "metrics.jsonl"


@dataclass(frozen=True, slots=True)
class Metrics:
    """One optimizer step.

    Attributes:
        step: Its number, from 1.
        steps: Number of steps of the whole run.
        tokens: Tokens seen when it was done, since the start of training.
        batch_sequences: Sequences of its batch, over all processes.
        loss: Mean cross-entropy of its batch in nats a token, before the update.
        learning_rate: Of this step.
        gradient_norm: Global norm of the gradient before it was clipped.
        tokens_per_second: Mean since the last look at the loss, over all processes, without
            validation and checkpoints.
        data_wait: Seconds that the step waited for its batch; of all processes the longest.
        seconds_left: Until the last step, at this speed.
        mfu: Share of the devices' peak that the model's arithmetic uses (corpus.trainer.flops);
            None on a device whose peak is not known, such as a CPU.
        validation: Mean cross-entropy on the held-out sequences of each source, in nats a token;
            empty at most steps.
        bits_per_byte: The same in bits a byte of text, which vocabularies do not change.
    """

    step: int
    steps: int
    tokens: int
    batch_sequences: int
    loss: float
    learning_rate: float
    gradient_norm: float
    tokens_per_second: float
    data_wait: float
    seconds_left: float
    mfu: float | None = None
    validation: Mapping[str, float] = field(default_factory=dict)
    bits_per_byte: Mapping[str, float] = field(default_factory=dict)


def line(step: Metrics) -> str:
    """Return what a person reads of a step."""
    parts = [f"loss {step.loss:.3f}"]
    parts += [
        f"{source} {loss:.3f} ({step.bits_per_byte[source]:.3f} bits/byte)"
        if source in step.bits_per_byte
        else f"{source} {loss:.3f}"
        for source, loss in step.validation.items()
    ]
    parts.append(f"{step.tokens_per_second:,.0f} tokens/s")
    if step.mfu is not None:
        parts.append(f"MFU {step.mfu:.1%}")
    parts.append(f"waited {step.data_wait * 1000:.1f} ms for data")
    left = round(step.seconds_left)
    parts.append(f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02} left")
    return f"step {step.step}/{step.steps}: {', '.join(parts)}"


class MetricsFile:
    """Writes `metrics.jsonl` in a local folder.

    Args:
        output: The folder.
        step: Step to go on from: what the file holds beyond it is removed.

    Raises:
        IntegrityError: The file holds something else than metrics.
        OutputError: The folder cannot be written.
    """

    def __init__(self, output: str, *, step: int) -> None:
        self._path = path = storage.join(output, NAME)
        storage.write_bytes(path, b"".join(_lines_up_to(path, step)))
        # Appended to in place: it is a log, read line by line, and a torn last line is cut off
        # above. Everything else that the trainer writes is whole or not there.
        self._file = Path(path).open("ab", buffering=0)  # noqa: SIM115 - closed in __exit__

    def write(self, metrics: DataclassInstance) -> None:
        """Append one step, a dataclass with a field `step`, and hand it to the operating system.

        Raises:
            OutputError: The file cannot be written any more.
        """
        try:
            self._file.write(json.dumps(asdict(metrics), sort_keys=True).encode() + b"\n")
        except OSError as error:
            raise OutputError(
                "the metrics cannot be written",
                where=self._path,
                why=error.strerror or str(error),
                fix="Free some space and run the command again; it goes on from its checkpoint",
            ) from error

    def __enter__(self) -> MetricsFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


def _lines_up_to(path: str, step: int) -> list[bytes]:
    """Return the whole lines of the steps up to `step`; none when there is no file."""
    if not storage.exists(path):
        return []
    kept: list[bytes] = []
    for line in storage.read_bytes(path).splitlines(keepends=True):
        # A line without its end is one that a killed process did not finish.
        if not line.endswith(b"\n") or _step(line, f"{path}:{len(kept) + 1}") > step:
            break
        kept.append(line)
    return kept


def _step(line: bytes, where: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            "this line is not one of the trainer's metrics",
            where=where,
            why=repr(error),
            fix="Move the file away; the run goes on without it",
        ) from error

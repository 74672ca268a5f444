"""What a person sees while a stage runs: a bar on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol, TextIO

from corpus.manifest import Shard

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


class Progress(Protocol):
    """What stages tell while they run."""

    def begin(self) -> None:
        """A stage begins."""

    def start(self, stage: str, *, total: int, reused: int, shards: int) -> None:
        """A step of it: `total` units of work are left, `reused` of its shards are there."""

    def advance(self, shard: Shard, weight: int) -> None:
        """A shard is made; it was `weight` units of work."""

    def end(self, line: str) -> None:
        """The stage is complete; `line` says what came of it."""

    def close(self) -> None:
        """The build has ended, well or not."""


class Silent:
    """Says nothing."""

    def begin(self) -> None:
        """See `Progress.begin`."""

    def start(self, stage: str, *, total: int, reused: int, shards: int) -> None:
        """See `Progress.start`."""

    def advance(self, shard: Shard, weight: int) -> None:
        """See `Progress.advance`."""

    def end(self, line: str) -> None:
        """See `Progress.end`."""

    def close(self) -> None:
        """See `Progress.close`."""


class Lines:
    """Plain lines: when a stage begins, every so often, and when it ends.

    Args:
        out: Where to.
        every: Least seconds between two lines of one stage.
    """

    def __init__(self, out: TextIO | None = None, every: float = 10.0) -> None:
        self._out = out or sys.stderr
        self._every = every
        self._stage = ""
        self._total = self._done = self._rows = 0
        self._began = self._stepped = self._said = 0.0

    def begin(self) -> None:
        """See `Progress.begin`."""
        self._began = time.monotonic()

    def start(self, stage: str, *, total: int, reused: int, shards: int) -> None:
        """See `Progress.start`."""
        self._stage, self._total, self._done, self._rows = stage, total, 0, 0
        self._stepped = self._said = time.monotonic()
        left = f"{shards - reused} of {shards} shards to make" if reused else f"{shards} shards"
        print(f"{stage}: {left}", file=self._out, flush=True)

    def advance(self, shard: Shard, weight: int) -> None:
        """See `Progress.advance`."""
        self._done += weight
        self._rows += shard.counts.into
        now = time.monotonic()
        if now - self._said >= self._every and self._done < self._total:
            self._said = now
            print(f"{self._stage}: {self._line(now)}", file=self._out, flush=True)

    def _line(self, now: float) -> str:
        seconds = max(now - self._stepped, 1e-9)
        share = self._done / max(self._total, 1)
        left = seconds * (1 - share) / max(share, 1e-9)
        return f"{share:.0%}, {self._rows / seconds:,.0f} documents/s, {left:.0f} s left"

    def end(self, line: str) -> None:
        """See `Progress.end`."""
        seconds = time.monotonic() - self._began
        print(f"{line} [{seconds:.1f} s]", file=self._out, flush=True)

    def close(self) -> None:
        """See `Progress.close`."""


class Terminal:
    """A bar with share done, documents per second and time left."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._began = self._stepped = 0.0
        self._rows = 0

    def begin(self) -> None:
        """See `Progress.begin`."""
        self._began = time.monotonic()

    def start(self, stage: str, *, total: int, reused: int, shards: int) -> None:
        """See `Progress.start`."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.close()
        self._stepped, self._rows = time.monotonic(), 0
        self._bar = Progress(
            TextColumn("{task.description:<14}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task(stage, total=max(total, 1), rate="")

    def advance(self, shard: Shard, weight: int) -> None:
        """See `Progress.advance`."""
        self._rows += shard.counts.into
        seconds = max(time.monotonic() - self._stepped, 1e-9)
        if self._bar is not None and self._task is not None:
            rate = f"{self._rows / seconds:,.0f} documents/s"
            self._bar.update(self._task, advance=weight, rate=rate)

    def end(self, line: str) -> None:
        """See `Progress.end`."""
        self.close()
        print(f"{line} [{time.monotonic() - self._began:.1f} s]", file=sys.stderr)

    def close(self) -> None:
        """See `Progress.close`. Without it the terminal would stay without its cursor."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def make_progress(json_output: bool) -> Progress:
    """Return what suits standard error: a bar on a terminal, lines in a pipe, nothing for JSON."""
    if json_output:
        return Silent()
    return Terminal() if sys.stderr.isatty() else Lines()

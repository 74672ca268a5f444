"""What a person sees while a stage runs: a bar on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TextIO

from corpus.manifest import Shard
from corpus.metering.usage import Spending

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


class Progress(Protocol):
    """What stages tell while they run."""

    def begin(self) -> None:
        """A stage begins."""

    def start(self, stage: str, *, total: int, reused: int, shards: int) -> None:
        """A step of it: `total` units of work are left, `reused` of its shards are there."""

    def watch(self, status: Callable[[], str]) -> None:
        """Until the stage ends, what `status` returns says how it goes; "" for nothing to say."""

    def advance(self, shard: Shard | None, weight: int) -> None:
        """A shard (or a task without one) is done; it was `weight` units of work."""

    def spent(self, spending: Spending) -> None:
        """A task is done, and this is what it has cost."""

    def end(self, line: str) -> None:
        """The stage is complete; `line` says what came of it."""

    def close(self) -> None:
        """The build has ended, well or not."""


class _Ticker:
    """Calls something every so often, from a thread of its own, until it is stopped."""

    def __init__(self, every: float, function: Callable[[], None]) -> None:
        self._over = threading.Event()
        self._every = every
        self._function = function
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(self._every):
            self._function()

    def stop(self) -> None:
        """Call no more; a call that has begun is over when this returns."""
        self._over.set()
        self._thread.join()


class Silent:
    """Says nothing."""

    def begin(self) -> None:
        """See `Progress.begin`."""

    def start(self, stage: str, *, total: int, reused: int, shards: int) -> None:
        """See `Progress.start`."""

    def watch(self, status: Callable[[], str]) -> None:
        """See `Progress.watch`."""

    def advance(self, shard: Shard | None, weight: int) -> None:
        """See `Progress.advance`."""

    def spent(self, spending: Spending) -> None:
        """See `Progress.spent`."""

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
        self._left = 0
        self._status: Callable[[], str] | None = None
        self._ticker: _Ticker | None = None
        self._lock = threading.Lock()

    def begin(self) -> None:
        """See `Progress.begin`."""
        self._began = time.monotonic()

    def start(self, stage: str, *, total: int, reused: int, shards: int) -> None:
        """See `Progress.start`."""
        self._stage, self._total, self._done, self._rows = stage, total, 0, 0
        self._left = shards - reused
        self._stepped = self._said = time.monotonic()
        left = f"{shards - reused} of {shards} shards to make" if reused else f"{shards} shards"
        print(f"{stage}: {left}", file=self._out, flush=True)

    def advance(self, shard: Shard | None, weight: int) -> None:
        """See `Progress.advance`."""
        self._done += weight
        self._rows += shard.counts.into if shard else 0
        self._left -= 1
        self._say()

    def watch(self, status: Callable[[], str]) -> None:
        """See `Progress.watch`: a server may ask for a pause of a quarter of an hour."""
        self._status = status
        self._ticker = _Ticker(max(self._every, 0.1), self._say)

    def _say(self) -> None:
        with self._lock:
            now = time.monotonic()
            if now - self._said >= self._every and self._done < self._total:
                self._said = now
                print(f"{self._stage}: {self._line(now)}", file=self._out, flush=True)

    def _line(self, now: float) -> str:
        seconds = max(now - self._stepped, 1e-9)
        share = self._done / max(self._total, 1)
        rate = f"{self._rows / seconds:,.0f} documents/s"
        if self._status is not None:
            rate = ", ".join(filter(None, (self._status(), f"{self._left} files left")))
        if not share:
            return f"0%, {rate}"
        return f"{share:.0%}, {rate}, {seconds * (1 - share) / share:.0f} s left"

    def spent(self, spending: Spending) -> None:
        """See `Progress.spent`."""

    def end(self, line: str) -> None:
        """See `Progress.end`."""
        status = self._status() if self._status is not None else ""
        self.close()
        line = f"{line}, {status}" if status else line
        seconds = time.monotonic() - self._began
        print(f"{line} [{seconds:.1f} s]", file=self._out, flush=True)

    def close(self) -> None:
        """See `Progress.close`."""
        if self._ticker is not None:
            self._ticker.stop()
        self._ticker = self._status = None


class Terminal:
    """A bar with share done, documents per second and time left."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._began = self._stepped = 0.0
        self._rows = self._left = 0
        self._status: Callable[[], str] | None = None
        self._ticker: _Ticker | None = None

    def begin(self) -> None:
        """See `Progress.begin`."""
        self._began = time.monotonic()

    def start(self, stage: str, *, total: int, reused: int, shards: int) -> None:
        """See `Progress.start`."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._stop_bar()
        self._stepped, self._rows, self._left = time.monotonic(), 0, shards - reused
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

    def advance(self, shard: Shard | None, weight: int) -> None:
        """See `Progress.advance`."""
        self._rows += shard.counts.into if shard else 0
        self._left -= 1
        self._show(weight)

    def watch(self, status: Callable[[], str]) -> None:
        """See `Progress.watch`."""
        self._status = status
        self._ticker = _Ticker(0.5, lambda: self._show(0))

    def _show(self, weight: int) -> None:
        seconds = max(time.monotonic() - self._stepped, 1e-9)
        rate = f"{self._rows / seconds:,.0f} documents/s"
        if self._status is not None:
            rate = ", ".join(filter(None, (self._status(), f"{self._left} files left")))
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=weight, rate=rate)

    def spent(self, spending: Spending) -> None:
        """See `Progress.spent`."""

    def end(self, line: str) -> None:
        """See `Progress.end`."""
        status = self._status() if self._status is not None else ""
        self.close()
        line = f"{line}, {status}" if status else line
        print(f"{line} [{time.monotonic() - self._began:.1f} s]", file=sys.stderr)

    def close(self) -> None:
        """See `Progress.close`. Without it the terminal would stay without its cursor."""
        if self._ticker is not None:
            self._ticker.stop()
        self._ticker = self._status = None
        self._stop_bar()

    def _stop_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def make_progress(json_output: bool) -> Progress:
    """Return what suits standard error: a bar on a terminal, lines in a pipe, nothing for JSON."""
    if json_output:
        return Silent()
    return Terminal() if sys.stderr.isatty() else Lines()

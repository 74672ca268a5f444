"""One rate limit and one circuit breaker for everything that downloads on a machine.

Common Crawl serves all of its readers from one bucket and asks them to retry "no more than once
per second" and to slow down on anything unusual (status.commoncrawl.org). Twenty workers that
each keep to that would ask twenty times a second, so the limit is kept in a file: every process
of a run that is given the same `folder` draws from the same bucket, whether it is a local worker
or a Ray worker of that node. `flock` serialises the draws; it has to be a local folder. Nodes
share nothing: each takes its equal part of the limit (`requests_per_second / nodes`).

The state is one record of fixed size, rewritten in place under the lock. A process killed while
it holds the lock releases it, and a write of 56 bytes is never half done by a kill. Nothing in
it influences the bytes of a corpus, only when they arrive.

Three things slow everybody down:

* the token bucket, of capacity one: in any T seconds at most `1 + T * rate` requests start;
* a throttling answer (503, 429): the rate halves, and grows back with answers that are good;
  a Retry-After pauses everybody, for at most `longest_pause` seconds;
* a refusal (403, what Common Crawl's front sends to an address that asks too much): the breaker
  opens and nobody asks anything for `cooldown` seconds. Then one request is let through, and the
  rest follow if it succeeds. Every refusal in a row doubles the pause; after `cooldowns` of them
  the run gives up.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

from corpus.errors import FetchError

_RECORD = struct.Struct("<7d")
_SLOWEST = 1 / 64  # the rate is never throttled below this share of the limit
_RECOVERY = 1.1  # a good answer raises a throttled rate by a tenth
_HALVING_INTERVAL = 1.0  # seconds; one overload, seen by many workers, halves the rate once
_POLL = 0.2  # seconds between two looks at a probe that another worker has in flight


@dataclass(slots=True)
class _State:
    """What the workers of a machine share; times are seconds of the wall clock."""

    tokens: float  # below zero while workers wait for the slots that they have reserved
    refilled: float  # when `tokens` was last brought up to date
    paused_until: float
    refusals: float  # in a row, without a good answer between them
    probe: float  # when the one request after a cool-down set out; 0 when there is none
    share: float  # of the limit, (0, 1]
    halved: float  # when `share` was last halved


@dataclass(frozen=True, slots=True)
class Politeness:
    """How fast, and how patiently, the workers of this machine may ask. Plain data: it pickles.

    Attributes:
        folder: A local folder for the shared state. A fresh one for each run, or the same again.
        requests_per_second: The limit of the whole run, over all nodes.
        nodes: How many nodes share that limit.
        cooldown: Seconds without any request after the first refusal (403).
        cooldowns: How many cool-downs in a row before the run gives up.
        backoff: Seconds; the n-th retry waits a uniform draw from [0, backoff * 2**n]
            ("full jitter").
        longest_pause: Seconds; the bound of a backoff, of a Retry-After and of a cool-down.
    """

    folder: str
    requests_per_second: float
    nodes: int
    cooldown: float
    cooldowns: int
    backoff: float
    longest_pause: float

    def __post_init__(self) -> None:
        if not self.requests_per_second > 0 or self.nodes < 1:
            raise ValueError("requests_per_second and nodes have to be positive")

    def wait(self, url: str) -> None:
        """Return when one request may be sent.

        Args:
            url: What is going to be asked for; named in the error.

        Raises:
            FetchError: The server has refused this machine once too often.
        """
        while True:
            with self._state() as state:
                now = time.time()
                delay, granted = self._turn(state, now, url)
            time.sleep(delay)
            if not granted:
                continue
            with self._state() as state:
                # Somebody may have been refused while this worker waited for its slot.
                if state.paused_until <= time.time() or state.probe:
                    return

    def succeeded(self) -> None:
        """Record a good answer: the breaker closes, a throttled rate grows back."""
        with self._state() as state:
            state.refusals = state.probe = 0.0
            state.share = min(1.0, state.share * _RECOVERY)

    def throttled(self, retry_after: float | None) -> None:
        """Record a 503, a 429 or an error page in their place.

        Args:
            retry_after: Seconds that the server asks for, or None when it names none.
        """
        with self._state() as state:
            now = time.time()
            state.probe = 0.0
            if now - state.halved >= _HALVING_INTERVAL:
                state.share, state.halved = max(_SLOWEST, state.share / 2), now
            if retry_after is not None:
                pause = min(max(0.0, retry_after), self.longest_pause)
                state.paused_until = max(state.paused_until, now + pause)

    def refused(self) -> bool:
        """Record a 403 and open the breaker.

        Returns:
            Whether the run goes on after the cool-down; False when it gives up.
        """
        with self._state() as state:
            now = time.time()
            state.probe = 0.0
            # Requests that were in flight when the breaker opened are not a second refusal.
            if state.paused_until <= now or not state.refusals:
                state.refusals += 1
                pause = self.cooldown * 2 ** min(state.refusals - 1, 32)
                state.paused_until = now + min(pause, self.longest_pause)
            return state.refusals <= self.cooldowns

    def unanswered(self) -> None:
        """Record a request that got no answer to judge by: another may probe an open breaker."""
        with self._state() as state:
            state.probe = 0.0

    def _turn(self, state: _State, now: float, url: str) -> tuple[float, bool]:
        """Return the seconds to sleep, and whether the request may go after them."""
        # A clock that was set back must not stop the run for longer than any pause can be.
        state.paused_until = min(state.paused_until, now + self.longest_pause)
        paused = state.paused_until - now
        if state.refusals > self.cooldowns:
            if paused > 0:
                raise FetchError(
                    f"the server refused (403) {int(state.refusals)} times in a row",
                    where=url,
                    why="It blocks addresses that ask too often, or the file is not public.",
                    fix=f"Wait {paused:.0f} s or more, then run the same command with a lower "
                    "requests_per_second; what is downloaded already is kept.",
                )
            state.refusals = 0.0  # a later run, after the pause, starts afresh
        if paused > 0:
            return paused, False
        if state.refusals:
            # Half open: one worker asks; its promise lapses, since it may have been killed.
            if 0 <= now - state.probe < self.cooldown:
                return _POLL, False
            state.probe = now
        rate = self.requests_per_second / self.nodes * state.share
        passed = max(0.0, now - state.refilled)
        state.tokens = min(1.0, state.tokens + passed * rate) - 1.0
        state.refilled = now
        return max(0.0, -state.tokens / rate), True

    @contextmanager
    def _state(self) -> Iterator[_State]:
        path = Path(self.folder) / "politeness.state"
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            record = os.pread(descriptor, _RECORD.size, 0)
            if len(record) == _RECORD.size:
                state = _State(*_RECORD.unpack(record))
            else:  # just created
                state = _State(1.0, time.time(), 0.0, 0.0, 0.0, 1.0, 0.0)
            try:
                yield state
            finally:
                os.pwrite(descriptor, _RECORD.pack(*astuple(state)), 0)
        finally:
            # Unlocked by name: a process forked meanwhile has the descriptor open as well.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

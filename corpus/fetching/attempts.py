"""Requests for one file, one after the other: when to ask, when to ask again, when to give up.

What is asked for, and what is done with the answer, is the caller's: `corpus.fetching.fetch` for
whole files, `corpus.fetching.ranges` for parts of them.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from corpus.errors import FetchError
from corpus.fetching.keeper import Keeper
from corpus.fetching.politeness import Politeness
from corpus.fetching.transport import Fault, is_remote

_UNANSWERED = ("connection", "reset", "stall")  # faults that may come before the first byte


@dataclass(slots=True)
class Attempts:
    """The requests for one file, and what went wrong with them.

    Attributes:
        url: The file.
        politeness: Shared rate limit and circuit breaker; local files do not use them.
        most: Requests in a row that may fail without bringing bytes.
        requests: Requests made, failed ones counted.
        faults: How often what went wrong, by kind.
        failures: Requests in a row that have failed.
        heard: Whether the server is known to have answered in this run.
        since: When the first request to a server that is not was sent; seconds of no clock.
    """

    url: str
    politeness: Politeness
    most: int
    requests: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    failures: int = 0
    heard: bool = False
    since: float | None = None

    @property
    def remote(self) -> bool:
        """Whether a server is asked, as against a local disk."""
        return is_remote(self.url)

    @property
    def keeper(self) -> Keeper:
        """What all downloads of the run share."""
        return self.politeness.keeper

    def begin(self) -> None:
        """Wait for the turn of the next request, and count it.

        Raises:
            FetchError: The run has given up on the server.
        """
        if self.remote:
            self.politeness.wait(self.url)
            self.since = self.since or time.monotonic()
        self.requests += 1
        self.keeper.add(requests=1)

    def counted(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Pass blocks on and count their bytes."""
        count, told = 0, time.monotonic()
        try:
            for block in blocks:
                count += len(block)
                if time.monotonic() - told >= self.keeper.every:
                    self.keeper.add(count=count)
                    count, told = 0, time.monotonic()
                yield block
        finally:
            self.keeper.add(count=count)

    def answered(self) -> None:
        """Tell everybody of a plain answer, even one that is not what was hoped for."""
        if self.remote:
            self._hear()
            self.politeness.succeeded()

    def _hear(self) -> None:
        if not self.heard:
            self.politeness.hear(self.url)
            self.heard = True

    def succeeded(self) -> None:
        """The request brought what it was made for."""
        self.failures = 0

    def note(self, kind: str) -> None:
        """Count something that went wrong without a request having failed."""
        self.faults[kind] += 1
        self.keeper.add(fault=kind)

    def failed(self, fault: Fault, *, advanced: bool, fix: str) -> None:
        """Count a fault, tell everybody what it means for them, then wait as long as it asks for.

        Args:
            fault: What went wrong.
            advanced: The request brought bytes, so that it is no failure in a row.
            fix: The next step for a person when this was one failure too many.

        Raises:
            FetchError: It was.
        """
        self.note(fault.kind)
        self.failures = 1 + (0 if advanced else self.failures)
        going_on = self._tell(fault) if self.remote else True
        if not going_on or self.failures >= self.most:
            if fault.kind == "forbidden":
                fix = f"Check that the address is right and the file public. {fix}"
            raise FetchError(
                f"given up after {self.failures} failed requests in a row",
                where=self.url,
                why=f"The last one: {fault}",
                fix=f"{fix} If the server refuses or throttles, lower requests_per_second first.",
            ) from fault
        longest = self.politeness.limits.longest_pause
        pause = random.uniform(0.0, min(longest, self.politeness.backoff * 2.0**self.failures))
        if self.remote:
            pause = self._bounded(pause, fault)
        time.sleep(max(pause, min(fault.retry_after or 0.0, longest)))

    def _tell(self, fault: Fault) -> bool:
        """Tell everybody what a fault means for them; return whether the run goes on."""
        if fault.kind not in _UNANSWERED:
            self._hear()
        if fault.kind == "forbidden":
            return self.politeness.refused(fault.retry_after)
        if fault.kind in ("throttled", "error_page"):
            self.politeness.throttled(fault.retry_after)
        else:
            self.politeness.unanswered()
        return True

    def _bounded(self, pause: float, fault: Fault) -> float:
        """Return a pause that ends with the patience for a server that has never answered.

        A server that has may be down for a while; one that has not may be misspelt, or there may
        be no network at all.

        Raises:
            FetchError: The patience has ended.
        """
        self.heard = self.heard or self.politeness.heard_from(self.url)
        if self.heard or self.since is None:
            return pause
        left = self.since + self.politeness.patience - time.monotonic()
        if left <= 0:
            raise FetchError(
                f"the server cannot be reached, tried for {self.politeness.patience:.0f} s",
                where=self.url,
                why=f"It has not answered at all in this run. The last try: {fault}",
                fix="Check the network, the proxy (https_proxy) and the address; then run the same "
                "command again.",
            ) from fault
        return min(pause, left)

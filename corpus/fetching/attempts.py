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
from corpus.fetching.politeness import Politeness
from corpus.fetching.tally import Tally
from corpus.fetching.transport import Fault, is_remote

_COUNTED = 1 << 20  # bytes that are counted at a time


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
    """

    url: str
    politeness: Politeness
    most: int
    requests: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    failures: int = 0

    @property
    def remote(self) -> bool:
        """Whether a server is asked, as against a local disk."""
        return is_remote(self.url)

    @property
    def tally(self) -> Tally:
        """What all downloads of the machine have come to."""
        return Tally(self.politeness.folder)

    def begin(self) -> None:
        """Wait for the turn of the next request, and count it.

        Raises:
            FetchError: The run has given up on the server.
        """
        if self.remote:
            self.politeness.wait(self.url)
        self.requests += 1
        self.tally.add(requests=1)

    def counted(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Pass blocks on and count their bytes."""
        count = 0
        try:
            for block in blocks:
                count += len(block)
                if count >= _COUNTED:
                    self.tally.add(count=count)
                    count = 0
                yield block
        finally:
            self.tally.add(count=count)

    def answered(self) -> None:
        """Tell everybody of a plain answer, even one that is not what was hoped for."""
        if self.remote:
            self.politeness.succeeded()

    def succeeded(self) -> None:
        """The request brought what it was made for."""
        self.failures = 0

    def note(self, kind: str) -> None:
        """Count something that went wrong without a request having failed."""
        self.faults[kind] += 1
        self.tally.add(fault=kind)

    def failed(self, fault: Fault, *, advanced: bool, fix: str) -> None:
        """Count a fault, tell everybody what it means for them, then wait as long as it asks for.

        Args:
            fault: What went wrong.
            advanced: The request brought bytes, so that it is no failure in a row.
            fix: The next step for a person when this was one failure too many.

        Raises:
            FetchError: It was.
        """
        politeness = self.politeness
        self.note(fault.kind)
        self.failures = 1 + (0 if advanced else self.failures)
        going_on = True
        if self.remote:
            if fault.kind == "forbidden":
                going_on = politeness.refused()
            elif fault.kind in ("throttled", "error_page"):
                politeness.throttled(fault.retry_after)
            else:
                politeness.unanswered()
        if not going_on or self.failures >= self.most:
            raise FetchError(
                f"given up after {self.failures} failed requests in a row",
                where=self.url,
                why=f"The last one: {fault}",
                fix=f"{fix} If the server refuses or throttles, lower requests_per_second first.",
            ) from fault
        longest = politeness.longest_pause
        pause = random.uniform(0.0, min(longest, politeness.backoff * 2.0**self.failures))
        time.sleep(max(pause, min(fault.retry_after or 0.0, longest)))

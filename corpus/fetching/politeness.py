"""One rate limit and one circuit breaker for everything that a run downloads.

Common Crawl serves all of its readers from one bucket and asks them to retry "no more than once
per second" and to slow down on anything unusual (status.commoncrawl.org). Twenty workers that
each keep to that would ask twenty times a second, so all workers of a run, on all machines, go by
one state (`corpus.fetching.keeper`), and what one of them has seen is known to all. What the state
says is the business of `corpus.fetching.limiter`; here a worker waits for its turn, and tells what
became of it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from corpus.errors import FetchError
from corpus.fetching.keeper import Keeper
from corpus.fetching.limiter import Limits, Ticket

_POLLS = 0.2, 5.0  # seconds, doubled: first and longest wait for a probe that another has in flight


@dataclass(frozen=True, slots=True)
class Politeness:
    """How fast, and how patiently, the workers of a run may ask. Plain data: it pickles.

    Attributes:
        keeper: Where the shared state is.
        limits: Rate and breaker, of the whole run.
        backoff: Seconds; the n-th retry waits a uniform draw from [0, backoff * 2**n]
            ("full jitter").
        patience: Seconds that a server is tried for which has not answered in this run.
    """

    keeper: Keeper
    limits: Limits
    backoff: float
    patience: float

    def wait(self, url: str) -> None:
        """Return when one request may be sent.

        Args:
            url: What is going to be asked for; named in the error.

        Raises:
            FetchError: The server has refused this run once too often.
        """
        ticket: Ticket | None = None
        poll, longest = _POLLS
        while True:
            turn = self.keeper.turn(self.limits, ticket)
            if turn.refused:
                raise FetchError(
                    f"the server refused (403) {turn.refused} times in a row",
                    where=url,
                    why="It blocks addresses that ask too often, or the file is not public.",
                    fix=f"Wait {turn.seconds:.0f} s or more, then run the same command with a "
                    "lower crawl.requests_per_second; what is downloaded already is kept.",
                )
            if turn.goes:
                return
            ticket = turn.ticket
            if turn.probed:
                time.sleep(min(poll, self.limits.cooldown))
                poll = min(2 * poll, longest)
            else:
                time.sleep(turn.seconds)

    def succeeded(self) -> None:
        """Record a good answer: the breaker closes, a throttled rate grows back."""
        self.keeper.succeeded()

    def throttled(self, retry_after: float | None) -> None:
        """Record a 503, a 429 or an error page in their place; and the seconds it asks for."""
        self.keeper.throttled(self.limits, retry_after)

    def refused(self, retry_after: float | None = None) -> bool:
        """Record a 403 and open the breaker; say whether the run goes on after the cool-down."""
        return self.keeper.refused(self.limits, retry_after)

    def unanswered(self) -> None:
        """Record a request that got no answer to judge by."""
        self.keeper.unanswered()

    def heard_from(self, url: str) -> bool:
        """Say whether the server of a file has answered anything in this run."""
        return self.keeper.heard_from(_server(url))

    def hear(self, url: str) -> None:
        """Record that it has."""
        self.keeper.hear(_server(url))


def _server(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"

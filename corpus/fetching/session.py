"""How the downloads of one build behave: plain data, made from the recipe, that travels to workers.

In: the recipe's `crawl` section, and where the state lies that all of them share. Out: a `Session`.
"""

from __future__ import annotations

from dataclasses import dataclass

from corpus.config import Crawl
from corpus.fetching.keeper import Keeper
from corpus.fetching.limiter import Limits
from corpus.fetching.politeness import Politeness


@dataclass(frozen=True, slots=True)
class Session:
    """How to ask.

    Attributes:
        politeness: Shared rate limit and circuit breaker.
        user_agent: Honest name of this program and how to reach its user.
        timeout: Seconds for a connection, and for each wait for more bytes.
        attempts: Requests in a row that may fail without bringing bytes.
    """

    politeness: Politeness
    user_agent: str
    timeout: float
    attempts: int


def make_session(settings: Crawl, keeper: Keeper) -> Session:
    """Return the session of a build whose downloads share a keeper."""
    limits = Limits(
        settings.requests_per_second,
        settings.cooldown,
        settings.cooldowns,
        settings.longest_pause,
    )
    politeness = Politeness(keeper, limits, settings.backoff, settings.patience)
    return Session(politeness, settings.user_agent, settings.timeout, settings.attempts)

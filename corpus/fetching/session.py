"""How the downloads of one build behave: plain data, made from the recipe, that travels to workers.

In: the recipe's `crawl` section. Out: a `Session`, the same for all steps of a build, so that they
share one rate limit and one circuit breaker on a machine.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from corpus.config import Crawl
from corpus.fetching.politeness import Politeness
from corpus.manifest import fingerprint

# After a 403 the whole run waits so long, then longer, and gives up after the last: Common Crawl's
# own advice is to stop for a day, which a person has to decide.
COOLDOWN, COOLDOWNS = 60.0, 5
BACKOFF, LONGEST_PAUSE = 1.0, 900.0  # seconds; 503 answers last for minutes


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


def scratch_folder(output: str) -> Path:
    """Return the folder of this machine for what the downloads into `output` share."""
    return Path(tempfile.gettempdir()) / f"corpusmill-{fingerprint(output)[:12]}"


def make_session(settings: Crawl, output: str) -> Session:
    """Return the session of the build in an output folder."""
    politeness = Politeness(
        folder=str(scratch_folder(output) / "politeness"),
        requests_per_second=settings.requests_per_second,
        nodes=1,
        cooldown=COOLDOWN,
        cooldowns=COOLDOWNS,
        backoff=BACKOFF,
        longest_pause=LONGEST_PAUSE,
    )
    return Session(politeness, settings.user_agent, settings.timeout, settings.attempts)

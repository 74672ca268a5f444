"""The section `crawl`: how files are fetched."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from corpus.settings import Settings


class Crawl(Settings):
    """How politely and how stubbornly files are fetched."""

    requests_per_second: Annotated[float, Field(gt=0)] = 2.0
    """Most requests a second, for all workers of the build together, on all machines."""
    user_agent: str = "corpusmill (corpus toolkit; set crawl.user_agent to say who you are)"
    """Who asks, for the server's log."""
    timeout: Annotated[float, Field(gt=0)] = 60.0
    """Seconds without a byte before a connection counts as stalled."""
    attempts: Annotated[int, Field(ge=1)] = 12
    """Tries of a file in a row that may bring nothing before it is given up."""
    patience: Annotated[float, Field(gt=0)] = 60.0
    """Seconds that a server is tried for which has not answered at all since the run began."""
    backoff: Annotated[float, Field(gt=0)] = 1.0
    """Seconds: the n-th try in a row is made after a random pause of up to 2^n times as many."""
    cooldown: Annotated[float, Field(gt=0)] = 60.0
    """Seconds that nothing is asked for after a 403 (too many requests); doubled if one follows."""
    cooldowns: Annotated[int, Field(ge=0)] = 5
    """403 answers in a row that are waited out; one more ends the run. Two at most when no server
    has answered anything well in this run, and none of those that certainly mean no permission."""
    longest_pause: Annotated[float, Field(gt=0)] = 900.0
    """Seconds that any pause lasts at most, a server's `Retry-After` too."""

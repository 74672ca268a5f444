"""The rate limit and the circuit breaker of a run, as a machine of a few numbers without a clock.

In: what a worker asks or has seen, and the time. Out: how long it has to wait, and the new state.
Where the state is kept, and whose clock counts, is the business of `corpus.fetching.keeper`; the
sleeping is that of `corpus.fetching.politeness`.

Three things slow everybody down:

* the spacing: two requests start at least `1 / rate` apart, so that in any T seconds at most
  `1 + T * rate` start. Who has to wait is promised a slot, and goes when it comes;
* a throttling answer (503, 429, an error page): the rate halves, once a second at most. Each good
  answer gives back what the time since the last answer is worth, `1 / RECOVERY_SECONDS` of the
  limit a second, but at most doubles the rate: additive increase, multiplicative decrease, as in
  TCP (Chiu and Jain 1989). A Retry-After pauses everybody, for at most `longest_pause` seconds;
* a refusal (403, what Common Crawl's front sends to an address that asks too much): the breaker
  opens and nobody asks anything for `cooldown` seconds. Then one request is let through, and the
  rest follow if it succeeds. Every refusal in a row doubles the pause; after `cooldowns` of them
  the run gives up, and after `STRANGER` of them when nothing has ever been answered well: then it
  is more likely that nothing may be had there than that too much was asked.

A halving and a refusal void all slots that are promised: a hundred workers that wait would else
go on for minutes at the rate of before.
"""

from __future__ import annotations

import struct
from dataclasses import astuple, dataclass, fields
from typing import NamedTuple

SLOWEST = 1 / 64  # the rate is never throttled below this share of the limit
RECOVERY_SECONDS = 30.0  # of good answers, from nothing to the limit
STRANGER = 2  # cool-downs for servers that have not answered anything well in this run
HALVING_INTERVAL = 1.0  # seconds; one overload, seen by many workers, halves the rate once


@dataclass(frozen=True, slots=True)
class Limits:
    """What a recipe allows.

    Attributes:
        requests_per_second: The limit of the whole run.
        cooldown: Seconds without any request after the first refusal (403).
        cooldowns: How many cool-downs in a row before the run gives up; fewer where nothing was
            ever answered well (`STRANGER`).
        longest_pause: Seconds; the bound of a Retry-After and of a cool-down.
    """

    requests_per_second: float
    cooldown: float
    cooldowns: int
    longest_pause: float


class Ticket(NamedTuple):
    """A slot that is promised.

    Attributes:
        round: The slots of earlier rounds are void.
        slot: When it comes, on the limiter's own scale.
        probe: Whether it is of the one request after a cool-down.
    """

    round: float
    slot: float
    probe: bool


class Turn(NamedTuple):
    """The answer to a worker that wants to ask.

    Attributes:
        goes: Whether it may, now.
        seconds: Else, how long it has to wait before it comes again.
        ticket: What it then brings, or None.
        probed: Whether it waits for another's request to tell whether the server takes any.
        refused: How many refusals in a row made the run give up; 0 while it goes on.
    """

    goes: bool
    seconds: float
    ticket: Ticket | None = None
    probed: bool = False
    refused: int = 0


@dataclass(slots=True)
class Limiter:
    """What the workers of a run share; times are seconds of one clock.

    Slots are given out on a scale of their own, a spacing apart. `late` leads from it to the
    clock: when one worker comes after its slot, all behind it go later by as much.
    """

    now: float = 0.0  # when this was last looked at
    slot: float = 0.0  # the first that is free
    reached: float = 0.0  # the last that was used
    late: float = 0.0
    started: float = 0.0  # when the last request was let go
    round: float = 0.0  # of slots
    paused_until: float = 0.0
    refusals: float = 0.0  # in a row, without a good answer between them
    probe: float = 0.0  # when the one request after a cool-down set out; 0 when there is none
    share: float = 1.0  # of the limit, (0, 1]
    halved: float = 0.0  # when `share` was last halved
    answered: float = 0.0  # when the last answer came that says something of the server's load
    known: float = 0.0  # 1 when there has been a good answer

    @classmethod
    def unpack(cls, record: bytes) -> Limiter:
        """Return the state in a record; that of a new run when it is none."""
        return cls(*_RECORD.unpack(record)) if len(record) == SIZE else cls()

    def pack(self) -> bytes:
        """Return the state as a record of `SIZE` bytes."""
        return _RECORD.pack(*astuple(self))

    def turn(self, limits: Limits, now: float, ticket: Ticket | None) -> Turn:
        """Say whether a worker may ask now, and else when it should come again."""
        self._look(now)
        paused = min(self.paused_until - now, limits.longest_pause)
        if self.refusals > self._cooldowns(limits):
            if paused > 0:
                return Turn(False, paused, refused=int(self.refusals))
            self.refusals = 0.0  # a later run, after the pause, starts afresh
        if paused > 0:
            return Turn(False, paused)
        if ticket is not None and ticket.round != self.round:
            ticket = None
        if self.refusals and not (ticket is not None and ticket.probe):
            # Half open: one worker asks; its promise lapses, since it may have been killed.
            if self.probe and now - self.probe < limits.cooldown:
                return Turn(False, 0.0, probed=True)
            self._void(now)
            self.probe = now
        spacing = 1 / (limits.requests_per_second * self.share)
        if ticket is None:
            if self.slot + self.late <= now:  # nobody waits
                self.slot, self.late = now, 0.0
            ticket = Ticket(self.round, self.slot, bool(self.refusals))
            self.slot += spacing
        wait = max(ticket.slot + self.late, self.started + spacing) - now
        if wait > 0:
            return Turn(False, wait, ticket)
        self.started = now
        self.reached = max(self.reached, ticket.slot)
        self.late = max(self.late, now - self.reached)
        return Turn(True, 0.0)

    def succeeded(self, now: float) -> None:
        """Note a good answer: the breaker closes, a throttled rate grows back."""
        self._look(now)
        self.refusals = self.probe = 0.0
        self.known = 1.0
        gain = (now - self.answered) / RECOVERY_SECONDS
        self.share = min(1.0, self.share + min(self.share, gain))
        self.answered = now

    def throttled(self, limits: Limits, now: float, retry_after: float | None) -> None:
        """Note a 503, a 429 or an error page in their place; and what it asks for, in seconds."""
        self._look(now)
        self.probe = 0.0
        self.answered = now
        if now - self.halved >= HALVING_INTERVAL:
            self.share, self.halved = max(SLOWEST, self.share / 2), now
            self._void(now)
        if retry_after is not None:
            pause = min(max(0.0, retry_after), limits.longest_pause)
            self.paused_until = max(self.paused_until, now + pause)

    def refused(self, limits: Limits, now: float, retry_after: float | None) -> bool:
        """Note a 403 and open the breaker; say whether the run goes on after the cool-down."""
        self._look(now)
        self.probe = 0.0
        # Requests that were in flight when the breaker opened are not a second refusal.
        if self.paused_until <= now or not self.refusals:
            self.refusals += 1
            pause = limits.cooldown * 2 ** min(self.refusals - 1, 32)
            pause = min(max(pause, retry_after or 0.0), limits.longest_pause)
            self.paused_until = max(self.paused_until, now + pause)
            self._void(now)
        return self.refusals <= self._cooldowns(limits)

    def unanswered(self) -> None:
        """Note a request without an answer to judge by: another may probe an open breaker."""
        self.probe = 0.0

    def _cooldowns(self, limits: Limits) -> int:
        return limits.cooldowns if self.known else min(limits.cooldowns, STRANGER)

    def _void(self, now: float) -> None:
        self.round += 1
        self.slot = self.reached = now
        self.late = 0.0

    def _look(self, now: float) -> None:
        """Follow a clock that was set back: no pause may become longer by it."""
        back = self.now - now
        if back > 0:
            self.slot, self.reached = self.slot - back, self.reached - back
            self.started -= back
            self.paused_until -= back
            self.halved, self.answered = self.halved - back, self.answered - back
            self.probe = max(self.probe - back, 1e-9) if self.probe else 0.0
            self.round += 1  # slots on the old clock
        self.now = now


_RECORD = struct.Struct(f"<{len(fields(Limiter))}d")
SIZE = _RECORD.size

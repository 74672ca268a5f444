"""The limiter alone, on a clock of the test's own: spacing, throttling, breaker, long runs."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable

import pytest

from corpus.fetching.limiter import SIZE, SLOWEST, Limiter, Limits, Ticket

LIMITS = Limits(requests_per_second=2.0, cooldown=60.0, cooldowns=5, longest_pause=900.0)


def simulated(
    limits: Limits,
    workers: int,
    seconds: float,
    answer: Callable[[Limiter, float], None],
    lateness: Callable[[], float] = lambda: 0.0,
    begin: float = 1e9,
) -> tuple[list[float], Limiter]:
    """Return when requests started, of workers that ask and are answered at once, over and over.

    Args:
        limits: The limits.
        workers: How many ask.
        seconds: For how long.
        answer: Tells the limiter what came of a request.
        lateness: By how much a worker that sleeps wakes up late.
        begin: Time on the clock.
    """
    state = Limiter()
    order = itertools.count()
    waiting: list[tuple[float, int, Ticket | None, float]] = [
        (begin, next(order), None, 0.2) for _ in range(workers)
    ]
    starts: list[float] = []
    while waiting[0][0] < begin + seconds:
        now, _, ticket, poll = heapq.heappop(waiting)
        turn = state.turn(limits, now, ticket)
        assert not turn.refused
        if turn.goes:
            starts.append(now)
            answer(state, now)
            heapq.heappush(waiting, (now, next(order), None, 0.2))
        else:
            delay = poll if turn.probed else turn.seconds
            assert delay > 0
            again = now + delay + lateness()
            heapq.heappush(waiting, (again, next(order), turn.ticket, min(2 * poll, 5.0)))
    return starts, state


def good(state: Limiter, now: float) -> None:
    state.succeeded(now)


@pytest.mark.parametrize("workers", [1, 3, 50])
@pytest.mark.parametrize("late", [0.0, 0.05, 0.9])
def test_requests_start_a_spacing_apart_however_late_a_worker_wakes(
    workers: int, late: float
) -> None:
    generator = random.Random(3)
    starts, _ = simulated(LIMITS, workers, 600, good, lambda: generator.random() ** 8 * late)
    gaps = [after - before for before, after in itertools.pairwise(starts)]
    assert min(gaps) >= 0.5 - 1e-6
    # Nothing is wasted either: lateness alone keeps the rate under the limit.
    mean_late = late / 9
    assert len(starts) >= 600 / (0.5 + mean_late) * 0.98


def test_worker_that_waits_is_woken_a_few_times_and_not_at_every_start() -> None:
    """Else a thousand workers would keep the machine that leads them busy."""
    generator = random.Random(5)
    state, now, calls = Limiter(), 1e9, 0
    waiting = [(now, number, None) for number in range(2000)]
    starts = 0
    while waiting:
        now, number, ticket = heapq.heappop(waiting)
        turn = state.turn(LIMITS, now, ticket)
        calls += 1
        if turn.goes:
            starts += 1
        else:
            again = now + turn.seconds + generator.random() * 0.1
            heapq.heappush(waiting, (again, number, turn.ticket))
    assert starts == 2000
    assert calls < 7 * starts


def test_halving_voids_the_slots_that_were_promised_at_the_rate_of_before() -> None:
    limits = Limits(10.0, 60.0, 5, 900.0)
    state, now = Limiter(), 1e9
    promised = [state.turn(limits, now, None).ticket for _ in range(101)]
    state.throttled(limits, now + 1, None)
    starts: list[float] = []
    for ticket in promised[11:]:
        assert ticket is not None
        turn = state.turn(limits, now + 1, ticket)
        starts.append(now + 1 + turn.seconds)
    assert starts[-1] - starts[0] == pytest.approx(89 * 0.2, abs=0.01)


def test_refusal_voids_promised_slots_and_only_the_probe_goes_after_it() -> None:
    state, now = Limiter(), 1e9
    promised = [state.turn(LIMITS, now, None).ticket for _ in range(300)]
    assert state.refused(LIMITS, now + 1, None)
    assert state.turn(LIMITS, now + 1, promised[3]).seconds == pytest.approx(60)
    # Slots that were promised for the time after the cool-down are void as well.
    assert state.turn(LIMITS, now + 61, promised[200]).goes
    for ticket in promised[201:210]:
        assert state.turn(LIMITS, now + 61.5, ticket).probed
    state.succeeded(now + 62)
    assert state.turn(LIMITS, now + 62, promised[220]).goes
    assert state.turn(LIMITS, now + 62, promised[221]).seconds == pytest.approx(0.5)


def test_refusals_in_a_row_double_the_pause_up_to_the_longest_and_then_end_the_run() -> None:
    limits = Limits(2.0, 60.0, 4, 300.0)
    state, now, pauses = Limiter(), 1e9, []
    state.succeeded(now)
    for _ in range(4):
        assert state.turn(limits, now, None).goes
        assert state.refused(limits, now, None)
        pauses.append(state.turn(limits, now, None).seconds)
        now += pauses[-1] + 1
    assert pauses == [60.0, 120.0, 240.0, 300.0]
    assert state.turn(limits, now, None).goes
    assert not state.refused(limits, now, None)
    assert state.turn(limits, now, None).refused == 5


def test_refusals_of_servers_that_never_answered_well_end_the_run_after_two_pauses() -> None:
    limits = Limits(2.0, 60.0, 4, 300.0)
    state, now = Limiter(), 1e9
    for _ in range(2):
        assert state.turn(limits, now, None).goes
        assert state.refused(limits, now, None)
        now += state.turn(limits, now, None).seconds + 1
    assert state.turn(limits, now, None).goes
    assert not state.refused(limits, now, None)
    assert state.turn(limits, now, None).refused == 3
    impatient = Limiter()
    assert not impatient.refused(Limits(2.0, 60.0, 0, 300.0), now, None)


def test_refusal_that_names_a_time_is_obeyed_up_to_the_longest_pause() -> None:
    for asked, waited in ((600.0, 600.0), (5.0, 60.0), (9999.0, 900.0)):
        state = Limiter()
        state.refused(LIMITS, 1e9, asked)
        assert state.turn(LIMITS, 1e9, None).seconds == pytest.approx(waited)


def test_probe_whose_worker_was_killed_lapses_after_a_cooldown() -> None:
    state, now = Limiter(), 1e9
    state.refused(LIMITS, now, None)
    assert state.turn(LIMITS, now + 60, None).goes
    assert state.turn(LIMITS, now + 119, None).probed
    assert state.turn(LIMITS, now + 121, None).goes


def test_throttling_halves_once_a_second_and_good_answers_give_back_with_time() -> None:
    state, now = Limiter(), 1e9
    state.throttled(LIMITS, now, None)
    state.throttled(LIMITS, now + 0.5, None)  # the same overload, seen by another worker
    assert state.share == 0.5
    for _ in range(1000):  # many answers at one moment say no more than one
        state.succeeded(now + 0.5)
    assert state.share == 0.5
    state.succeeded(now + 6.5)
    assert state.share == pytest.approx(0.7)
    state.succeeded(now + 99)
    assert state.share == 1.0


def test_throttled_rate_at_most_doubles_with_one_answer_and_has_a_floor() -> None:
    state, now = Limiter(), 1e9
    for second in range(0, 40, 2):
        state.throttled(LIMITS, now + second, None)
    assert state.share == SLOWEST
    state.succeeded(now + 1000)
    assert state.share == 2 * SLOWEST


def test_retry_after_pauses_all_up_to_the_longest_pause() -> None:
    for asked, waited in ((30.0, 30.0), (9999.0, 900.0), (-5.0, None)):
        state = Limiter()
        state.throttled(LIMITS, 1e9, asked)
        turn = state.turn(LIMITS, 1e9, None)
        assert turn.goes if waited is None else turn.seconds == pytest.approx(waited)


@pytest.mark.parametrize(
    ("rate", "share", "least", "most"),
    [
        (2.0, 0.0, 0.999, 1.001),
        (2.0, 0.05, 0.55, 0.7),
        (2.0, 0.12, 0.35, 0.45),
        (2.0, 0.3, 0.1, 0.15),
        (50.0, 0.05, 0.12, 0.18),
    ],
)
def test_long_run_of_random_503_is_neither_starved_nor_undisturbed(
    rate: float, share: float, least: float, most: float
) -> None:
    """Two hours with a share of random 503 answers: docs/stages/crawl.md has these figures."""
    generator = random.Random(17)
    limits = Limits(rate, 60.0, 5, 900.0)

    def answer(state: Limiter, now: float) -> None:
        if generator.random() < share:
            state.throttled(limits, now, None)
        else:
            state.succeeded(now)

    starts, _ = simulated(limits, 4, 7200, answer)
    assert least <= len(starts) / 7200 / rate <= most


def test_overloaded_server_is_left_alone_and_the_rate_is_back_soon_after() -> None:
    """Ten minutes of nothing but 503, as when Common Crawl's bucket is overloaded."""
    begin = 1e9

    def answer(state: Limiter, now: float) -> None:
        if now < begin + 600:
            state.throttled(LIMITS, now, None)
        else:
            state.succeeded(now)

    starts, _ = simulated(LIMITS, 4, 1800, answer, begin=begin)
    during = sum(start < begin + 600 for start in starts)
    assert during < 40  # of 1,200
    back = sum(begin + 800 <= start for start in starts)
    assert back > 1990  # of 2,000


def test_server_with_a_capacity_is_asked_for_about_that_much() -> None:
    """It answers 0.7 requests a second and refuses the rest; the limit is 2."""
    taken: list[float] = []
    refused: list[float] = []

    def answer(state: Limiter, now: float) -> None:
        if sum(now - 10 < moment for moment in taken[-7:]) < 7:
            taken.append(now)
            state.succeeded(now)
        else:
            refused.append(now)
            state.throttled(LIMITS, now, None)

    simulated(LIMITS, 8, 7200, answer)
    assert len(taken) > 0.75 * 0.7 * 7200
    assert len(refused) < 0.16 * len(taken)


def test_clock_that_is_set_back_makes_no_pause_longer() -> None:
    state, now = Limiter(), 1e9
    ticket = state.turn(LIMITS, now, None).ticket
    ticket = state.turn(LIMITS, now, ticket).ticket
    state.refused(LIMITS, now, None)
    assert state.turn(LIMITS, now - 86_400, ticket).seconds == pytest.approx(60)
    assert state.turn(LIMITS, now - 86_400 + 60, ticket).goes
    state.succeeded(now - 86_400 + 61)
    assert state.turn(LIMITS, now - 90_000, None).seconds <= 0.5


def test_record_holds_all_of_the_state_and_rubbish_is_a_new_run() -> None:
    state = Limiter()
    state.refused(LIMITS, 1e9, 5.0)
    state.turn(LIMITS, 1e9 + 100, None)
    assert Limiter.unpack(state.pack()) == state
    assert len(state.pack()) == SIZE
    assert Limiter.unpack(b"short") == Limiter()

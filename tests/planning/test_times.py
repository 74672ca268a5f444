"""The cost of a step: start-up, task and work are told apart where the tasks allow it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.metering.meter import Sums
from corpus.metering.usage import Spending, Usage
from corpus.planning.times import fit


def sums_of(tasks: list[tuple[float, int, bool]]) -> Sums:
    """Return the sums of tasks of (seconds, weight, whether the first in its process)."""
    made = Sums()
    for cpu, weight, first in tasks:
        usage = Usage(cpu, cpu, 1000, first, process=1)
        made.add(Spending("step", "/out/step-1", "a", weight, 10, usage))
    return made


@given(
    st.floats(0, 5),
    st.floats(0, 20),
    st.floats(1e-6, 1e-3),
    st.lists(st.integers(1, 10**6), max_size=9),
)
def test_costs_that_are_linear_are_found_exactly(
    task: float, first: float, rate: float, more: list[int]
) -> None:
    weights = [1000, 30_000, 7000, 400_000, *more]
    tasks = [(task + first * (n < 2) + rate * w, w, n < 2) for n, w in enumerate(weights)]
    cost = fit({"a": sums_of(tasks)})
    seconds, _ = cost.predict(100, 4, {"a": 1e9})
    assert seconds == pytest.approx(100 * task + 4 * first + rate * 1e9, rel=1e-4, abs=1e-4)


def test_each_source_has_a_rate_of_its_own() -> None:
    first = sums_of([(1 + 0.001 * w, w, False) for w in (100, 2000, 30_000)])
    second = sums_of([(1 + 0.02 * w, w, False) for w in (50, 700, 9000)])
    cost = fit({"a": first, "b": second})
    assert cost.rates == pytest.approx({"a": 0.001, "b": 0.02})
    assert cost.task == pytest.approx(1)


def test_a_single_task_costs_what_it_weighs() -> None:
    cost = fit({"a": sums_of([(6.0, 300, True)])})
    assert cost.predict(10, 2, {"a": 3000}) == (pytest.approx(60), None)


def test_two_builds_of_a_step_tell_its_start_from_its_work() -> None:
    """The first build of a probe pays the start, the second is four times as large."""
    cost = fit({"all": sums_of([(5 + 0.01 * 100, 100, True), (0.01 * 400, 400, False)])})
    assert cost.predict(1, 1, {"all": 1e6})[0] == pytest.approx(5 + 1e4)


def test_no_term_of_a_cost_is_negative() -> None:
    cost = fit(
        {"a": sums_of([(1.0, 10, True), (0.2, 20, False), (9.0, 30, False), (9.0, 31, False)])}
    )
    assert min(cost.task, cost.first, *cost.rates.values()) >= 0


def test_the_interval_of_the_seconds_covers_them() -> None:
    draw = np.random.Generator(np.random.Philox(3))
    inside = 0
    for _ in range(200):
        weights = draw.integers(1000, 9000, 20)
        noisy = [(2 + 0.01 * w * draw.uniform(0.8, 1.2), int(w), False) for w in weights]
        larger = draw.integers(1000, 9000, 300)
        truth = float(sum(2 + 0.01 * w * draw.uniform(0.8, 1.2) for w in larger))
        seconds, variance = fit({"a": sums_of(noisy)}).predict(300, 0, {"a": float(larger.sum())})
        assert variance is not None
        inside += abs(seconds - truth) <= 1.96 * variance**0.5
    assert inside >= 170

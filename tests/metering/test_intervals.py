"""Half of Student's interval, against the table of the textbook."""

from __future__ import annotations

import pytest

from corpus.metering.intervals import student


@pytest.mark.parametrize(("n", "t"), [(2, 12.7062), (3, 4.3027), (10, 2.2622), (31, 2.0423)])
def test_half_of_the_interval_is_t_standard_errors(n: int, t: float) -> None:
    assert student(4.0, n) == pytest.approx(2 * t, abs=2e-4)

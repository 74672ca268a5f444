"""Sets of integers against `np.unique`."""

from __future__ import annotations

import numpy as np
import pytest

from corpus.text import sorting


@pytest.mark.parametrize("dtype", [np.uint64, np.int64, np.int32])
@pytest.mark.parametrize("size", [0, 1, 2, 1000])
def test_distinct_numbers_are_those_of_numpy_in_order_and_type(dtype: type, size: int) -> None:
    limits = np.iinfo(dtype)
    values = np.random.default_rng(size).integers(limits.min, limits.max, size, dtype)
    values[: size // 2] = values[size - size // 2 :]
    values[:1], values[1:2] = limits.max, limits.min
    given = values.copy()
    found = sorting.distinct(values)
    np.testing.assert_array_equal(found, np.unique(values))
    assert found.dtype == dtype
    np.testing.assert_array_equal(values, given)

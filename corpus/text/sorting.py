"""Sets of integers as sorted arrays."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

_Number = TypeVar("_Number", bound=np.integer)


def distinct(values: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
    """Return the distinct ones of some integers, ascending.

    As `np.unique`, which from NumPy 2.3 on hashes integers before it sorts them: of a million
    hashes of 64 bits, sorting alone takes a fortieth of the time.
    """
    ordered = np.sort(values, axis=None)
    first = np.ones(len(ordered), dtype=np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    return ordered[first]

"""What the rule sets are handed, and what they say of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Texts:
    """Some texts of a column.

    Attributes:
        data: uint8; the UTF-8 bytes of the column.
        offsets: int64[n + 1]; where each text begins in them.
        rows: int64; the texts that are meant.
    """

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Broken:
    """The first rule that each text breaks.

    Attributes:
        numbers: int64, one a text: 0 for a text that passes, k for the rule ``names[k - 1]``.
        names: The rules' names, `name` or `name: what exactly`.
    """

    numbers: npt.NDArray[np.int64]
    names: tuple[str, ...]


def limit(threshold: float | None, *, least: bool = False) -> float:
    """Return a threshold as the kernels take it: one that nothing breaks, for a rule that is off.

    Args:
        threshold: It, or None.
        least: Whether a document breaks the rule by being below it.
    """
    if threshold is None:
        return -np.inf if least else np.inf
    return float(threshold)

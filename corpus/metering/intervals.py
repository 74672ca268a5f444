"""95 % intervals of what is measured: of a share of examples, and of a mean of a few values.

In: counts, or a variance. Out: the ends of the interval, or half of its width.
"""

from __future__ import annotations

import math

NORMAL = 1.959963984540054  # 97.5 % of the normal distribution lie below


def student(variance: float, n: int) -> float:
    """Return half of the 95 % interval of a mean of a few values (Student 1908).

    Args:
        variance: Of the mean, as it was estimated from the values.
        n: How many values, at least two. They scatter like a normal distribution.
    """
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, 0.975)) * math.sqrt(variance)


def wilson(right: float, total: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share (Wilson 1927).

    Args:
        right: Examples that are right; a tie counts in part.
        total: All examples, at least one.
    """
    share, spread = right / total, NORMAL**2 / total
    centre = (share + spread / 2) / (1 + spread)
    half = NORMAL * math.sqrt(share * (1 - share) / total + spread / (4 * total)) / (1 + spread)
    # Rounding must not put the share itself outside.
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))

"""Intervals of what is measured on examples: of a share, and the width of the normal distribution.

In: counts. Out: the ends of a 95 % interval. Intervals over seeds are Student's and stand with the
ablation (corpus.ablation.statistics).
"""

from __future__ import annotations

import math

NORMAL = 1.959963984540054  # 97.5 % of the normal distribution lie below


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

"""How many documents dedup keeps of a corpus, from what it kept of a sample of it.

Duplicates do not grow in proportion: of two copies a sample of a quarter holds both only once in
sixteen. Kept documents are what ecologists call species, and sampled files their sampling units, so
the number kept at another size is a point of the rarefaction and extrapolation curve of Colwell et
al. 2012 ("Models and estimators linking individual-based and sample-based rarefaction,
extrapolation and comparison of assemblages", Journal of Plant Ecology 5, equations 17 and 18):
expected pairs grow with the square of the size at first, and the curve bends for larger clusters.
Duplicates within one unit come with the unit and grow in proportion.

The authors trust the curve up to two or three times the sample. Beyond `FAR` times the curve goes
on here as a power of the size, as vocabularies do (Heaps' law), from the slope that it has there,
and the bounds say how little is known: from the curve itself, which levels off, to no more
duplicates than in the sample.

In: counts of clusters by the number of units that they are in. Out: documents kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

FAR = 4.0  # times the sample
_STEP = 1.01


@dataclass(frozen=True, slots=True)
class Clusters:
    """Kept documents of a source with their duplicates in it, by the units that they are in.

    Attributes:
        units: Sampling units.
        distinct: Clusters: documents that were kept.
        incidences: Units that each cluster is in, summed over all.
        alone: Clusters in one unit.
        pairs: Clusters in two units.
    """

    units: float
    distinct: float
    incidences: float
    alone: float
    pairs: float

    @property
    def spread(self) -> float:
        """Documents dropped because of another unit: those that a larger corpus has more of."""
        return self.incidences - self.distinct


def kept(clusters: Clusters, factor: float) -> float:
    """Return how many documents are kept of a corpus so many times as large as the sample."""
    if clusters.spread <= 0 or clusters.units < 2:
        return clusters.distinct * factor
    if factor <= 1:
        # As many documents of units, less the pairs of which both are there.
        return clusters.incidences * factor - clusters.spread * factor**2
    if factor <= FAR:
        return _curve(clusters, factor)
    far, before = _curve(clusters, FAR), _curve(clusters, FAR / _STEP)
    slope = math.log(far / before) / math.log(_STEP)
    return far * math.pow(factor / FAR, min(1.0, max(0.0, slope)))


def bounds(clusters: Clusters, factor: float) -> tuple[float, float]:
    """Return between which numbers `kept` lies for all that is known; beyond `FAR` far apart."""
    value = kept(clusters, factor)
    if factor <= FAR or clusters.units < 2:
        return value, value
    # That no pair was seen does not say that there are none: it is reckoned with one.
    return _curve(clusters, factor), clusters.distinct * factor


def _curve(clusters: Clusters, factor: float) -> float:
    """Return the expected number of clusters in `factor` times the units, for a factor over 1."""
    units, alone = clusters.units, clusters.alone
    # Without a pair the estimator takes one more than there are.
    pairs = clusters.pairs or 1.0
    unseen = (units - 1) / units * alone**2 / (2 * pairs)
    if unseen <= 0:
        return clusters.distinct
    chance = alone / (units * unseen + alone)
    return clusters.distinct + unseen * -math.expm1(units * (factor - 1) * math.log1p(-chance))

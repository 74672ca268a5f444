"""What becomes of one source at its full size, with the error of the sample.

In: the constants of a source, and how large it is. Out: documents after each stage, tokens and disk
of it. Everything that grows in proportion is a ratio to the bytes of input, estimated by the ratio
of sums over the sampling units; what dedup keeps follows `corpus.planning.growth`. The error is
that of the jackknife over the units (Cochran 1977, "Sampling Techniques", section 6.13 on ratios;
Wolter 2007, chapter 4), with the correction for a sample that is a good part of the whole: half of
the 95 % interval of Student's t. With one unit there is none to be told.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corpus.metering.intervals import student
from corpus.planning.constants import SourceConstants
from corpus.planning.growth import FAR, Clusters, bounds, kept

STAGES = ("extract", "filter", "dedup", "decontaminate", "tokenize")


@dataclass(frozen=True)
class Amounts:
    """What there is of a source at its full size.

    Attributes:
        into: Rows that go into each stage.
        kept: Rows that each stage keeps.
        tokens: Training tokens.
        validation: Validation tokens.
        text_bytes: Bytes of text that is tokenised.
        disk: Bytes of all files but those that are fetched, and of manifests.
        token_disk: Those of them that are token shards.
        sample_disk: Those that are of the sample which a classifier is trained on.
        least: The least share of these that dedup keeps, for all that is known.
        most: The largest.
    """

    into: Mapping[str, float]
    kept: Mapping[str, float]
    tokens: float
    validation: float
    text_bytes: float
    disk: float
    token_disk: float
    sample_disk: float
    least: float
    most: float

    @property
    def documents(self) -> float:
        """Documents that are kept to the end."""
        return next((self.kept[s] for s in reversed(STAGES) if s in self.kept), 0.0)


@dataclass(frozen=True)
class Estimate:
    """A number with half of its 95 % interval; None where that is not known."""

    value: float
    error: float | None

    def __add__(self, other: Estimate) -> Estimate:
        """Return the sum of two that err independently."""
        if self.error is None or other.error is None:
            return Estimate(self.value + other.value, None)
        return Estimate(self.value + other.value, math.hypot(self.error, other.error))


def amounts(
    source: SourceConstants,
    factor: float,
    *,
    foreign: Mapping[str, float],
    sample_bound: float = math.inf,
) -> Amounts:
    """Return what there is of a source that is so many times as large as what was measured.

    Args:
        source: Its constants.
        factor: Its size, in parts of what was measured.
        foreign: How many times as large each other source is: of these, documents of this one are
            duplicates in proportion.
        sample_bound: How many times as large the classifier's sample can become.
    """
    units = source.units
    into = {s: factor * sum(u.into.get(s, 0) for u in units) for s in STAGES}
    sums = {s: float(sum(u.kept.get(s, 0) for u in units)) for s in STAGES}
    there = [s for s in STAGES if any(s in u.into for u in units)]
    result = {s: factor * sums[s] for s in there}
    change = least = most = 1.0
    if "dedup" in there and source.distinct:
        after, low, high = _deduplicated(source, factor, foreign)
        change = after / (factor * sums["dedup"]) if sums["dedup"] else 1.0
        least, most = (bound / after if after else 1.0 for bound in (low, high))
        result["dedup"] = after
        for stage in there[there.index("dedup") + 1 :]:
            into[stage], result[stage] = into[stage] * change, result[stage] * change
    grown = factor * change
    token_disk = grown * sum(u.token_disk for u in units)
    sampled = min(factor, max(1.0, sample_bound)) * sum(u.sample_disk for u in units)
    return Amounts(
        into={s: into[s] for s in there},
        kept=result,
        tokens=grown * sum(u.tokens for u in units),
        validation=grown * sum(u.validation for u in units),
        text_bytes=grown * sum(u.text_bytes for u in units),
        disk=factor * sum(u.disk for u in units) + sampled + token_disk,
        token_disk=token_disk,
        sample_disk=sampled,
        least=least,
        most=most,
    )


def _deduplicated(
    source: SourceConstants, factor: float, foreign: Mapping[str, float]
) -> tuple[float, float, float]:
    """Return how many documents dedup keeps, and between which numbers that lies."""
    units = source.units
    clusters = Clusters(
        units=len(units),
        distinct=source.distinct,
        incidences=sum(u.clusters for u in units),
        alone=sum(u.alone for u in units),
        pairs=sum(u.pairs for u in units) / 2,
    )
    documents = sum(u.into.get("dedup", 0) for u in units)
    alike = sum(sum(u.foreign.values()) for u in units)
    # With a larger other source more of these are copies of its documents; how many more is not
    # known beyond some times its sample.
    more = sum(
        number * (min(FAR, max(1.0, foreign.get(other, 1.0))) - 1)
        for u in units
        for other, number in u.foreign.items()
    )
    left = max(0.0, 1 - more / max(1, documents - alike))
    low, high = bounds(clusters, factor)
    return left * kept(clusters, factor), left * low, left * high


def without(source: SourceConstants, at: int) -> SourceConstants:
    """Return the constants of a source as they would be without one unit."""
    gone = source.units[at]
    units = (*source.units[:at], *source.units[at + 1 :])
    # A cluster in this unit and one more is in that alone now. Which unit that is does not matter,
    # only the sums do.
    first = units[0]
    moved = dataclasses.replace(
        first,
        alone=first.alone + gone.pairs,
        pairs=first.pairs - gone.pairs + 2 * gone.triples,
        triples=first.triples - 2 * gone.triples,
    )
    rest = (moved, *units[1:])
    return dataclasses.replace(source, units=rest, distinct=source.distinct - gone.alone)


def half_interval(values: Sequence[float], value: float, share: float) -> float | None:
    """Return half of the 95 % interval of a number, from what it is without each of the units.

    Args:
        values: The number without each unit in turn.
        value: The number of all.
        share: Share of the whole that was measured.
    """
    count = len(values)
    if share >= 1:
        return 0.0
    if count < 2:
        return None
    variance = (count - 1) / count * math.fsum((other - value) ** 2 for other in values)
    return student(variance * (1 - share), count)

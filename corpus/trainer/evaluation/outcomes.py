"""What came of an example or a document, and what many of them come to.

In: outcomes, one an example. Out: results with standard errors and 95 % intervals: Wilson's for a
share of right answers; for a mean, and for a ratio of sums such as bits a byte, those of the normal
distribution (for ratios by linearization, over documents), so none where there is one document.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from corpus.metering.intervals import NORMAL, wilson
from corpus.trainer.evaluation import bleu
from corpus.trainer.evaluation.example import Example

_OF_SOME = ("ratios", "together", "ngrams", "part_of", "group")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One example, or one document.

    Attributes:
        id: Its identifier.
        place: Its file and its number there.
        shots: Examples in its prompt.
        cut: Tokens of its prompt that the context had no room for.
        right: Shares of right answers by name: 0, 1, or between for ties.
        means: Other values by name that are averaged.
        nats: -log P of what was scored, for perplexities.
        units: What that is a number of, by name: words, characters, bytes, tokens.
        details: What a person wants to see.
        ratios: What is above and below a line by name, each added up over examples.
        together: Shares of right answers by name that count only where they are of a whole group.
        ngrams: Counts of a BLEU by name.
        part_of: Identifier of what it is a part of, as the file lists it; "" where it is all of it.
        group: What it shares with outcomes that are not independent of it; "" for none.
    """

    id: str
    place: str
    shots: int = 0
    cut: int = 0
    right: dict[str, float] = field(default_factory=dict)
    means: dict[str, float] = field(default_factory=dict)
    nats: float | None = None
    units: dict[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    ratios: dict[str, tuple[float, float]] = field(default_factory=dict)
    together: dict[str, float] = field(default_factory=dict)
    ngrams: dict[str, list[int]] = field(default_factory=dict)
    part_of: str = ""
    group: str = ""

    @classmethod
    def of(cls, example: Example, **values: Any) -> Outcome:
        """Return the outcome of an example."""
        part_of = "" if example.part is None else example.listed
        group = example.group or part_of
        return cls(example.id, example.place, part_of=part_of, group=group, **values)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, without what only some tasks have; `from_json` reads it."""
        values = asdict(self)
        return {name: one for name, one in values.items() if one or name not in _OF_SOME}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Outcome:
        """Return what `to_json` wrote."""
        return cls(**value)


@dataclass(frozen=True, slots=True)
class Estimate:
    """One number that outcomes come to.

    Attributes:
        metric: Its name.
        value: The number.
        error: Its standard error, or None where there is one outcome.
        low: Lower end of its 95 % interval, or None.
        high: Upper end, or None.
        n: Number of outcomes, or of groups where whole groups are right.
    """

    metric: str
    value: float
    error: float | None
    low: float | None
    high: float | None
    n: int


def estimates(outcomes: Sequence[Outcome]) -> list[Estimate]:
    """Return all that some outcomes come to; they are of one task.

    A metric is over the outcomes that have it.
    """
    found = []
    for name in _names(one.right for one in outcomes):
        own = [one for one in outcomes if name in one.right]
        values, groups = [one.right[name] for one in own], [one.group for one in own]
        found.append(mean(name, values, groups) if any(groups) else share(name, values))
    together = _names(one.together for one in outcomes)
    found += [share(name, _together(name, outcomes)) for name in together]
    for name in _names(one.means for one in outcomes):
        own = [one for one in outcomes if name in one.means]
        found.append(mean(name, [one.means[name] for one in own], [one.group for one in own]))
    for name in _names(one.ratios for one in outcomes):
        own = [one for one in outcomes if name in one.ratios]
        found.append(_of_ratios(name, [one.ratios[name] for one in own], [o.group for o in own]))
    for name in _names(one.ngrams for one in outcomes):
        rows = [one.ngrams[name] for one in outcomes if name in one.ngrams]
        found.append(_normal(name, *bleu.of_corpus(rows), len(rows)))
    if outcomes and outcomes[0].nats is not None:
        nats = [one.nats or 0.0 for one in outcomes]
        for name in outcomes[0].units:
            units = [one.units[name] for one in outcomes]
            if sum(units):
                found.append(_of_unit(name, nats, units))
    return found


def _names(numbers: Iterable[Mapping[str, object]]) -> list[str]:
    """Return the names in some maps, in the order in which they come first."""
    return list(dict.fromkeys(name for one in numbers for name in one))


def _together(name: str, outcomes: Sequence[Outcome]) -> list[float]:
    """Return for each group whether all of it is right: the product of its shares."""
    groups: dict[str, float] = {}
    for one in outcomes:
        if name in one.together:
            key = one.group or one.id
            groups[key] = groups.get(key, 1.0) * one.together[name]
    return list(groups.values())


def _of_unit(name: str, nats: Sequence[float], units: Sequence[int]) -> Estimate:
    """Return the perplexity a word or token, or the bits a character or byte."""
    value, error = ratio(nats, units)
    n = len(nats)
    if name in ("character", "byte"):
        scaled = None if error is None else error / math.log(2)
        return _normal(f"bits_per_{name}", value / math.log(2), scaled, n)
    if error is None:
        return Estimate(f"{name}_perplexity", _exp(value), None, None, None, n)
    ends = (_exp(value - NORMAL * error), _exp(value + NORMAL * error))
    return Estimate(f"{name}_perplexity", _exp(value), _exp(value) * error, *ends, n)


def _exp(value: float) -> float:
    """Return e^value, without an overflow: JSON has no infinity."""
    return math.exp(min(value, 700.0))


def share(metric: str, values: Sequence[float]) -> Estimate:
    """Return a share of right answers, with Wilson's interval."""
    n, right = len(values), math.fsum(values)
    p = right / n
    low, high = wilson(right, n)
    return Estimate(metric, p, math.sqrt(p * (1 - p) / n), low, high, n)


def mean(metric: str, values: Sequence[float], groups: Sequence[str] = ()) -> Estimate:
    """Return a mean, with the interval of the normal distribution.

    Args:
        metric: Its name.
        values: The values.
        groups: Group of each, whose values are not independent; "" for none. The interval is over
            groups.
    """
    return _of_ratios(metric, [(value, 1.0) for value in values], groups or [""] * len(values))


def _of_ratios(
    metric: str, values: Sequence[tuple[float, float]], groups: Sequence[str]
) -> Estimate:
    """Return a ratio of sums over groups, 0 where nothing is below the line."""
    alone = [pair for pair, group in zip(values, groups, strict=True) if not group]
    sums: dict[str, list[tuple[float, float]]] = {}
    for pair, group in zip(values, groups, strict=True):
        if group:
            sums.setdefault(group, []).append(pair)
    added = [
        (math.fsum(above for above, _ in pairs), math.fsum(below for _, below in pairs))
        for pairs in sums.values()
    ]
    every = alone + added
    if not any(below for _, below in every):
        return Estimate(metric, 0.0, None, None, None, len(values))
    value, error = ratio([above for above, _ in every], [below for _, below in every])
    return _normal(metric, value, error, len(values))


def ratio(above: Sequence[float], below: Sequence[float]) -> tuple[float, float | None]:
    """Return a ratio of sums and its standard error; None where there is one value."""
    n, total = len(above), sum(below)
    value = math.fsum(above) / total
    if n < 2:
        return value, None
    squares = math.fsum((a - value * b) ** 2 for a, b in zip(above, below, strict=True))
    return value, math.sqrt(squares * n / (n - 1)) / total


def _normal(metric: str, value: float, error: float | None, n: int) -> Estimate:
    if error is None:
        return Estimate(metric, value, None, None, None, n)
    return Estimate(metric, value, error, value - NORMAL * error, value + NORMAL * error, n)

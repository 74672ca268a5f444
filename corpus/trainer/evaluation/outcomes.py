"""What came of an example or a document, and what many of them come to.

In: outcomes, one an example. Out: results with standard errors and 95 % intervals: Wilson's for a
share of right answers; for a mean, and for a ratio of sums such as bits a byte, those of the normal
distribution (for ratios by linearization, over documents), so none where there is one document.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from corpus.metering.intervals import NORMAL, wilson
from corpus.trainer.evaluation.example import Example


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

    @classmethod
    def of(cls, example: Example, **values: Any) -> Outcome:
        """Return the outcome of an example."""
        return cls(id=example.id, place=example.place, **values)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON; `from_json` reads it."""
        return asdict(self)

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
    """

    metric: str
    value: float
    error: float | None
    low: float | None
    high: float | None


def estimates(outcomes: Sequence[Outcome]) -> list[Estimate]:
    """Return all that some outcomes come to; they are of one task."""
    if not outcomes:
        return []
    first = outcomes[0]
    found = [share(name, [one.right[name] for one in outcomes]) for name in first.right]
    found += [mean(name, [one.means[name] for one in outcomes]) for name in first.means]
    if first.nats is not None:
        nats = [one.nats or 0.0 for one in outcomes]
        for name in first.units:
            units = [one.units[name] for one in outcomes]
            if sum(units):
                found.append(_of_unit(name, nats, units))
    return found


def _of_unit(name: str, nats: Sequence[float], units: Sequence[int]) -> Estimate:
    """Return the perplexity a word or token, or the bits a character or byte."""
    value, error = ratio(nats, units)
    if name in ("character", "byte"):
        scaled = None if error is None else error / math.log(2)
        return _normal(f"bits_per_{name}", value / math.log(2), scaled)
    if error is None:
        return Estimate(f"{name}_perplexity", _exp(value), None, None, None)
    ends = (_exp(value - NORMAL * error), _exp(value + NORMAL * error))
    return Estimate(f"{name}_perplexity", _exp(value), _exp(value) * error, *ends)


def _exp(value: float) -> float:
    """Return e^value, without an overflow: JSON has no infinity."""
    return math.exp(min(value, 700.0))


def share(metric: str, values: Sequence[float]) -> Estimate:
    """Return a share of right answers, with Wilson's interval."""
    n, right = len(values), math.fsum(values)
    p = right / n
    low, high = wilson(right, n)
    return Estimate(metric, p, math.sqrt(p * (1 - p) / n), low, high)


def mean(metric: str, values: Sequence[float]) -> Estimate:
    """Return a mean, with the interval of the normal distribution."""
    value, error = ratio(values, [1] * len(values))
    return _normal(metric, value, error)


def ratio(above: Sequence[float], below: Sequence[int]) -> tuple[float, float | None]:
    """Return a ratio of sums and its standard error; None where there is one value."""
    n, total = len(above), sum(below)
    value = math.fsum(above) / total
    if n < 2:
        return value, None
    squares = math.fsum((a - value * b) ** 2 for a, b in zip(above, below, strict=True))
    return value, math.sqrt(squares * n / (n - 1)) / total


def _normal(metric: str, value: float, error: float | None) -> Estimate:
    if error is None:
        return Estimate(metric, value, None, None, None)
    return Estimate(metric, value, error, value - NORMAL * error, value + NORMAL * error)

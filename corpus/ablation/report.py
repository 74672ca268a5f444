"""An ablation for a person: a table and a page, with what can be said and what cannot.

In: the content of `results.json`. Out: lines and tables for a terminal, and `index.html`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from corpus.report.charts import intervals
from corpus.report.html import document, table, words
from corpus.tables import Block, Table

_HEAD = ("measure", "build", "mean", "difference", "95% interval", "better or worse")


def lower_is_better(metric: str) -> bool:
    """Say whether a small value of a metric is a good one: perplexities and bits are."""
    return metric.endswith("perplexity") or metric.startswith("bits_per_")


def verdict(metric: str, difference: Mapping[str, Any] | None) -> str:
    """Return what a difference from the baseline means: better, worse, or not to be told."""
    if difference is None:
        return "baseline"
    low, high = difference["low"], difference["high"]
    if low <= 0 <= high:
        return "cannot be told"
    return "better" if (high < 0) == lower_is_better(metric) else "worse"


def describe(results: Mapping[str, Any]) -> Iterator[Block]:
    """Yield the comparison as lines and a table."""
    yield _sentence(results)
    yield Table(_HEAD, [row for measure in _shown(results) for row in _rows(measure)])


def page(results: Mapping[str, Any]) -> str:
    """Return the comparison as a page."""
    return document("Ablation", _sections(results))


def _sections(results: Mapping[str, Any]) -> Iterator[str]:
    base = results["baseline"]
    yield f"<h1>Ablation: builds against {words(base)}</h1><p>{words(_sentence(results))}</p>"
    for measure in _shown(results):
        metric = measure["metric"]
        direction = "lower" if lower_is_better(metric) else "higher"
        name = f"{measure['label']}, {metric}"
        chart = intervals(
            [
                (build, d["value"], d["low"], d["high"])
                for build, found in measure["builds"].items()
                if (d := found["difference"]) is not None
            ],
            name=name,
        )
        yield (
            f"<h2>{words(name)}</h2><figure>{chart}<figcaption>Difference from {words(base)}, with "
            f"its 95% interval over seeds; {direction} is better.</figcaption></figure>"
        )
        yield table(_HEAD[1:], [row[1:] for row in _rows(measure)])
    yield "<h2>Builds</h2>"
    yield table(
        ("build", "folder", "mixture", "tokens"),
        [
            (name, build["path"], build["mixture"][:12], f"{sum(build['tokens'].values()):,}")
            for name, build in results["builds"].items()
        ],
    )


def _shown(results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [measure for measure in results["measures"] if measure["shown"]]


def _sentence(results: Mapping[str, Any]) -> str:
    seeds = ", ".join(map(str, results["seeds"]))
    return (
        f"One model for each of {len(results['builds'])} builds and each of the seeds {seeds}, "
        f"{results['tokens']:,} tokens each. Intervals are over seeds (Student's t)."
    )


def _rows(measure: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, found in measure["builds"].items():
        difference = found["difference"]
        yield (
            f"{measure['label']} {measure['metric']}",
            name,
            f"{found['mean']['value']:.4f}",
            "–" if difference is None else f"{difference['value']:+.4f}",
            "–" if difference is None else f"{difference['low']:+.4f} to {difference['high']:+.4f}",
            verdict(measure["metric"], difference),
        )

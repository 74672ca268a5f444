"""The table of an evaluation, for a person: what `results.json` holds in, lines and tables out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from corpus.tables import Block, Table

_SHARES = ("accuracy", "exact_match", "f1")


def describe(results: Mapping[str, Any]) -> Iterator[Block]:
    """Yield the table of the results that are shown, and what there is to know about them."""
    rows = [row for row in results["results"] if row["shown"]]
    with_clean = any("clean" in row for row in rows)
    head = ["task", "setting", "K", "n", "metric", "value", "95 % interval"]
    head += ["clean n", "clean", "difference"] if with_clean else []
    yield Table(head, [_cells(row, with_clean=with_clean) for row in rows])
    model = results["model"]
    yield (
        f"model {model['weights'][:12]}, {model['parameters']:,} parameters, "
        f"step {model['step']:,}, context {results['context']:,}"
    )
    examples: dict[str, int] = {}  # a metric may be over some of them
    for row in results["results"]:
        examples[row["label"]] = max(row["n"], examples.get(row["label"], 0))
    for label, row in {row["label"]: row for row in rows}.items():
        if row["k_reduced"]:
            yield (
                f"{label}: {row['k_reduced']:,} of {examples[label]:,} prompts have fewer than "
                f"{row['k']} examples, {row['k_mean']:.1f} on average: no more fit or are there"
            )
        if row["cut"]:
            yield (
                f"{label}: the beginning of {row['cut']:,} of {examples[label]:,} prompts was "
                "cut off: the context is too short"
            )
        if row.get("lines_left_as_they_were"):
            yield (
                f"{label}: {row['lines_left_as_they_were']:,} lines were scored as they "
                "are: de-tokenized, their words could not be told"
            )


def _cells(row: Mapping[str, Any], *, with_clean: bool) -> list[str]:
    metric = row["metric"]
    interval = "-"
    if row["low"] is not None:
        interval = f"{_number(metric, row['low'])} to {_number(metric, row['high'])}"
    cells = [
        row["task"],
        row["setting"],
        str(row["k"]),
        f"{row['n']:,}",
        metric,
        _number(metric, row["value"]),
        interval,
    ]
    if not with_clean:
        return cells
    clean = row.get("clean")
    if clean is None:
        return [*cells, "-", "-", "-"]
    change = clean["relative_difference"]
    return [
        *cells,
        f"{clean['n']:,}",
        _number(metric, clean["value"]),
        "-" if change is None else f"{100 * change:.1f}%",
    ]


def _number(metric: str, value: float) -> str:
    if metric.startswith(_SHARES):
        return f"{100 * value:.2f}"
    is_large = metric.endswith("perplexity") or metric.startswith("bleu")
    return f"{value:.2f}" if is_large else f"{value:.4f}"

"""An ablation as it is told: which way is good, and when nothing can be said."""

from __future__ import annotations

from typing import Any

import pytest

from corpus.ablation.report import describe, page, verdict
from corpus.tables import Table


def measure(label: str, metric: str, *, low: float, high: float) -> dict[str, Any]:
    mean = {"value": 1.0, "low": 0.9, "high": 1.1, "n": 3}
    between = {"value": (low + high) / 2, "low": low, "high": high, "n": 3}
    builds = {
        "raw": {"values": [1.0] * 3, "mean": mean, "difference": None},
        "<b>clean": {"values": [1.0] * 3, "mean": mean, "difference": between},
    }
    return {"label": label, "metric": metric, "shown": True, "builds": builds}


def results(*measures: dict[str, Any]) -> dict[str, Any]:
    build = {"path": "data/x", "mixture": "a" * 64, "tokens": {"web": 1000}}
    return {
        "baseline": "raw",
        "seeds": [1, 2, 3],
        "tokens": 9000,
        "builds": {"raw": build, "<b>clean": build},
        "measures": list(measures),
    }


@pytest.mark.parametrize(
    ("metric", "low", "high", "expected"),
    [
        ("bits_per_byte", -0.2, -0.1, "better"),
        ("word_perplexity", 0.1, 0.2, "worse"),
        ("accuracy", 0.1, 0.2, "better"),
        ("accuracy", -0.2, -0.1, "worse"),
        ("accuracy", -0.1, 0.2, "cannot be told"),
        ("bits_per_byte", -0.2, 0.0, "cannot be told"),
    ],
)
def test_difference_is_good_bad_or_not_to_be_told(
    metric: str, low: float, high: float, expected: str
) -> None:
    assert verdict(metric, {"low": low, "high": high}) == expected


def test_table_and_page_show_each_measure_that_is_asked_for() -> None:
    hidden = measure("web", "token_perplexity", low=0.5, high=0.7) | {"shown": False}
    found = results(measure("web", "bits_per_byte", low=-0.3, high=-0.1), hidden)

    sentence, table = describe(found)

    assert isinstance(table, Table)
    assert [tuple(row) for row in table.rows] == [
        ("web bits_per_byte", "raw", "1.0000", "–", "–", "baseline"),
        ("web bits_per_byte", "<b>clean", "1.0000", "-0.2000", "-0.3000 to -0.1000", "better"),
    ]
    assert "9,000 tokens each" in str(sentence)
    text = page(found)
    assert "token_perplexity" not in text
    assert "<b>clean" not in text
    assert "&lt;b&gt;clean" in text
    assert text.count("<svg") == 1

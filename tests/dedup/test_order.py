"""The order of visits and the scope, against rules that a reader can check by eye."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.dedup.order import Scope, visiting_order


def order(*documents: tuple[int, float, int, str], group: list[int] | None = None) -> list[int]:
    priority, score, length, ids = zip(*documents, strict=True) if documents else ([],) * 4
    table = pa.table(
        {
            "score": pa.array(score, pa.float64()),
            "length": pa.array(length, pa.int64()),
            "id": pa.array(ids, pa.string()),
        }
    )
    places = np.array(priority, dtype=np.int64)
    groups = np.array(group, dtype=np.int64) if group else np.zeros_like(places)
    return visiting_order(groups, places, table).tolist()


def test_order_is_source_then_score_then_length_then_id() -> None:
    assert order((1, 0.9, 99, "a"), (0, 0.1, 1, "b")) == [1, 0]
    assert order((0, 0.1, 99, "a"), (0, 0.2, 1, "b")) == [1, 0]
    assert order((0, 0.5, 1, "a"), (0, 0.5, 2, "b")) == [1, 0]
    assert order((0, 0.5, 1, "b"), (0, 0.5, 1, "a")) == [1, 0]
    assert order((0, float("nan"), 9, "a"), (0, 0.0, 1, "b")) == [1, 0]


def test_order_of_equal_documents_is_that_of_the_input() -> None:
    assert order((0, 0.5, 1, "a"), (0, 0.5, 1, "a"), (0, 0.5, 1, "a")) == [0, 1, 2]


def test_order_of_no_documents_is_empty() -> None:
    assert order() == []


def test_groups_come_together_before_anything_else() -> None:
    same = [(0, 0.5, length, "a") for length in (1, 2, 3, 4)]
    assert order(*same, group=[5, 3, 5, 3]) == [3, 1, 2, 0]


@given(st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=12))
def test_order_of_any_identifiers_does_not_depend_on_the_order_of_the_input(
    ids: list[str],
) -> None:
    """Identifiers come from files: they may hold any character."""
    ids = [one.encode("utf-8", "replace").decode() for one in ids if "\x00" not in one]
    ids = list(dict.fromkeys(ids))

    def ranked(names: list[str]) -> list[str]:
        return [names[row] for row in order(*((0, 0.0, 0, name) for name in names))]

    assert ranked(ids) == ranked(ids[::-1]) == sorted(ids, key=str.encode)


@pytest.mark.parametrize(
    ("kind", "priority", "group", "keeps", "drops"),
    [
        ("all", [0, 1, 2], [0, 0, 0], [True] * 3, [True] * 3),
        ("within", [0, 1, 2], [0, 1, 2], [True] * 3, [True] * 3),
        ("curated", [3, 1, 5], [0, 0, 0], [False, True, False], [True, False, True]),
    ],
)
def test_scope_says_who_is_visited_when_and_compared_with_whom(
    kind: str, priority: list[int], group: list[int], keeps: list[bool], drops: list[bool]
) -> None:
    scope = Scope(kind, ("crawl", "books", "more"), (False, True, False))
    every = np.arange(3)
    assert scope.priority(every).tolist() == priority
    assert scope.group(every).tolist() == group
    assert scope.keeps(every).tolist() == keeps
    assert scope.drops(every).tolist() == drops

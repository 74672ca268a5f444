"""Which documents are dropped for which, against a rule that a reader can check by eye."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus import duplicates
from corpus.duplicates import components, exact_duplicates, run_edges, visit, visiting_order


def ints(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def keys(values: list[list[int]]) -> np.ndarray:
    return np.array(values, dtype=np.uint64).reshape(len(values), -1)


def order(*documents: tuple[int, float, int, str]) -> list[int]:
    priority, score, length, ids = zip(*documents, strict=True)
    rank = visiting_order(ints(list(priority)), np.array(score), ints(list(length)), list(ids))
    return rank.tolist()


def test_order_is_source_then_score_then_length_then_id() -> None:
    assert order((1, 0.9, 99, "a"), (0, 0.1, 1, "b")) == [1, 0]
    assert order((0, 0.1, 99, "a"), (0, 0.2, 1, "b")) == [1, 0]
    assert order((0, 0.5, 1, "a"), (0, 0.5, 2, "b")) == [1, 0]
    assert order((0, 0.5, 1, "b"), (0, 0.5, 1, "a")) == [1, 0]
    assert order((0, float("nan"), 9, "a"), (0, 0.0, 1, "b")) == [1, 0]


def test_order_of_equal_documents_is_that_of_the_input() -> None:
    assert order((0, 0.5, 1, "a"), (0, 0.5, 1, "a"), (0, 0.5, 1, "a")) == [0, 1, 2]


def test_order_of_no_documents_is_empty() -> None:
    assert visiting_order(ints([]), np.empty(0), ints([]), []).tolist() == []


@given(st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=12))
def test_order_of_any_identifiers_does_not_depend_on_the_order_of_the_input(
    ids: list[str],
) -> None:
    """Identifiers come from files: they may hold any character."""
    ids = [one.encode("utf-8", "replace").decode() for one in ids if "\x00" not in one]
    ids = list(dict.fromkeys(ids))

    def ranked(names: list[str]) -> list[str]:
        zeros = [0] * len(names)
        rank = visiting_order(ints(zeros), np.zeros(len(names)), ints(zeros), names)
        return [name for _, name in sorted(zip(rank.tolist(), names, strict=True))]

    assert ranked(ids) == ranked(ids[::-1]) == sorted(ids, key=str.encode)


def test_exact_copies_point_to_the_best_of_them() -> None:
    found = exact_duplicates(
        keys([[1, 1], [2, 2], [1, 1], [1, 2], [1, 1]]), ints([5] * 5), ints([3, 1, 0, 2, 4])
    )
    assert found.tolist() == [2, 1, 2, 3, 2]


def test_empty_documents_are_copies_of_nothing() -> None:
    found = exact_duplicates(keys([[7, 7], [7, 7], [1, 1]]), ints([0, 0, 3]), ints([0, 1, 2]))
    assert found.tolist() == [0, 1, 2]
    none = np.empty((0, 2), np.uint64)
    assert exact_duplicates(none, ints([]), ints([])).tolist() == []


def test_run_of_equal_keys_gives_a_star_around_its_best() -> None:
    left, right = run_edges(
        np.array([5, 9, 5, 5, 8, 9], np.uint64), ints([10, 11, 12, 13, 14, 15]), rank_of()
    )
    assert sorted(zip(left.tolist(), right.tolist(), strict=True)) == [(11, 15), (13, 10), (13, 12)]


def rank_of() -> np.ndarray:
    rank = np.arange(20, dtype=np.int64)
    rank[13], rank[10] = 10, 13  # document 13 is the best of the fives
    return rank


def test_run_edges_are_fewer_than_the_documents_however_long_a_run_is() -> None:
    count = 5000
    left, right = run_edges(np.ones(count, np.uint64), np.arange(count), np.arange(count))
    assert len(left) == len(right) == count - 1
    assert set(left.tolist()) == {0}


@pytest.mark.parametrize("values", [[], [3], [1, 2, 3]])
def test_keys_that_nobody_shares_give_no_edges(values: list[int]) -> None:
    left, right = run_edges(
        np.array(values, np.uint64), np.arange(len(values)), np.arange(len(values))
    )
    assert len(left) == len(right) == 0


def test_components_connect_what_edges_connect() -> None:
    labels = components(ints([0, 1, 5]), ints([1, 2, 4]), 6).tolist()
    assert labels[0] == labels[1] == labels[2]
    assert labels[4] == labels[5]
    assert len(set(labels)) == 3


def jaccard(a: set[int], b: set[int]) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0


def plain_visit(
    sets: list[set[int]], bands: list[list[int]], threshold: float
) -> list[tuple[int, int, float]]:
    """Visit in the plainest way: drop what is similar to a kept one that shares a band."""
    kept: list[int] = []
    dropped = []
    for index, own in enumerate(sets):
        for other in kept:
            shared = set(bands[index]) & set(bands[other])
            if shared and jaccard(own, sets[other]) >= threshold:
                dropped.append((index, other, jaccard(own, sets[other])))
                break
        else:
            kept.append(index)
    return dropped


def visited(
    sets: list[set[int]], bands: list[list[int]], threshold: float
) -> list[tuple[int, int, float]]:
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in sets])]).astype(np.int64)
    hashes = np.array([h for one in sets for h in sorted(one)], dtype=np.uint64)
    found = visit(np.arange(len(sets)), keys(bands), offsets, hashes, threshold)
    return [(one.document, one.keeper, one.jaccard) for one in found]


SETS = st.lists(st.sets(st.integers(0, 12), min_size=1, max_size=8), min_size=1, max_size=14)


@settings(deadline=None)  # the first call compiles the kernel
@given(SETS, st.sampled_from([0.3, 0.5, 0.8, 1.0]), st.integers(1, 4), st.data())
def test_visit_agrees_with_the_plain_rule(
    sets: list[set[int]], threshold: float, width: int, data: st.DataObject
) -> None:
    band = st.lists(st.integers(0, 3), min_size=width, max_size=width)
    bands = data.draw(st.lists(band, min_size=len(sets), max_size=len(sets)))
    assert visited(sets, bands, threshold) == plain_visit(sets, bands, threshold)


def test_chain_loses_its_middle_alone_when_an_end_is_best() -> None:
    """a~b and b~c, a unlike c: b is dropped for a, and c stays, since b is not kept."""
    a, b, c = {1, 2, 3, 4}, {2, 3, 4, 5}, {3, 4, 5, 6}
    assert jaccard(a, b) == jaccard(b, c) == 0.6
    assert visited([a, b, c], [[1]] * 3, 0.6) == [(1, 0, 0.6)]
    assert visited([b, a, c], [[1]] * 3, 0.6) == [(1, 0, 0.6), (2, 0, 0.6)]


def test_similar_documents_that_share_no_band_are_not_compared() -> None:
    assert visited([{1, 2}, {1, 2}], [[1], [2]], 0.5) == []


def test_threshold_itself_is_similar_enough() -> None:
    assert visited([{1, 2, 3, 4}, {1, 2, 3, 5}], [[1]] * 2, 0.6) == [(1, 0, 0.6)]
    assert visited([{1, 2, 3, 4}, {1, 2, 3, 5}], [[1]] * 2, 0.61) == []


def test_pages_of_one_template_are_compared_with_a_bounded_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(duplicates, "MOST_KEEPERS", 2)
    sets = [{10 * i, 10 * i + 1} for i in range(5)]
    assert visited([*sets, sets[1]], [[1]] * 6, 0.9) == [(5, 1, 1.0)]
    assert visited([*sets, sets[4]], [[1]] * 6, 0.9) == []

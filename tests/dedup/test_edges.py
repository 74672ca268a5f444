"""Edges between the documents of equal band keys."""

from __future__ import annotations

import numpy as np
import pytest

from corpus.dedup.edges import run_edges

ALL = 2**40  # documents of the build itself, before those of indexes


def edges(keys: list[int], documents: list[int]) -> list[tuple[int, int]]:
    left, right = run_edges(np.array(keys, np.uint64), np.array(documents, np.int64), ALL)
    return list(zip(left.tolist(), right.tolist(), strict=True))


def test_run_of_equal_keys_gives_a_star_around_its_smallest_document() -> None:
    found = edges([5, 9, 5, 5, 8, 9], [13, 11, 12, 10, 14, 15])
    assert found == [(10, 12), (10, 13), (11, 15)]


def test_pair_that_shares_several_bands_is_one_edge() -> None:
    assert edges([1, 1, 2, 2, 3, 3], [7, 8, 8, 7, 7, 8]) == [(7, 8)]


def test_key_that_a_document_has_twice_gives_no_edge() -> None:
    assert edges([1, 1], [4, 4]) == []


def test_edges_are_fewer_than_the_documents_however_long_a_run_is() -> None:
    count = 5000
    left, right = run_edges(np.ones(count, np.uint64), np.arange(count)[::-1], count)
    assert right.tolist() == list(range(1, count))
    assert set(left.tolist()) == {0}


@pytest.mark.parametrize("values", [[], [3], [1, 2, 3]])
def test_keys_that_nobody_shares_give_no_edges(values: list[int]) -> None:
    assert edges(values, list(range(len(values)))) == []


def test_documents_of_an_index_have_edges_with_the_builds_own_alone() -> None:
    keys = np.array([1, 1, 1, 2, 2, 3, 3], np.uint64)
    documents = np.array([7, 2, 8, 7, 8, 0, 1])
    left, right = run_edges(keys, documents, 5)
    assert list(zip(left.tolist(), right.tolist(), strict=True)) == [(0, 1), (2, 7), (2, 8)]

"""Keyed permutations: bijections of any size, and even ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from corpus.mix.permutation import key, mix, permute, subkeys


def images(size: int, keys: np.ndarray, index: int) -> np.ndarray:
    ones = np.ones(keys.size, dtype=np.uint64)
    return permute(ones * np.uint64(index), ones * np.uint64(size), keys)


@given(st.integers(1, 3000), st.integers(0, 2**64 - 1))
def test_permute_is_a_permutation_of_any_size(size: int, one_key: int) -> None:
    indices = np.arange(size, dtype=np.uint64)
    full = np.full(size, size, dtype=np.uint64)
    result = permute(indices, full, np.full(size, one_key, dtype=np.uint64))
    assert np.sort(result).tolist() == indices.tolist()


@pytest.mark.parametrize("size", [2**31 - 1, 2**31 + 1, 10**12 + 7, 2**62])
def test_permute_large_sizes_stay_inside_and_distinct(size: int) -> None:
    indices = np.concatenate(
        [np.arange(5000, dtype=np.uint64), np.uint64(size - 1) - np.arange(5000, dtype=np.uint64)]
    )
    full = np.full(indices.size, size, dtype=np.uint64)
    result = permute(indices, full, np.full(indices.size, 11, dtype=np.uint64))
    assert (result < full).all()
    assert np.unique(result).size == indices.size


def test_permute_mixed_sizes_and_keys_equal_one_at_a_time() -> None:
    random = np.random.default_rng(3)
    sizes = random.integers(1, 10_000, 500).astype(np.uint64)
    indices = random.integers(0, 1 << 40, 500).astype(np.uint64) % sizes
    keys = random.integers(0, 1 << 63, 500).astype(np.uint64)
    together = permute(indices, sizes, keys)
    for n in range(0, 500, 7):
        alone = permute(indices[n : n + 1], sizes[n : n + 1], keys[n : n + 1])
        assert alone[0] == together[n]


def test_permute_is_the_same_for_ever() -> None:
    """The order of a mix must not change with a version; these numbers are this code's first."""
    indices, full = np.arange(10, dtype=np.uint64), np.full(10, 10, dtype=np.uint64)
    keys = subkeys(np.full(10, key(2020, "window", "wikipedia"), dtype=np.uint64), indices * 0)
    assert key(2020, "window", "wikipedia") == KEY
    assert permute(indices, full, keys).tolist() == IMAGES


KEY = 10405327431406163926
IMAGES = [0, 5, 7, 2, 1, 8, 6, 9, 4, 3]


def test_mix_gives_the_published_splitmix64_stream() -> None:
    """First outputs of splitmix64 from seed 1234567 (the reference program's, xoshiro's pages)."""
    golden = 0x9E3779B97F4A7C15
    states = [(1234567 + golden * n) % 2**64 for n in range(1, 4)]
    assert mix(np.array(states, dtype=np.uint64)).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


@pytest.mark.parametrize("size", [2, 3, 4, 5, 7, 8, 10, 16, 33, 100, 1000])
@pytest.mark.parametrize("index", [0, 1])
def test_permute_every_image_is_equally_likely(size: int, index: int) -> None:
    keys = subkeys(
        np.full(40_000, key(5, size), dtype=np.uint64), np.arange(40_000, dtype=np.uint64)
    )
    counts = np.bincount(images(size, keys, index).astype(np.int64), minlength=size)
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("size", [3, 4, 5, 8, 13])
def test_permute_every_pair_of_images_is_equally_likely(size: int) -> None:
    keys = subkeys(
        np.full(40_000, key(6, size), dtype=np.uint64), np.arange(40_000, dtype=np.uint64)
    )
    first, second = (images(size, keys, n).astype(np.int64) for n in (0, 1))
    counts = np.bincount(first * size + second, minlength=size * size)
    pairs = counts.reshape(size, size)[~np.eye(size, dtype=bool)]
    assert stats.chisquare(pairs).pvalue > 1e-4


def test_permute_neighbours_are_not_correlated() -> None:
    size = 100_000
    indices, full = np.arange(size, dtype=np.uint64), np.full(size, size, dtype=np.uint64)
    result = permute(indices, full, np.full(size, key(1), dtype=np.uint64)).astype(np.float64)
    assert abs(np.corrcoef(result[:-1], result[1:])[0, 1]) < 4 / size**0.5
    assert abs(np.corrcoef(np.arange(size), result)[0, 1]) < 4 / size**0.5

"""The visit of components against the rule in plain Python."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.dedup import kernels
from corpus.dedup.comparison_kernels import DROPS, KEEPS

THRESHOLDS = (0.3, 0.5, 0.75, 0.8, 0.9, 1.0)
BOTH = KEEPS | DROPS


def hashed(number: int) -> int:
    """Return a shingle's hash, all of whose bits count, as those of real ones do."""
    return number * 0x9E3779B97F4A7C15 % 2**64


def jaccard(a: set[int], b: set[int]) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0


def plain(
    sets: Sequence[set[int]],
    threshold: float,
    roles: Sequence[int] | None = None,
    given: int = 0,
) -> list[tuple[int, float]]:
    """Visit in the plainest way: the best kept document that is similar enough, or -1."""
    kept: list[int] = []
    found = []
    for index, own in enumerate(sets):
        role = roles[index] if roles else BOTH
        keeper = next(
            (k for k in kept if jaccard(own, sets[k]) >= threshold),
            -1,
        )
        if keeper < 0 or not role & DROPS or index < given:
            keeper = -1
            if role & KEEPS:
                kept.append(index)
        found.append((keeper, jaccard(own, sets[keeper]) if keeper >= 0 else 0.0))
    return found


def visited(
    components: Sequence[Sequence[set[int]]],
    threshold: float,
    direct: int,
    roles: Sequence[int] | None = None,
    given: int = 0,
    grows: bool = True,
) -> list[tuple[int, float]]:
    sets = [one for component in components for one in component]
    offsets = np.cumsum([0, *map(len, sets)], dtype=np.int64)
    hashes = np.array([h for one in sets for h in sorted(map(hashed, one))], dtype=np.uint64)
    effort = np.zeros((2, len(sets)), dtype=np.int64)
    keepers, similarity, *_ = kernels.visit_components(
        np.cumsum([0, *map(len, components)], dtype=np.int64),
        np.full(len(components), given, dtype=np.int64),
        grows,
        offsets[:-1],
        offsets[1:],
        hashes,
        np.array(roles if roles else [BOTH] * len(sets), dtype=np.uint8),
        threshold,
        direct,
        effort[0],
        effort[1],
        10**9,
        10**9,
    )
    return list(zip(keepers.tolist(), similarity.tolist(), strict=True))


def families(seed: int) -> list[set[int]]:
    """Return sets some of which are edited copies of others, of few or of many shingles."""
    draw = random.Random(seed)
    universe = draw.choice([5, 12, 40, 300])
    originals = [{draw.randrange(universe) for _ in range(draw.randint(1, 40))} for _ in range(4)]
    sets = []
    for _ in range(draw.randint(1, 50)):
        own = set(draw.choice(originals))
        for _ in range(draw.randint(0, 6)):
            if draw.random() < 0.5 and own:
                own.discard(draw.choice(sorted(own)))
            else:
                own.add(draw.randrange(universe))
        sets.append(own)
    return sets


@pytest.mark.parametrize("direct", [0, 1000])
def test_visit_agrees_with_the_plain_rule_on_edited_copies(direct: int) -> None:
    dropped = 0
    for seed in range(150):
        sets = families(seed)
        for threshold in THRESHOLDS:
            expected = plain(sets, threshold)
            assert visited([sets], threshold, direct) == expected, (seed, threshold)
            dropped += sum(keeper >= 0 for keeper, _ in expected)
    assert dropped > 1000


SETS = st.lists(st.sets(st.integers(0, 12), max_size=8), max_size=14)


@settings(deadline=None)  # the first call compiles the kernel
@given(SETS, st.floats(0.01, 1), st.sampled_from([0, 3, 100]))
def test_visit_agrees_with_the_plain_rule_on_any_sets(
    sets: list[set[int]], threshold: float, direct: int
) -> None:
    assert visited([sets], threshold, direct) == plain(sets, threshold)


@pytest.mark.parametrize("direct", [0, 1000])
def test_documents_that_only_keep_or_only_drop_do_nothing_else(direct: int) -> None:
    seen = set()
    for seed in range(60):
        sets, draw = families(seed), random.Random(seed)
        roles = [draw.choice([KEEPS, DROPS, BOTH]) for _ in sets]
        expected = plain(sets, 0.6, roles)
        assert visited([sets], 0.6, direct, roles) == expected, seed
        seen |= {(role, keeper >= 0) for role, (keeper, _) in zip(roles, expected, strict=True)}
    assert len(seen) == 5  # all but a keeper that is dropped


@pytest.mark.parametrize("direct", [0, 1000])
def test_components_are_visited_by_themselves(direct: int) -> None:
    one, other = [{1, 2, 3}, {1, 2, 3, 4}], [{1, 2, 3}, {7}]
    assert visited([one, other, []], 0.5, direct) == [(-1, 0), (0, 0.75), (-1, 0), (-1, 0)]


@pytest.mark.parametrize("direct", [0, 1000])
def test_documents_kept_before_stay_and_others_are_dropped_for_them(direct: int) -> None:
    sets = [{1, 2, 3}, {1, 2, 3, 4}, {1, 2, 3, 4, 5}]
    assert visited([sets], 0.7, direct) == [(-1, 0), (0, 0.75), (-1, 0)]
    assert visited([sets], 0.7, direct, given=2) == [(-1, 0), (-1, 0), (1, 0.8)]


def test_documents_that_are_not_to_be_compared_with_one_another_are_not() -> None:
    sets = [{1, 2, 3}, {7, 8}, {7, 8}, {1, 2, 3}]
    assert visited([sets], 0.9, 9, given=1, grows=False) == [(-1, 0), (-1, 0), (-1, 0), (0, 1)]
    assert visited([sets], 0.9, 9, given=1) == [(-1, 0), (-1, 0), (1, 1), (0, 1)]


def test_chain_loses_its_middle_alone_when_an_end_is_best() -> None:
    """a~b and b~c, a unlike c: b is dropped for a, and c stays, since b is not kept."""
    a, b, c = {1, 2, 3, 4}, {2, 3, 4, 5}, {3, 4, 5, 6}
    assert jaccard(a, b) == jaccard(b, c) == 0.6
    assert [keeper for keeper, _ in visited([[a, b, c]], 0.6, 0)] == [-1, 0, -1]
    assert [keeper for keeper, _ in visited([[b, a, c]], 0.6, 0)] == [-1, 0, 0]


def test_threshold_itself_is_similar_enough() -> None:
    sets = [{1, 2, 3, 4}, {1, 2, 3, 5}]
    assert visited([sets], 0.6, 0)[1] == (0, 0.6)
    assert visited([sets], 0.61, 0)[1] == (-1, 0)


def test_true_pair_is_found_behind_any_number_of_near_misses() -> None:
    """All pages share a template, each pair is at 0.67, and the last is a copy of a middle one."""
    template = set(range(80))
    pages = [template | {1000 * i + k for k in range(1, 21)} for i in range(1, 401)]
    assert jaccard(pages[0], pages[1]) == pytest.approx(2 / 3)
    found = visited([[*pages, pages[200] - {0}]], 0.7, 16)
    assert [keeper for keeper, _ in found] == [-1] * 400 + [200]


def test_pages_of_one_template_are_hardly_ever_compared_in_full() -> None:
    """Work grows with the number of pages and not with its square."""
    template = set(range(80))
    pages = [template | {1000 * i + k for k in range(1, 21)} for i in range(1, 501)]
    hashes = np.sort(np.array([[hashed(h) for h in sorted(page)] for page in pages], np.uint64))
    effort = np.zeros((2, 500), dtype=np.int64)
    _, _, compared, _ = kernels.visit_components(
        np.array([0, 500]),
        np.zeros(1, np.int64),
        True,
        np.arange(500) * 100,
        np.arange(1, 501) * 100,
        hashes.ravel(),
        np.full(500, BOTH, np.uint8),
        0.7,
        16,
        effort[0],
        effort[1],
        10**9,
        10**9,
    )
    assert compared < 500

"""The mixture: shares, epochs, the order, its file, the plan and the blend."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from corpus.errors import InputError, IntegrityError, StageError
from corpus.mix.mixture import LARGEST_BLOCK, Mixture, ShardEntry, Vocabulary, windows
from corpus.mix.order import Order
from corpus.mix.plan import Ingredient, blend, compose, table

GPT2 = Vocabulary("gpt2", 50257, "306c", 50256)
# GPT-3, Table 2.2: weight and billions of tokens; the weights sum to 1.01.
PAPER = {
    "common_crawl": (0.60, 410),
    "webtext2": (0.22, 19),
    "books1": (0.08, 12),
    "books2": (0.08, 55),
    "wikipedia": (0.03, 3),
}


def ingredient(name: str, weight: float, *tokens: int) -> Ingredient:
    shards = [
        ShardEntry(f"../tokenize-1/{name}/part-{n:05}.bin", count, f"{n:064x}")
        for n, count in enumerate(tokens)
    ]
    return Ingredient(name, weight, shards, [ShardEntry(f"{name}/v.validation.bin", 101, "0" * 64)])


def mix(*parts: Ingredient, **changes: Any) -> Mixture:
    settings: dict[str, Any] = {
        "seed": 2020,
        "tokens": 100_000,
        "sequence_length": 10,
        "block": 256,
        "max_epochs": 1e9,
        "vocabulary": GPT2,
        "dtype": "uint16",
    }
    return compose(parts, **settings | changes)


def small(**changes: Any) -> Mixture:
    return mix(
        ingredient("web", 0.6, 20_001, 0, 50_000),
        ingredient("books", 0.37, 1_234),
        ingredient("wiki", 0.04, 301),
        **changes,
    )


ORDERS = st.builds(
    lambda seed, parts, slack: Order(
        seed,
        block=min(math.ceil(sum(w for w, _ in parts) / min(w for w, _ in parts)) + slack, 5000),
        names=tuple(f"source{n}" for n in range(len(parts))),
        weights=tuple(w / sum(w for w, _ in parts) for w, _ in parts),
        windows=tuple(size for _, size in parts),
    ),
    st.integers(0, 2**64 - 1),
    st.lists(st.tuples(st.floats(0.01, 1), st.integers(1, 200)), min_size=1, max_size=6),
    st.integers(1, 300),
)


def draws(order: Order, count: int) -> dict[int, list[tuple[int, int]]]:
    """Return the (epoch, window) pairs that each source gives, in order."""
    sources, epochs, found = order.locate(np.arange(count))
    return {
        source: list(zip(epochs[at].tolist(), found[at].tolist(), strict=True))
        for source in range(len(order.names))
        for at in [sources == source]
    }


@given(ORDERS, st.integers(1, 50))
def test_order_shares_are_met_at_every_block_end(order: Order, blocks: int) -> None:
    before = [0] * len(order.names)
    for block in range(1, blocks + 1):
        sequences = block * order.block
        shares = order.shares(sequences)
        assert sum(shares) == sequences
        for share, last, weight in zip(shares, before, order.weights, strict=True):
            assert abs(share - weight * sequences) < 1 + 1e-6
            assert share >= last
        before = shares


@given(ORDERS)
def test_order_counts_are_the_shares(order: Order) -> None:
    sources, _, _ = order.locate(np.arange(3 * order.block))
    for block in (1, 2, 3):
        counts = np.bincount(sources[: block * order.block], minlength=len(order.names))
        assert counts.tolist() == order.shares(block * order.block)
    middle = order.block + order.block // 3
    counts = np.bincount(sources[:middle], minlength=len(order.names))
    assert counts.tolist() == order.drawn(middle)


@given(ORDERS)
def test_order_each_epoch_is_a_permutation_and_ends_before_the_next(order: Order) -> None:
    for source, found in draws(order, 4 * order.block).items():
        size = order.windows[source]
        for epoch in range(math.ceil(len(found) / size)):
            part = found[epoch * size : (epoch + 1) * size]
            assert {at for at, _ in part} == {epoch}
            assert len({window for _, window in part}) == len(part)
            assert all(0 <= window < size for _, window in part)


@given(ORDERS, st.data())
def test_order_is_found_at_any_position(order: Order, data: st.DataObject) -> None:
    """Resuming anywhere and reading in any order give what reading from the start gives."""
    whole = order.locate(np.arange(2 * order.block))
    at = data.draw(st.lists(st.integers(0, 2 * order.block - 1), max_size=20))
    some = order.locate(np.array(at, dtype=np.int64))
    for part, full in zip(some, whole, strict=True):
        assert part.tolist() == full[at].tolist()


@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
def test_order_is_the_same_for_any_number_of_ranks(ranks: int) -> None:
    order = small().order
    whole = np.stack(order.locate(np.arange(2400)))
    parts = np.empty_like(whole)
    for rank in range(ranks):
        parts[:, rank::ranks] = np.stack(order.locate(np.arange(rank, 2400, ranks)))
    assert (parts == whole).all()


def test_order_epochs_differ_from_each_other() -> None:
    order = Order(1, 64, ("a",), (1.0,), (500,))
    _, _, found = order.locate(np.arange(1500))
    first, second, third = found.reshape(3, 500).tolist()
    assert sorted(first) == sorted(second) == sorted(third) == list(range(500))
    agreements = sum(a == b for a, b in zip(first, second, strict=True))
    assert agreements < 10  # one is expected
    assert first != second != third


def test_order_another_seed_is_another_order() -> None:
    one, other = (small(seed=seed).locate(np.arange(1000)) for seed in (1, 2))
    assert (one[0] != other[0]).any()
    assert (one[2] != other[2]).any()


def test_order_of_a_source_does_not_depend_on_the_others() -> None:
    alone = Order(1, 64, ("a",), (1.0,), (50,))
    mixed = Order(1, 64, ("b", "a"), (0.5, 0.5), (70, 50))
    sources, _, found = mixed.locate(np.arange(200))
    own = found[sources == 1]
    assert own.tolist() == alone.locate(np.arange(own.size))[2].tolist()


def test_order_every_window_is_as_likely_to_come_first() -> None:
    first = [
        Order(seed, 64, ("a",), (1.0,), (20,)).locate(np.zeros(1))[2][0] for seed in range(4000)
    ]
    assert stats.chisquare(np.bincount(first, minlength=20)).pvalue > 1e-4


def test_order_neighbours_are_not_correlated() -> None:
    order = Order(9, 65_536, ("a", "b"), (0.5, 0.5), (100_000, 90_000))
    sources, _, found = order.locate(np.arange(131_072))
    for values in (sources.astype(float), found[sources == 0].astype(float)):
        assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 4 / values.size**0.5


def test_order_labels_are_well_mixed_inside_a_block() -> None:
    """Runs of one source are as long as a shuffle makes them (Wald-Wolfowitz), at every block."""
    order = Order(4, 4096, ("a", "b"), (0.75, 0.25), (10**6, 10**6))
    first, second = order.locate(np.arange(2 * 4096))[0].reshape(2, 4096)
    assert first.sum() == second.sum()
    assert 0.55 < (first == second).mean() < 0.70  # 0.625 for two shuffles of their own
    for block in range(5):
        labels = order.locate(np.arange(block * 4096, (block + 1) * 4096))[0]
        n, m = int((labels == 0).sum()), int((labels == 1).sum())
        runs = 1 + int((np.diff(labels) != 0).sum())
        mean = 2 * n * m / (n + m) + 1
        deviation = math.sqrt((mean - 1) * (mean - 2) / (n + m - 1))
        assert abs(runs - mean) < 4.5 * deviation


def test_order_is_the_same_for_ever() -> None:
    """The order must not change with a version of this code or of NumPy: the first 12 of a mix."""
    sources, epochs, found = small().locate(np.arange(12))
    assert sources.tolist() == FIRST_SOURCES
    assert epochs.tolist() == [0] * 12
    assert found.tolist() == FIRST_WINDOWS


FIRST_SOURCES = [0, 0, 0, 2, 2, 1, 0, 1, 0, 0, 1, 0]
FIRST_WINDOWS = [1198, 5097, 2513, 21, 14, 75, 3381, 11, 5468, 5919, 14, 1478]


def test_order_negative_position_is_refused() -> None:
    with pytest.raises(ValueError, match="before the first"):
        small().locate(np.array([3, -1]))
    assert [part.size for part in small().locate(np.empty(0, dtype=np.int64))] == [0, 0, 0]


def test_order_of_300_billion_tokens_needs_no_memory() -> None:
    """Position 146 million of GPT-3's own mix, at once."""
    mixture = paper()
    tracemalloc.start()
    sources, epochs, found = mixture.locate(np.array([mixture.horizon - 1, 10**12]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20
    assert (found < [mixture.sources[source].windows for source in sources]).all()
    assert (epochs >= 0).all()


def paper(**changes: Any) -> Mixture:
    parts = [ingredient(name, weight, size * 10**9) for name, (weight, size) in PAPER.items()]
    settings = {"tokens": 300 * 10**9, "sequence_length": 2048, "block": 65_536}
    return mix(*parts, **settings | changes)


def test_table_of_the_paper_follows_from_its_weights() -> None:
    """Epochs by arithmetic from the normalised weights, not the printed ones (2.9 and 3.4)."""
    mixture = paper()
    rows = table(mixture)
    assert sum(row.sequences for row in rows) == mixture.horizon == 300 * 10**9 // 2048
    assert math.fsum(row.weight for row in rows) == pytest.approx(1, abs=1e-15)
    for row, (name, (weight, size)) in zip(rows, PAPER.items(), strict=True):
        assert (row.name, row.requested, row.tokens) == (name, weight, size * 10**9)
        assert row.weight == pytest.approx(weight / 1.01)
        assert row.epochs == pytest.approx(300 * weight / 1.01 / size, rel=1e-3)
        assert row.tokens_drawn == row.sequences * 2048
        # blocks divide the run to within one sequence a block: 2,236 blocks here
        assert abs(row.sequences - row.weight * mixture.horizon) < 2300


@given(
    st.lists(st.floats(0.001, 1), min_size=1, max_size=5),
    st.integers(10, 400_000),
    st.integers(1, 5000),
)
def test_compose_meets_the_weights_over_the_run(
    weights: list[float], tokens: int, block: int
) -> None:
    parts = [ingredient(f"s{n}", weight, 5_000) for n, weight in enumerate(weights)]
    mixture = mix(*parts, tokens=tokens, block=block)
    assert 1 <= mixture.block <= LARGEST_BLOCK
    assume(mixture.block <= mixture.horizon)  # a run shorter than that is left to chance
    blocks = math.ceil(mixture.horizon / mixture.block)
    for row in table(mixture):
        slack = max(mixture.block * blocks - mixture.horizon, 0)
        assert abs(row.sequences - row.weight * mixture.horizon) <= 1 + slack


def test_compose_a_run_shorter_than_a_block_is_met_exactly() -> None:
    mixture = small(tokens=1_000, block=65_536)
    assert mixture.block == mixture.horizon == 100
    assert [row.sequences for row in table(mixture)] == [59, 37, 4]


def test_compose_too_many_epochs_are_refused_with_the_numbers() -> None:
    with pytest.raises(
        StageError, match=r"sources\.books: .* 29\.8 epochs .*max_epochs 12"
    ) as caught:
        small(max_epochs=12)
    assert "36,630 tokens of the 1,234 that it has" in str(caught.value)


@pytest.mark.parametrize(
    ("parts", "changes", "why"),
    [
        ([], {}, "sources"),
        ([("a", 1.0, 500), ("a", 1.0, 500)], {}, "not distinct"),
        ([("a", 1.0, 500), ("b", 1.0)], {}, r"sources\.b: its 0 tokens are less than one sequence"),
        ([("a", 1.0, 500), ("b", 1.0, 10)], {}, r"sources\.b: its 10 tokens are less than one"),
        ([("a", 0.0, 500)], {}, "not a positive number"),
        ([("a", -1.0, 500)], {}, "not a positive number"),
        ([("a", math.nan, 500)], {}, "not a positive number"),
        ([("a", math.inf, 500)], {}, "not a positive number"),
        ([("a", 1.0, 500), ("b", 1e-7, 500)], {}, r"sources\.b: its share of a block"),
        ([("a", 1.0, 500)], {"tokens": 9}, "is empty"),
        ([("a", 1.0, 500)], {"seed": -1}, "seed"),
    ],
)
def test_compose_what_cannot_be_mixed_is_refused(
    parts: list[tuple[Any, ...]], changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(InputError, match=why):
        mix(*(ingredient(*part) for part in parts), **changes)


def test_windows_predict_each_token_but_the_first_once() -> None:
    for tokens in range(60):
        count = windows(tokens, 7)
        predicted = [w * 7 + n for w in range(count) for n in range(1, 8)]
        assert predicted == list(range(1, count * 7 + 1))
        assert count * 7 + 1 <= max(tokens, 1) < (count + 1) * 7 + 1


def stored(mixture: Mixture) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(json.dumps(mixture.to_json()))
    return content


def test_json_gives_the_mixture_back() -> None:
    mixture = paper()
    again = Mixture.from_json(stored(mixture), where="mixture.json")
    assert again == mixture
    assert again.fingerprint == mixture.fingerprint
    assert stored(again) == stored(mixture)
    assert mixture.validation_windows() == (0,) * 5
    assert small().validation_windows() == (10, 10, 10)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(seed=7),
        lambda c: c.update(block=300),
        lambda c: c["vocabulary"].update(digest="x"),
        lambda c: c["sources"][0]["shards"][0].update(sha256="x"),
        lambda c: c["sources"][0].update(weight=0.5),
        lambda c: c["sources"].reverse(),
        lambda c: c.update(fingerprint="x"),
    ],
)
def test_json_that_was_changed_is_refused(change: Any) -> None:
    content = stored(small())
    change(content)
    with pytest.raises(IntegrityError, match=r"m\.json: the mixture has been changed"):
        Mixture.from_json(content, where="m.json")


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("seed"),
        lambda c: c.pop("fingerprint"),
        lambda c: c.update(format=2),
        lambda c: c.update(seed="7"),
        lambda c: c.update(sources=3),
        lambda c: c["sources"][0].pop("shards"),
        lambda c: c["sources"][0].update(more=1),
        lambda c: c["sources"][0].update(windows=1 << 63),
        lambda c: c["sources"][0].update(tokens=5),
        lambda c: c["vocabulary"].update(more=1),
        lambda c: c.update(block=0),
    ],
)
def test_json_that_is_no_mixture_is_refused(change: Any) -> None:
    content = stored(small())
    change(content)
    with pytest.raises(InputError):
        Mixture.from_json(content, where="m.json")


@pytest.mark.parametrize("content", [None, [], 3, "x", {}])
def test_json_of_something_else_is_refused(content: Any) -> None:
    with pytest.raises(InputError, match=r"m\.json: this is not a mixture"):
        Mixture.from_json(content, where="m.json")


def test_fingerprint_covers_every_field() -> None:
    mixture = small()
    for field, value in {
        "seed": 1,
        "sequence_length": 10,
        "block": 99,
        "horizon": 5,
        "dtype": "int32",
        "vocabulary": dataclasses.replace(GPT2, name="x"),
        "sources": mixture.sources[:2],
    }.items():
        if getattr(mixture, field) != value:
            changed = dataclasses.replace(copy.copy(mixture), **{field: value})
            assert changed.fingerprint != mixture.fingerprint


def test_blend_shares_a_weight_by_tokens() -> None:
    words = blend(small(), folder="/data/mix-1", validation=False).split()
    weights, prefixes = [float(word) for word in words[::2]], words[1::2]
    assert prefixes == [
        "/data/mix-1/../tokenize-1/web/part-00000",
        "/data/mix-1/../tokenize-1/web/part-00002",
        "/data/mix-1/../tokenize-1/books/part-00000",
        "/data/mix-1/../tokenize-1/wiki/part-00000",
    ]
    assert weights[:2] == pytest.approx(
        [0.6 / 1.01 * 20_001 / 70_001, 0.6 / 1.01 * 50_000 / 70_001]
    )
    assert math.fsum(weights) == pytest.approx(1)
    assert blend(small(), folder="", validation=False).split()[1] == "../tokenize-1/web/part-00000"


def test_blend_of_validation_names_the_held_out_shards() -> None:
    words = blend(small(), folder="", validation=True).split()
    assert words[1::2] == [f"{name}/v.validation" for name in ("web", "books", "wiki")]
    assert math.fsum(float(word) for word in words[::2]) == pytest.approx(1)


def test_blend_white_space_is_refused() -> None:
    with pytest.raises(InputError, match="white space"):
        blend(small(), folder="/my data", validation=False)

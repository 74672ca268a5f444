"""Who sees whom: bands, documents and both, against a brute force over all pairs."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention.flex_attention import flex_attention

from corpus.trainer.attention import Pattern, attend, pattern, takes_flex
from corpus.trainer.model import GPT
from corpus.trainer.presets import Architecture
from tests.trainer.test_model import shake

CPU = torch.device("cpu")
DOCUMENTS = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 2, 2, 3], [0, 0, 0, 0, 0, 0, 0, 0, 1, 1]])


def brute_force(
    q: Tensor, k: Tensor, v: Tensor, window: int | None, documents: Tensor | None
) -> Tensor:
    """Return the attention, one query at a time over the keys that it sees."""
    out = torch.zeros_like(q)
    queries, keys = q.shape[2], k.shape[2]
    for b in range(q.shape[0]):
        for h in range(q.shape[1]):
            for i in range(queries):
                t = keys - queries + i
                seen = [
                    j
                    for j in range(t + 1)
                    if (window is None or j > t - window)
                    and (documents is None or documents[b, j] == documents[b, t])
                ]
                scores = torch.stack([q[b, h, i] @ k[b, h, j] for j in seen]) / q.shape[3] ** 0.5
                out[b, h, i] = torch.softmax(scores, dim=0) @ v[b, h, seen]
    return out


def drawn(queries: int, keys: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(queries + 100 * keys)
    return tuple(  # type: ignore[return-value]
        torch.randn(2, 3, length, 16, dtype=torch.float64, generator=generator)
        for length in (queries, keys, keys)
    )


@pytest.mark.parametrize("documents", [None, DOCUMENTS], ids=["whole", "documents"])
@pytest.mark.parametrize("window", [None, 1, 3, 9, 10, 50])
@pytest.mark.parametrize("queries", [1, 2, 4, 10])
def test_attention_is_that_of_a_brute_force(
    queries: int, window: int | None, documents: Tensor | None
) -> None:
    q, k, v = drawn(queries, 10)

    seen = pattern(queries, 10, window=window, documents=documents, device=CPU, flex=False)

    expected = brute_force(q, k, v, window, documents)
    assert torch.allclose(expected, attend(q, k, v, seen, dropout=0.0), atol=1e-12)


@pytest.mark.parametrize("documents", [None, DOCUMENTS], ids=["whole", "documents"])
@pytest.mark.parametrize("window", [None, 3])
def test_flex_attention_sees_the_same(
    window: int | None, documents: Tensor | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a forward pass on a CPU, not compiled here: the same blocks that a GPU is given."""
    monkeypatch.setattr("corpus.trainer.attention._compiled_flex", lambda: flex_attention)
    q, k, v = drawn(10, 10)

    seen = pattern(10, 10, window=window, documents=documents, device=CPU, flex=True)

    if window is None and documents is None:
        assert seen == Pattern(10, causal=True)  # torch's own is faster
        return
    assert seen.blocks is not None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "flex_attention called without torch.compile")
        attended = attend(q, k, v, seen, dropout=0.0)
    assert torch.allclose(brute_force(q, k, v, window, documents), attended, atol=1e-12)


def test_blocks_beside_the_band_are_skipped() -> None:
    """128 tokens a block: of 16 keys blocks, a query in a band of 128 meets two at most."""
    seen = pattern(2048, 2048, window=128, documents=None, device=CPU, flex=True)

    assert seen.blocks is not None
    assert seen.blocks.kv_num_blocks.tolist() == [[[1] + [2] * 15]]


def test_the_blocks_of_a_band_are_made_once() -> None:
    """They are the same for every part of every batch."""
    one, other = (
        pattern(256, 256, window=32, documents=None, device=CPU, flex=True).blocks for _ in range(2)
    )
    narrower = pattern(256, 256, window=16, documents=None, device=CPU, flex=True).blocks
    assert one is other
    assert one is not narrower


def test_a_band_as_wide_as_all_that_there_is_needs_no_mask() -> None:
    for keys in (9, 10):
        seen = pattern(keys, keys, window=10, documents=None, device=CPU, flex=False)
        assert seen == Pattern(keys, causal=True)


def test_a_band_reads_no_more_keys_of_a_cache_than_it_sees() -> None:
    assert pattern(2, 1000, window=8, documents=None, device=CPU, flex=False).keys == 9


def test_flex_attention_is_for_a_gpu_without_dropout() -> None:
    gpu = torch.device("cuda")
    assert takes_flex(gpu, 64, 0.0)
    assert not takes_flex(gpu, 64, 0.1)
    assert not takes_flex(gpu, 8, 0.0)
    assert not takes_flex(CPU, 64, 0.0)


def gradients(model: GPT, tokens: Tensor, **more: Any) -> list[Tensor]:
    weights = torch.linspace(-1, 1, tokens.numel() * 61).view(*tokens.shape, 61)
    (model(tokens, **more) * weights).sum().backward()
    return [p.grad for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("window", [None, 3])
def test_documents_are_computed_as_if_each_were_alone(
    shape: Architecture, window: int | None
) -> None:
    model = shake(GPT.create(replace(shape, window=window), dropout=0.0, seed=7)).eval()
    tokens = torch.arange(10)[None] * 5 % 61
    documents, positions = DOCUMENTS[:1], torch.tensor([[0, 1, 2, 0, 1, 2, 3, 0, 1, 0]])

    together = model(tokens, documents=documents, positions=positions)[0]

    for start, end in ((0, 3), (3, 7), (7, 9), (9, 10)):
        alone = model(tokens[:, start:end])[0]
        assert torch.allclose(alone, together[start:end], atol=1e-5)


def test_a_band_as_wide_as_the_sequence_changes_nothing(shape: Architecture) -> None:
    tokens = torch.arange(10)[None] * 5 % 61
    dense = shake(GPT.create(shape, dropout=0.0, seed=7))
    banded = shake(GPT.create(replace(shape, window=10), dropout=0.0, seed=7))
    narrow = shake(GPT.create(replace(shape, window=9), dropout=0.0, seed=7))

    assert torch.equal(dense(tokens), banded(tokens))
    assert torch.allclose(dense(tokens)[:, :9], narrow(tokens)[:, :9], atol=1e-5)
    assert not torch.allclose(dense(tokens)[:, 9], narrow(tokens)[:, 9], atol=1e-4)
    for one, other in zip(gradients(dense, tokens), gradients(banded, tokens), strict=True):
        assert torch.equal(one, other)

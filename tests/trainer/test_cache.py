"""A model that goes on from a cache against the same one that reads everything at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from corpus.trainer.cache import Cache
from corpus.trainer.model import GPT
from corpus.trainer.presets import Architecture
from tests.trainer.test_model import shake

TOKENS = torch.stack([torch.arange(16) * 7 % 61, torch.arange(16) * 11 % 61])


def made(shape: Architecture, **change: Any) -> GPT:
    return shake(GPT.create(replace(shape, n_layer=4, **change), dropout=0.0, seed=7)).eval()


@torch.no_grad()
def in_chunks(model: GPT, lengths: list[int], cache: Cache, **more: Tensor) -> Tensor:
    parts, start = [], 0
    for length in lengths:
        piece = slice(start, start + length)
        extra = {name: value[:, piece] for name, value in more.items()}
        parts.append(model(TOKENS[:, piece], cache=cache, **extra))
        start += length
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("lengths", [[16], [1] * 16, [5, 1, 1, 1, 8], [3, 13], [15, 1]])
@pytest.mark.parametrize(
    "change", [{}, {"post_norm": True}, {"window": 3}, {"window": 1}, {"window": 15}]
)
def test_logits_from_a_cache_equal_those_of_the_whole(
    shape: Architecture, change: dict[str, Any], lengths: list[int]
) -> None:
    model = made(shape, **change)

    cached = in_chunks(model, lengths, Cache(model.shape))

    assert torch.allclose(model(TOKENS), cached, atol=1e-5)


@pytest.mark.parametrize("window", [None, 3])
def test_documents_go_on_through_a_cache(shape: Architecture, window: int | None) -> None:
    model = made(shape, window=window)
    documents = torch.tensor([[0] * 4 + [1] * 9 + [2] * 3, [0] * 7 + [1] * 9])
    positions = torch.arange(16).expand(2, 16) % 7

    cached = in_chunks(
        model, [6, 1, 2, 7], Cache(model.shape), documents=documents, positions=positions
    )

    whole = model(TOKENS, documents=documents, positions=positions)
    assert torch.allclose(whole, cached, atol=1e-5)


def test_selected_rows_go_on_as_those_sequences(shape: Architecture) -> None:
    model = made(shape, window=3)
    cache = Cache(model.shape)
    in_chunks(model, [9], cache)

    cache.select(torch.tensor([1, 1, 0]))

    more = torch.tensor([[4], [5], [6]])
    for row, (source, token) in enumerate(((1, 4), (1, 5), (0, 6))):
        whole = torch.cat([TOKENS[source, :9], torch.tensor([token])])[None]
        expected = model(whole)[0, -1]
        if row == 0:
            found = model(more, cache=cache)[:, -1]
        assert torch.allclose(expected, found[row], atol=1e-5)


def test_a_full_context_is_refused_and_not_wrapped_around(shape: Architecture) -> None:
    model = made(shape)
    cache = Cache(model.shape)
    in_chunks(model, [16], cache)

    with pytest.raises(ValueError, match="17 tokens are more than the context of 16"):
        model(TOKENS[:, :1], cache=cache)
    with pytest.raises(ValueError, match="5 tokens are more than the context of 4"):
        model(TOKENS[:, :5], cache=Cache(model.shape, room=4))


def test_documents_for_some_tokens_of_a_cache_only_are_refused(shape: Architecture) -> None:
    model = made(shape)
    cache = Cache(model.shape)
    in_chunks(model, [3], cache)

    with pytest.raises(ValueError, match="for all tokens of a cache, or for none"):
        model(TOKENS[:, 3:5], cache=cache, documents=torch.zeros(2, 2))

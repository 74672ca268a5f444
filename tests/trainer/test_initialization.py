"""The first weights: any part of them, drawn alone, is that part of the whole."""

from __future__ import annotations

import pytest
import torch

from corpus.trainer import initialization
from corpus.trainer.initialization import draw_normal
from corpus.trainer.model import GPT
from corpus.trainer.presets import Architecture


def drawn(count: int, *, first: int = 0, seed: int = 7, name: str = "wte.weight") -> torch.Tensor:
    values = torch.full((count,), torch.nan)
    draw_normal(values, 0.5, seed=seed, name=name, first=first)
    return values


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 7])
def test_parts_of_a_model_are_those_of_the_whole(
    shape: Architecture, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut by rows as FSDP2 does, with parts across blocks, and some processes without a row."""
    monkeypatch.setattr(initialization, "BLOCK", 100)
    whole = GPT.create(shape, dropout=0.0, seed=7)
    empty = GPT.empty(shape, dropout=0.0)

    for name, parameter in whole.named_parameters():
        parts, first = [], 0
        for chunk in parameter.detach().chunk(processes):
            part = torch.full_like(chunk, torch.nan)
            empty.initialize(name, part, seed=7, first=first)
            parts.append(part)
            first += part.numel()
        assert torch.equal(torch.cat(parts), parameter), name


def test_every_range_of_values_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initialization, "BLOCK", 8)
    whole = drawn(29)

    for first in range(29):
        for last in range(first, 30):
            assert torch.equal(drawn(last - first, first=first), whole[first:last])


def test_draws_differ_by_seed_name_and_block() -> None:
    block = initialization.BLOCK
    one = drawn(block + 1000)

    for other in (drawn(1000, seed=8), drawn(1000, name="wpe.weight"), one[block:]):
        assert torch.isin(other, one[:1000]).sum() < 10


def test_draws_are_normal() -> None:
    """Moments and the share beyond two deviations, with 5 standard errors of slack."""
    values = drawn(400_000).double() / 0.5
    error = 5 / 400_000**0.5

    assert abs(values.mean()) < error
    assert abs(values.var() - 1) < 2**0.5 * error
    assert abs((values**4).mean() - 3) < 96**0.5 * error
    assert abs((values.abs() > 2).double().mean() - 0.0455) < 0.21 * error


def test_an_empty_model_takes_no_memory() -> None:
    model = GPT.empty(Architecture(96, 96, 12_288, 2_048, 50_257), dropout=0.0)  # GPT-3

    d = 12_288
    expected = (50_257 + 2_048) * d + 96 * (12 * d**2 + 13 * d) + 2 * d
    assert model.parameter_count() == expected
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}

"""Operations of a model against a count of its multiplications, and the peaks of devices."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from corpus.trainer.flops import flops_per_token, mfu, parameter_count, peak_flops
from corpus.trainer.model import GPT
from corpus.trainer.presets import PRESETS, Architecture

SHAPE = Architecture(n_layer=4, n_head=4, d_model=32, context=24, vocabulary_size=61)


def test_flops_of_a_dense_model_are_those_that_torch_counts() -> None:
    model = GPT.create(SHAPE, dropout=0.0, seed=0)
    tokens = torch.zeros(2, 24, dtype=torch.int64)

    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(tokens).sum().backward()

    # Torch counts products of matrices alone: neither biases nor gains.
    vectors = sum(p.numel() for p in model.parameters() if p.dim() == 1)
    assert counter.get_total_flops() == (flops_per_token(SHAPE, 24) - 6 * vectors) * tokens.numel()


@pytest.mark.parametrize("window", [1, 5, 24, 99])
@pytest.mark.parametrize("length", [1, 7, 24])
def test_visible_keys_of_a_banded_model_are_those_of_its_masks(window: int, length: int) -> None:
    shape = replace(SHAPE, window=window)
    seen = 0
    for layer in range(4):
        for t in range(length):
            band = window if layer in (1, 3) else length
            seen += sum(1 for key in range(t + 1) if t - key < band)
    weights = 6 * (parameter_count(shape) - 24 * 32)

    assert flops_per_token(shape, length, causal=True) == pytest.approx(
        weights + 12 * 32 * seen / length
    )
    assert flops_per_token(shape, length) == weights + 12 * 32 * (
        2 * length + 2 * min(window, length)
    )


@pytest.mark.parametrize("shape", [SHAPE, replace(SHAPE, post_norm=True), replace(SHAPE, window=3)])
def test_parameters_are_those_of_the_model(shape: Architecture) -> None:
    with torch.device("meta"):
        model = GPT(shape, dropout=0.0)

    assert parameter_count(shape) == model.parameter_count()


@pytest.mark.parametrize(
    ("name", "teraflops"),
    [
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA H100 80GB HBM3", 989.4),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H200", 989.4),
        ("NVIDIA L40S", 362),
        ("NVIDIA L4", 121),
        ("NVIDIA GeForce RTX 4090", 165.2),
    ],
)
def test_peak_of_a_known_device(name: str, teraflops: float) -> None:
    assert peak_flops(name) == teraflops * 1e12


@pytest.mark.parametrize(
    "name",
    [
        "cpu",
        "",
        "Tesla V100-SXM2-16GB",
        "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
    ],
)
def test_a_device_that_is_not_in_the_table_has_no_peak_and_no_mfu(name: str) -> None:
    assert peak_flops(name) is None
    assert mfu(1e5, SHAPE, 24, device_name=name) is None


def test_mfu_of_a_published_run() -> None:
    """Andrej Karpathy's nanoGPT, issue 110: 562 ms a step of 491,520 tokens on 8 A100: 30 %."""
    shape = PRESETS["gpt2-small"].architecture

    share = mfu(491_520 / 0.562, shape, 1024, device_name="NVIDIA A100-SXM4-40GB", devices=8)

    assert share == pytest.approx(0.30, abs=0.005)

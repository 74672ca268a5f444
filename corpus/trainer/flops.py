"""How much arithmetic a model needs, and how much a device could do: model FLOPs utilization (MFU).

In: the shape of a model, tokens a second, the name of a device. Out: floating-point operations,
and the share of the device's peak that training uses. No torch.

The count is that of PaLM (Chowdhery et al. 2022, Appendix B), which nanoGPT and others print too,
so that figures can be compared: forward and backward together are 6 operations for every weight
that multiplies an activation, plus 12 * d_model for every key that a query meets in a layer. The
embedding counts once, as the output layer; positions are added and not multiplied, so they do not.
In a dense layer a query meets all T keys, although half of them are masked and good kernels skip
them; in a banded layer the narrower of T and the band. `causal=True` counts what is visible only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from corpus.trainer.presets import Architecture

# Forward: one multiplication and one addition for each weight. Backward: the same for the gradient
# of the input, and again for that of the weight.
_OPERATIONS_PER_WEIGHT = 6

# Highest rate of dense bfloat16 matrix products with float32 sums, in 1e12 operations a second, by
# words of the name that CUDA gives the device; the first entry all of whose words are in it counts.
# From NVIDIA's data sheets and architecture white papers and AMD's data sheets, which print twice
# as much "with sparsity" for most.
_PEAK_TERAFLOPS: Mapping[tuple[str, ...], float] = MappingProxyType(
    {
        ("b200",): 2250,
        ("h200", "nvl"): 835.5,
        ("h200",): 989.4,
        ("gh200",): 989.4,
        ("h100", "nvl"): 835.5,
        ("h100", "pcie"): 756,
        ("h100",): 989.4,
        ("h800", "pcie"): 756,
        ("h800",): 989.4,
        ("h20",): 148,
        ("a100",): 312,
        ("a800",): 312,
        ("a40",): 149.7,
        ("a30",): 165,
        ("a10",): 125,
        ("a10g",): 70,
        ("l40s",): 362,
        ("l40",): 181,
        ("l4",): 121,
        ("a6000",): 154.8,
        ("6000", "ada"): 364.2,
        ("rtx", "5090"): 209.5,
        ("rtx", "4090"): 165.2,
        ("rtx", "4080"): 97.5,
        ("rtx", "3090"): 71,
        ("mi300x",): 1307.4,
    }
)
# A part of a device, or a slower one under the same name: its peak is not the one of the table.
_OTHER = frozenset({"mig", "laptop", "mobile", "max", "d", "super", "ti", "64gb", "vgpu", "grid"})


def parameter_count(shape: Architecture) -> int:
    """Return the number of parameters, the tied embedding counted once, positions included."""
    d = shape.d_model
    # A block: attention 4 d^2 + 4 d, feed-forward 8 d^2 + 5 d, two normalizations 4 d.
    block = 12 * d * d + 13 * d
    last = 0 if shape.post_norm else 2 * d
    return (shape.vocabulary_size + shape.context) * d + shape.n_layer * block + last


def flops_per_token(shape: Architecture, sequence_length: int, *, causal: bool = False) -> float:
    """Return the floating-point operations of training on one token, forward and backward.

    Args:
        shape: Of the model.
        sequence_length: T, tokens of a sequence.
        causal: Count the keys that are visible, on average over the positions, and not all T.
    """
    weights = parameter_count(shape) - shape.context * shape.d_model
    keys = sum(
        _keys(shape.window_of(layer), sequence_length, causal) for layer in range(shape.n_layer)
    )
    return _OPERATIONS_PER_WEIGHT * weights + 12.0 * shape.d_model * keys


def _keys(window: int | None, T: int, causal: bool) -> float:
    """Return the keys that a query of one layer meets, on average over the positions."""
    width = T if window is None else min(window, T)
    if not causal:
        return width
    # Position t sees min(t + 1, width) keys.
    return width - width * (width - 1) / (2 * T)


def peak_flops(device_name: str) -> float | None:
    """Return the dense bfloat16 peak of a device in operations a second, or None if unknown.

    Args:
        device_name: As `torch.cuda.get_device_name()` has it, for example "NVIDIA H200".
    """
    words = set(re.findall(r"[a-z0-9]+", device_name.lower()))
    if words & _OTHER:
        return None
    for needed, teraflops in _PEAK_TERAFLOPS.items():
        if words.issuperset(needed):
            return teraflops * 1e12
    return None


def mfu(
    tokens_per_second: float,
    shape: Architecture,
    sequence_length: int,
    *,
    device_name: str,
    devices: int = 1,
) -> float | None:
    """Return the share of the devices' peak that training uses, or None for an unknown device.

    Args:
        tokens_per_second: Over all devices.
        shape: Of the model.
        sequence_length: T, tokens of a sequence.
        device_name: See `peak_flops`; all devices are of one kind.
        devices: Number of them.
    """
    peak = peak_flops(device_name)
    if peak is None:
        return None
    return tokens_per_second * flops_per_token(shape, sequence_length) / (peak * devices)

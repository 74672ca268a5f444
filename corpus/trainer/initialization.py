"""The first weights, any part of them by itself: GPT-1 section 4.1, GPT-2 section 2.3.

In: a seed, the name of a parameter, a range of its values in the order of memory. Out: draws from
a normal distribution, a function of these alone. So every process of a run draws the part that it
holds, nobody draws the whole, and the weights are the same whatever the number of processes.

A parameter is cut into blocks of `BLOCK` values, each with a generator of its own; a range takes
from the blocks that it touches. NumPy's generator draws one value after the other, so the first n
values of a block are the same whatever n is. torch's on the CPU are not, and it looks at 32 bits of
a seed, of which the blocks of a large model would share some.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

BLOCK = 1 << 20  # values that one generator draws: 4 MiB, all that is needed beside the weights


@torch.no_grad()
def draw_normal(part: Tensor, deviation: float, *, seed: int, name: str, first: int = 0) -> None:
    """Fill a contiguous part of a parameter with draws from N(0, deviation).

    Args:
        part: What to fill, on any device.
        deviation: Standard deviation.
        seed: Of the run.
        name: Of the parameter.
        first: Number of values that the parameter has before this part.
    """
    values = part.view(-1)
    last = first + values.numel()
    for block in range(first // BLOCK, -(-last // BLOCK)):
        begin = block * BLOCK
        key = hashlib.sha256(f"{seed}/{name}/{block}".encode()).digest()
        generator = np.random.default_rng(int.from_bytes(key, "little"))
        drawn = generator.standard_normal(min(BLOCK, last - begin), dtype=np.float32)
        drawn *= np.float32(deviation)
        wanted = torch.from_numpy(drawn[max(0, first - begin) :])
        place = max(0, begin - first)
        values[place : place + len(wanted)] = wanted

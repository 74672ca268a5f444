"""Whether a folder of Transformers holds the same model as ours: their logits are compared.

Our model and the tensors of the folder in, the largest difference of their logits out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from corpus.errors import InputError
from corpus.trainer.interchange import reference
from corpus.trainer.model import GPT

# Of the largest logit. Float32 alone makes 1e-6 in a small model and 1e-5 in a deep one.
BOUND = 1e-4
_LEAST = 64  # tokens, where the context has room


@torch.no_grad()
def require_parity(
    model: GPT, config: Mapping[str, Any], tensors: Mapping[str, Tensor], *, where: str
) -> float:
    """Return the largest difference between the logits, as a share of the largest logit.

    They are computed for tokens that are drawn, more of them than a band is wide.

    Raises:
        InputError: They differ.
    """
    shape = model.shape
    length = min(shape.context, max(_LEAST, 2 * (shape.window or 0) + 2))
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(shape.vocabulary_size, (1, length), generator=generator)
    device = model.wte.weight.device
    ours = model(tokens.to(device)).double().cpu()
    theirs = reference.logits(config, tensors, tokens)
    share = float((ours - theirs).abs().max() / theirs.abs().max())
    if not share <= BOUND:  # not a number neither
        raise InputError(
            f"{config['architectures'][0]} does not compute what our model computes",
            where=where,
            why=f"Their logits differ by {share:.1e} of the largest, and the bound is {BOUND:.0e}"
            + ("; a query matrix may be nearly singular" if shape.window else ""),
            fix="Check that the weights are finite numbers, or use another checkpoint",
        )
    return share

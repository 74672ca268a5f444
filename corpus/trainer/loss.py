"""The loss of the output layer without its logits: cross-entropy, some positions at a time.

The logits of a batch are its largest tensor by far (a batch of 8 x 1024 with 50,257 tokens: 1.6 GB
in float32, and as much again for their gradient). Here they are made for a part of the positions,
turned into the loss and into the gradients of both factors, and dropped: the backward pass then has
nothing left to do but to multiply by the gradient that comes in. The arithmetic is that of the
plain layer, three matrix products, and its result up to the rounding of sums.

In: activations [N, C], weights [V, C], targets [N]. Out: the mean cross-entropy, differentiable
once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

IGNORED = -100  # as in torch: a target that is not to be learned, such as a prompt's

# Logits that are there at a time. On a CPU a part stays near the caches (166 positions of GPT-2's
# vocabulary: 34 MB); on a GPU it has to be large enough to fill it (5,000 positions: 1 GB).
_LOGITS_AT_ONCE = {"cpu": 1 << 23, "cuda": 1 << 28}


def cross_entropy(
    hidden: Tensor, weight: Tensor, targets: Tensor, *, positions: int | None = None
) -> Tensor:
    """Return the mean cross-entropy in nats of `targets` under the logits `hidden @ weight.T`.

    Equal to `F.cross_entropy(F.linear(hidden, weight).float(), targets)` up to rounding, but for
    a batch without a single target, whose loss is 0 here and not a number there.

    Args:
        hidden: Activations [..., C].
        weight: Output layer [V, C].
        targets: Token ids [...] (int64); `IGNORED` where there is nothing to learn.
        positions: Positions at a time; None: what suits the device.
    """
    if positions is None:
        most = _LOGITS_AT_ONCE.get(hidden.device.type, _LOGITS_AT_ONCE["cuda"])
        positions = max(1, most // len(weight))
    # Asked here: inside of `forward` torch records nothing, and `needs_input_grad` says of each
    # input what it says of itself, under `no_grad` too.
    wanted = torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad)
    loss: Tensor = _CrossEntropy.apply(
        hidden.reshape(-1, hidden.shape[-1]), weight, targets.reshape(-1), positions, wanted
    )
    return loss


class _CrossEntropy(torch.autograd.Function):
    """Loss and gradients in one pass over the positions."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, positions: int, wanted: bool
    ) -> Tensor:
        count = (targets != IGNORED).sum().clamp(min=1)
        # In float32 whatever the activations are (bfloat16 under autocast): a sum over 50,257
        # terms, and one over all positions, is no place for bfloat16.
        exact = torch.promote_types(weight.dtype, torch.float32)
        loss = torch.zeros((), dtype=exact, device=hidden.device)
        of_hidden = torch.empty_like(hidden) if wanted else None
        of_weight = torch.zeros_like(weight, dtype=exact) if wanted else None
        for start in range(0, len(hidden), positions):
            part, wants = hidden[start : start + positions], targets[start : start + positions]
            logits = F.linear(part, weight)
            narrow = logits.dtype
            logits = logits.to(exact)
            learned = (wants != IGNORED).unsqueeze(1)
            index = wants.clamp(min=0).unsqueeze(1)
            total = torch.logsumexp(logits, dim=1, keepdim=True)
            loss += ((total - logits.gather(1, index)) * learned).sum()
            if of_hidden is None or of_weight is None:
                continue
            # In place, for there is no other use of the logits: softmax less one at the target.
            gradient = logits.sub_(total).exp_()
            gradient.scatter_add_(1, index, torch.full_like(total, -1.0))
            gradient = gradient.mul_(learned.to(exact) / count).to(narrow)
            of_hidden[start : start + positions] = gradient @ weight.to(narrow)
            _add_product(of_weight, gradient, part.to(narrow))
        if wanted:
            ctx.save_for_backward(of_hidden, of_weight)
        return loss / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        of_hidden, of_weight = ctx.saved_tensors
        return of_hidden * gradient.to(of_hidden.dtype), of_weight * gradient, None, None, None


def _add_product(total: Tensor, gradient: Tensor, part: Tensor) -> None:
    """Add `gradient.T @ part` to `total`, in the precision of `total`."""
    if total.dtype == part.dtype:
        total.addmm_(gradient.t(), part)
    else:
        total += gradient.t() @ part

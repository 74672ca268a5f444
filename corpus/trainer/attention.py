"""Which keys a query sees, and the attention that follows from it: GPT-3 section 2.1.

Queries, keys and values in, their attention out. A dense layer sees everything before it, a banded
one the last `window` tokens, itself included; where the numbers of documents are given
(`corpus.trainer.documents`), no token sees another document. The three go together.

The keys may be more than the queries, which are then the last of them (`corpus.trainer.cache`).

How it is computed: torch's own causal attention for a dense layer alone; FlexAttention, which skips
the blocks of keys that nobody sees, for training on a GPU; and else attention with a boolean mask,
which computes every pair and is right everywhere. FlexAttention has no backward pass on a CPU and
no dropout, and is compiled for a length of sequence, which in pretraining does not change.

Shapes: B sequences, H heads, Q queries, K keys, D = d_head.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

_MIN_FLEX_HEAD = 16  # narrower heads do not fill a tile of its kernels, which refuse them


@dataclass(frozen=True, slots=True)
class Pattern:
    """Which keys the queries of a layer see.

    Attributes:
        keys: Only the last of them, this many, are seen by any query.
        causal: All K = Q keys up to each query; the other two are then None.
        visible: Whether a query sees a key: bool [1 or B, 1, Q, keys]. None without `causal` and
            `blocks`: every query sees every key.
        blocks: The same for FlexAttention.
    """

    keys: int
    causal: bool = False
    visible: Tensor | None = None
    blocks: BlockMask | None = None


def pattern(
    queries: int,
    keys: int,
    *,
    window: int | None,
    documents: Tensor | None,
    device: torch.device,
    flex: bool,
) -> Pattern:
    """Return the pattern of a layer.

    Args:
        queries: Q, the last of the keys.
        keys: K.
        window: Tokens that one sees, itself included; None: all before it.
        documents: Number of each key's document, [B, K]; None: all are one.
        device: Where the mask is made.
        flex: Whether FlexAttention is to compute it, if torch's causal attention cannot; Q = K.
    """
    if window is not None and window >= keys:
        window = None  # the band is as wide as all that there is
    if window is None and documents is None:
        if queries == keys:
            return Pattern(keys, causal=True)
        if queries == 1:
            return Pattern(keys)
    if flex and documents is None and window is not None:
        return Pattern(keys, blocks=_band(keys, window, device))
    if flex:
        return Pattern(keys, blocks=_blocks(keys, window, documents, device))
    if window is not None:
        # The first query sees `window` keys, and each of the others begins one later.
        keys = min(keys, window + queries - 1)
        documents = None if documents is None else documents[:, -keys:]
    return Pattern(keys, visible=visible(queries, keys, window, documents, device))


def visible(
    queries: int, keys: int, window: int | None, documents: Tensor | None, device: torch.device
) -> Tensor:
    """Return whether each query sees each key: bool [1 or B, 1, Q, K]. Arguments as `pattern`."""
    key = torch.arange(keys, device=device)
    query = key[keys - queries :, None]
    seen = query >= key
    if window is not None:
        seen = seen & (query - key < window)
    if documents is None:
        return seen[None, None]
    same = documents[:, keys - queries :, None] == documents[:, None, :]
    return (seen & same)[:, None]


def _blocks(
    length: int, window: int | None, documents: Tensor | None, device: torch.device
) -> BlockMask:
    """Return `visible` for as many queries as keys, as FlexAttention takes it."""

    def sees(b: Tensor, _: Tensor, query: Tensor, key: Tensor) -> Tensor:
        seen = query >= key
        if window is not None:
            seen = seen & (query - key < window)
        if documents is not None:
            seen = seen & (documents[b, query] == documents[b, key])
        return seen

    rows = None if documents is None else len(documents)
    return create_block_mask(sees, rows, None, length, length, device=str(device))


@functools.lru_cache(maxsize=16)
def _band(length: int, window: int, device: torch.device) -> BlockMask:
    # In training the same in every part of every batch, and made of length * length comparisons.
    return _blocks(length, window, None, device)


def takes_flex(device: torch.device, d_head: int, dropout: float) -> bool:
    """Say whether FlexAttention can compute the training on a device, with this dropout."""
    return device.type == "cuda" and dropout == 0.0 and d_head >= _MIN_FLEX_HEAD


@functools.cache
def _compiled_flex() -> Callable[..., Any]:
    # Not compiled, it would make the whole matrix of scores. Never at import: that takes seconds.
    return torch.compile(flex_attention, dynamic=False)


def attend(q: Tensor, k: Tensor, v: Tensor, seen: Pattern, *, dropout: float) -> Tensor:
    """Return the attention [B, H, Q, D] of queries [B, H, Q, D] to keys and values [B, H, K, D].

    Args:
        q: Queries.
        k: Keys.
        v: Values.
        seen: Which keys each query sees.
        dropout: Share of the attention weights to drop.
    """
    if seen.blocks is not None:
        # Of a model that is compiled itself, it becomes a part.
        compute = flex_attention if torch.compiler.is_compiling() else _compiled_flex()
        return cast(Tensor, compute(q, k, v, block_mask=seen.blocks))  # type: ignore[operator]
    if seen.keys < k.shape[2]:
        k, v = k[:, :, -seen.keys :], v[:, :, -seen.keys :]
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=seen.visible, is_causal=seen.causal, dropout_p=dropout
    )

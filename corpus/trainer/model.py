"""The decoder of GPT-1, GPT-2 and GPT-3: GPT-1 section 4.1, GPT-2 section 2.3, GPT-3 section 2.1.

Tokens in, logits of the next token out. A Transformer decoder with learned positions, tanh GELU,
biases everywhere, and an output layer that is the token embedding again. Parameters bear the names
that GPT-2's released code gave them (`wte`, `h.0.attn.c_attn`, ...). The three differ in two ways:

- GPT-1 normalizes the stream behind each addition to it; GPT-2 and GPT-3 normalize what goes into a
  sub-block, and once more what comes out of the last block (`Architecture.post_norm`).
- GPT-3 alternates dense layers with banded ones (`Architecture.window`).

Initialization: weights from N(0, 0.02), biases zero, gains one. From GPT-2 on, positions from
N(0, 0.01), and "we scale the weights of residual layers at initialization by a factor of 1/sqrt(N)
where N is the number of residual layers": every block adds to the residual stream twice, so N is
twice the number of blocks, and the scaled weights are the two that write to the stream.

Shapes: B sequences, T tokens, C = d_model, V = vocabulary.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from corpus.trainer.attention import Pattern, attend, pattern, takes_flex
from corpus.trainer.cache import Cache
from corpus.trainer.loss import cross_entropy
from corpus.trainer.presets import Architecture

WEIGHT_DEVIATION = 0.02  # GPT-1 section 4.1, and wte in GPT-2's released code
POSITION_DEVIATION = 0.01  # wpe in GPT-2's released code


class Attention(nn.Module):
    """Causal multi-head self-attention of one layer."""

    def __init__(self, shape: Architecture, layer: int, dropout: float) -> None:
        super().__init__()
        self.layer = layer
        self.n_head = shape.n_head
        self.dropout = dropout
        self.c_attn = nn.Linear(shape.d_model, 3 * shape.d_model)  # queries, keys and values
        self.c_proj = nn.Linear(shape.d_model, shape.d_model)

    def forward(self, x: Tensor, seen: Pattern, cache: Cache | None) -> Tensor:
        """Map [B, T, C] to [B, T, C]; `seen` says which positions see which."""
        B, T, C = x.shape
        q, k, v = (
            part.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
            for part in self.c_attn(x).split(C, dim=2)
        )
        if cache is not None:
            k, v = cache.add(self.layer, k, v)
        y = attend(q, k, v, seen, dropout=self.dropout if self.training else 0.0)
        out: Tensor = self.c_proj(y.transpose(1, 2).reshape(B, T, C))
        return F.dropout(out, self.dropout, self.training)


class FeedForward(nn.Module):
    """Two linear maps with a GELU between them, 4 times as wide inside."""

    def __init__(self, shape: Architecture, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.c_fc = nn.Linear(shape.d_model, 4 * shape.d_model)
        self.c_proj = nn.Linear(4 * shape.d_model, shape.d_model)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, T, C] to [B, T, C], each position by itself."""
        # The tanh form is what GPT-2's code computes; the exact GELU is up to 5e-4 away from it.
        out: Tensor = self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))
        return F.dropout(out, self.dropout, self.training)


class Block(nn.Module):
    """Attention, then feed-forward, each added to the stream, with their normalizations."""

    def __init__(self, shape: Architecture, layer: int, dropout: float) -> None:
        super().__init__()
        self.post_norm = shape.post_norm
        self.ln_1 = nn.LayerNorm(shape.d_model)
        self.attn = Attention(shape, layer, dropout)
        self.ln_2 = nn.LayerNorm(shape.d_model)
        self.mlp = FeedForward(shape, dropout)

    def forward(self, x: Tensor, seen: Pattern, cache: Cache | None = None) -> Tensor:
        """Map [B, T, C] to [B, T, C]; `seen` says which positions see which."""
        if self.post_norm:
            x = self.ln_1(x + self.attn(x, seen, cache))
            return self.ln_2(x + self.mlp(x))  # type: ignore[no-any-return]
        x = x + self.attn(self.ln_1(x), seen, cache)
        return x + self.mlp(self.ln_2(x))  # type: ignore[no-any-return]


class GPT(nn.Module):
    """The whole decoder. Use `GPT.create` for one with initialized weights.

    Args:
        shape: Its sizes.
        dropout: Share of units dropped on embeddings, attention weights and the output of each
            sub-block while training (GPT-1 section 4.1 names the three places).
    """

    # Whether what it is trained on has one length: FlexAttention is compiled for each.
    one_length: ClassVar[bool] = True

    def __init__(self, shape: Architecture, *, dropout: float) -> None:
        super().__init__()
        self.shape = shape
        self.dropout = dropout
        self.wte = nn.Embedding(shape.vocabulary_size, shape.d_model)
        self.wpe = nn.Embedding(shape.context, shape.d_model)
        self.h = nn.ModuleList(Block(shape, layer, dropout) for layer in range(shape.n_layer))
        self.ln_f = nn.Identity() if shape.post_norm else nn.LayerNorm(shape.d_model)

    @classmethod
    def create(cls, shape: Architecture, *, dropout: float, seed: int) -> GPT:
        """Return a decoder on the CPU whose weights depend on its shape and `seed` alone."""
        with torch.device("meta"):  # spares torch's own initialization, which is not GPT-2's
            model = cls(shape, dropout=dropout)
        model.to_empty(device="cpu")
        model.initialize(torch.Generator().manual_seed(seed))
        return model

    @torch.no_grad()
    def initialize(self, generator: torch.Generator) -> None:
        """Draw all weights anew (module docstring), in the order of the parameters."""
        scaled = not self.shape.post_norm  # GPT-1 does neither
        residual = WEIGHT_DEVIATION / math.sqrt(2 * self.shape.n_layer if scaled else 1)
        position = POSITION_DEVIATION if scaled else WEIGHT_DEVIATION
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif ".ln_" in f".{name}":
                parameter.fill_(1.0)
            elif name == "wpe.weight":
                parameter.normal_(0.0, position, generator=generator)
            elif name.endswith("c_proj.weight"):
                parameter.normal_(0.0, residual, generator=generator)
            else:
                parameter.normal_(0.0, WEIGHT_DEVIATION, generator=generator)

    def hidden(
        self,
        tokens: Tensor,
        *,
        documents: Tensor | None = None,
        positions: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Return the normalized output of the last block [B, T, C] for `tokens` [B, T] (int64).

        Args:
            tokens: Token ids; with a cache those that follow what it holds, B the same.
            documents: Number of each token's document [B, T]: no token sees another document
                (`documents.document_numbers`). None: all are one, as in GPT-3.
            positions: Position of each token [B, T]; None: 0, 1, ..., or on from the cache.
            cache: What was read before; it holds these tokens too afterwards.

        Raises:
            ValueError: The sequence, with what is in the cache, is longer than the context, or
                than the cache.
        """
        T, past = tokens.shape[1], 0 if cache is None else cache.length
        longest = self.shape.context if cache is None else min(self.shape.context, cache.room)
        if past + T > longest:
            raise ValueError(f"{past + T} tokens are more than the context of {longest}")
        if cache is not None:
            documents = cache.add_documents(documents)
        patterns = self._patterns(tokens, past, documents, cached=cache is not None)
        if positions is None:
            x = self.wte(tokens) + self.wpe.weight[past : past + T]
        else:
            x = self.wte(tokens) + self.wpe(positions)
        x = F.dropout(x, self.dropout, self.training)
        for layer, block in enumerate(self.h):
            x = block(x, patterns[layer % 2], cache)
        if cache is not None:
            cache.advance(T)
        normalized: Tensor = self.ln_f(x)
        return normalized

    def _patterns(
        self, tokens: Tensor, past: int, documents: Tensor | None, *, cached: bool
    ) -> tuple[Pattern, Pattern]:
        """Return what layers 0, 2, ... see, and what layers 1, 3, ... see."""
        queries, device = tokens.shape[1], tokens.device
        training = self.training and self.one_length and not cached
        flex = training and takes_flex(device, self.shape.d_head, self.dropout)

        def of(layer: int) -> Pattern:
            window = self.shape.window_of(layer)
            return pattern(
                queries,
                past + queries,
                window=window,
                documents=documents,
                device=device,
                flex=flex,
            )

        dense = of(0)
        return dense, dense if self.shape.window is None else of(1)

    def forward(
        self,
        tokens: Tensor,
        *,
        documents: Tensor | None = None,
        positions: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Return the logits [B, T, V] of the token after each of `tokens` [B, T] (int64).

        Arguments and errors as `hidden`.
        """
        x = self.hidden(tokens, documents=documents, positions=positions, cache=cache)
        return F.linear(x, self.wte.weight)

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Return the mean cross-entropy in nats of `targets` [B, T] (int64) after `tokens`."""
        return cross_entropy(self.hidden(tokens), self.wte.weight, targets)

    def parameter_count(self) -> int:
        """Return the number of parameters, the tied embedding counted once, positions included."""
        return sum(parameter.numel() for parameter in self.parameters())

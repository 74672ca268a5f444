"""The decoder of GPT-2 and of GPT-3 with dense attention: GPT-2 section 2.3, GPT-3 section 2.1.

Tokens in, logits of the next token out. A Transformer decoder with layer normalization before each
sub-block and one more after the last block, learned positions, tanh GELU, biases everywhere, and
an output layer that is the token embedding again. Parameters bear the names that GPT-2's released
code gave them (`wte`, `h.0.attn.c_attn`, ...).

Initialization: weights from N(0, 0.02), positions from N(0, 0.01), biases zero, gains one. "We
scale the weights of residual layers at initialization by a factor of 1/sqrt(N) where N is the
number of residual layers" (GPT-2): every block adds to the residual stream twice, so N is twice
the number of blocks, and the scaled weights are the two that write to the stream.

Shapes: B sequences, T tokens, C = d_model, V = vocabulary.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from corpus.trainer.loss import cross_entropy
from corpus.trainer.presets import Architecture

WEIGHT_DEVIATION = 0.02  # GPT-1 section 4.1, and wte in GPT-2's released code
POSITION_DEVIATION = 0.01  # wpe in GPT-2's released code


class Attention(nn.Module):
    """Causal multi-head self-attention."""

    def __init__(self, shape: Architecture, dropout: float) -> None:
        super().__init__()
        self.n_head = shape.n_head
        self.dropout = dropout
        self.c_attn = nn.Linear(shape.d_model, 3 * shape.d_model)  # queries, keys and values
        self.c_proj = nn.Linear(shape.d_model, shape.d_model)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, T, C] to [B, T, C]; position t sees positions up to and including t."""
        B, T, C = x.shape
        q, k, v = (
            part.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
            for part in self.c_attn(x).split(C, dim=2)
        )
        y = F.scaled_dot_product_attention(
            q, k, v, is_causal=True, dropout_p=self.dropout if self.training else 0.0
        )
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
    """Attention, then feed-forward, each on the normalized stream and added to it."""

    def __init__(self, shape: Architecture, dropout: float) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(shape.d_model)
        self.attn = Attention(shape, dropout)
        self.ln_2 = nn.LayerNorm(shape.d_model)
        self.mlp = FeedForward(shape, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, T, C] to [B, T, C]."""
        attended: Tensor = x + self.attn(self.ln_1(x))
        out: Tensor = attended + self.mlp(self.ln_2(attended))
        return out


class GPT(nn.Module):
    """The whole decoder. Use `GPT.create` for one with initialized weights.

    Args:
        shape: Its sizes.
        dropout: Share of units dropped on embeddings, attention weights and the output of each
            sub-block while training (GPT-1 section 4.1 names the three places).
    """

    def __init__(self, shape: Architecture, *, dropout: float) -> None:
        super().__init__()
        self.shape = shape
        self.dropout = dropout
        self.wte = nn.Embedding(shape.vocabulary_size, shape.d_model)
        self.wpe = nn.Embedding(shape.context, shape.d_model)
        self.h = nn.ModuleList(Block(shape, dropout) for _ in range(shape.n_layer))
        self.ln_f = nn.LayerNorm(shape.d_model)

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
        residual = WEIGHT_DEVIATION / math.sqrt(2 * self.shape.n_layer)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif ".ln_" in f".{name}":
                parameter.fill_(1.0)
            elif name == "wpe.weight":
                parameter.normal_(0.0, POSITION_DEVIATION, generator=generator)
            elif name.endswith("c_proj.weight"):
                parameter.normal_(0.0, residual, generator=generator)
            else:
                parameter.normal_(0.0, WEIGHT_DEVIATION, generator=generator)

    def hidden(self, tokens: Tensor) -> Tensor:
        """Return the last block's normalized output [B, T, C] for `tokens` [B, T] (int64).

        Raises:
            ValueError: The sequence is longer than the context.
        """
        T = tokens.shape[1]
        if self.shape.context < T:
            raise ValueError(f"{T} tokens are more than the context of {self.shape.context}")
        x = self.wte(tokens) + self.wpe.weight[:T]
        x = F.dropout(x, self.dropout, self.training)
        for block in self.h:
            x = block(x)
        normalized: Tensor = self.ln_f(x)
        return normalized

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits [B, T, V] of the token after each of `tokens` [B, T] (int64).

        Raises:
            ValueError: The sequence is longer than the context.
        """
        return F.linear(self.hidden(tokens), self.wte.weight)

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Return the mean cross-entropy in nats of `targets` [B, T] (int64) after `tokens`."""
        return cross_entropy(self.hidden(tokens), self.wte.weight, targets)

    def parameter_count(self) -> int:
        """Return the number of parameters, the tied embedding counted once, positions included."""
        return sum(parameter.numel() for parameter in self.parameters())

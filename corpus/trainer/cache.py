"""The keys and values of what a model has read, so that the next token costs one token.

`GPT.hidden(tokens, cache=cache)` reads tokens that follow those in the cache and puts theirs into
it. Memory: 2 * n_layer * d_model numbers a token, for GPT-3 XL in bfloat16 0.2 MB.

Shapes: B sequences, H heads, T new tokens, D = d_head.
"""

from __future__ import annotations

import torch
from torch import Tensor

from corpus.trainer.presets import Architecture


class Cache:
    """Keys and values of B sequences, in every layer.

    Args:
        shape: Of the model.
        room: Tokens that it can hold at most; None: the model's context.

    Attributes:
        length: Tokens in it.
        room: Tokens that it can hold.
        documents: Number of each token's document, [B, length], if they were given.
    """

    def __init__(self, shape: Architecture, *, room: int | None = None) -> None:
        self.length = 0
        self.room = shape.context if room is None else room
        self.documents: Tensor | None = None
        self._layers: list[tuple[Tensor, Tensor]] = []

    def add_documents(self, documents: Tensor | None) -> Tensor | None:
        """Add the numbers of the next tokens' documents [B, T], and return those of all tokens.

        Raises:
            ValueError: They were given for some tokens and not for others.
        """
        if self.length and (documents is None) != (self.documents is None):
            raise ValueError("documents have to be given for all tokens of a cache, or for none")
        if documents is not None and self.documents is not None:
            documents = torch.cat([self.documents, documents], dim=1)
        self.documents = documents
        return documents

    def add(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add the keys and values [B, H, T, D] of the next tokens, and return those of all tokens.

        The tokens count once `advance` is called, when every layer has its own.
        """
        if layer == len(self._layers):
            whole = (k.shape[0], k.shape[1], self.room, k.shape[3])
            self._layers.append((k.new_empty(whole), v.new_empty(whole)))
        keys, values = self._layers[layer]
        end = self.length + k.shape[2]
        keys[:, :, self.length : end] = k
        values[:, :, self.length : end] = v
        return keys[:, :, :end], values[:, :, :end]

    def advance(self, tokens: int) -> None:
        """Count the tokens that were added in every layer."""
        self.length += tokens

    def select(self, rows: Tensor) -> None:
        """Keep these of the B sequences, in this order; one may be taken several times."""
        self._layers = [(keys[rows], values[rows]) for keys, values in self._layers]
        if self.documents is not None:
            self.documents = self.documents[rows]

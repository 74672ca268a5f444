"""What the three classes of Transformers compute, written down plainly from their definitions.

The export compares our model with this, so that it needs no Transformers to know that what it wrote
is the same model. It reads the tensors by their names in the file and shares nothing with
`corpus.trainer.model`; the tests compare it with Transformers itself.

In: the content of `config.json`, the tensors, token ids [B, T]. Out: logits [B, T, V] in float64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def logits(config: Mapping[str, Any], tensors: Mapping[str, Tensor], tokens: Tensor) -> Tensor:
    """Return the logits [B, T, V] that the class of a folder computes, in float64."""
    if config["model_type"] == "openai-gpt":
        return _openai_gpt(config, tensors, tokens)
    if config["model_type"] == "gpt2":
        return _gpt2(config, tensors, tokens)
    return _gpt_neo(config, tensors, tokens)


class _Tensors:
    """Tensors by name, in float64, below a prefix."""

    def __init__(self, tensors: Mapping[str, Tensor], prefix: str) -> None:
        self._tensors, self._prefix = tensors, prefix

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[self._prefix + name].double()

    def below(self, prefix: str) -> _Tensors:
        return _Tensors(self._tensors, self._prefix + prefix)


def _normalize(x: Tensor, p: _Tensors, epsilon: float) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    deviation = (centred.square().mean(-1, keepdim=True) + epsilon).sqrt()
    return centred / deviation * p["weight"] + p["bias"]


def _convolve(x: Tensor, p: _Tensors) -> Tensor:
    return x @ p["weight"] + p["bias"]  # "Conv1D" is a linear layer with its matrix transposed


def _gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _attend(q: Tensor, k: Tensor, v: Tensor, heads: int, scale: float, window: int) -> Tensor:
    B, T, C = q.shape
    q, k, v = (x.view(B, T, heads, C // heads).transpose(1, 2) for x in (q, k, v))
    distance = torch.arange(T)[:, None] - torch.arange(T)[None]
    hidden = (distance < 0) | (distance >= window)
    scores = (q @ k.transpose(2, 3) * scale).masked_fill(hidden, -torch.inf)
    return (torch.softmax(scores, dim=-1) @ v).transpose(1, 2).reshape(B, T, C)


def _conv_attention(x: Tensor, p: _Tensors, heads: int) -> Tensor:
    q, k, v = _convolve(x, p.below("c_attn.")).chunk(3, dim=-1)
    scale = 1 / math.sqrt(q.shape[-1] // heads)
    return _convolve(_attend(q, k, v, heads, scale, x.shape[1]), p.below("c_proj."))


def _conv_mlp(x: Tensor, p: _Tensors) -> Tensor:
    return _convolve(_gelu(_convolve(x, p.below("c_fc."))), p.below("c_proj."))


def _openai_gpt(config: Mapping[str, Any], tensors: Mapping[str, Tensor], ids: Tensor) -> Tensor:
    p, epsilon = _Tensors(tensors, "transformer."), config["layer_norm_epsilon"]
    x = p["tokens_embed.weight"][ids] + p["positions_embed.weight"][: ids.shape[1]]
    for layer in range(config["n_layer"]):
        b = p.below(f"h.{layer}.")
        attended = _conv_attention(x, b.below("attn."), config["n_head"])
        n = _normalize(x + attended, b.below("ln_1."), epsilon)
        x = _normalize(n + _conv_mlp(n, b.below("mlp.")), b.below("ln_2."), epsilon)
    return x @ p["tokens_embed.weight"].T


def _gpt2(config: Mapping[str, Any], tensors: Mapping[str, Tensor], ids: Tensor) -> Tensor:
    p, epsilon = _Tensors(tensors, "transformer."), config["layer_norm_epsilon"]
    x = p["wte.weight"][ids] + p["wpe.weight"][: ids.shape[1]]
    for layer in range(config["n_layer"]):
        b = p.below(f"h.{layer}.")
        n = _normalize(x, b.below("ln_1."), epsilon)
        x = x + _conv_attention(n, b.below("attn."), config["n_head"])
        x = x + _conv_mlp(_normalize(x, b.below("ln_2."), epsilon), b.below("mlp."))
    return _normalize(x, p.below("ln_f."), epsilon) @ p["wte.weight"].T


def _gpt_neo(config: Mapping[str, Any], tensors: Mapping[str, Tensor], ids: Tensor) -> Tensor:
    p, epsilon = _Tensors(tensors, "transformer."), config["layer_norm_epsilon"]
    x = p["wte.weight"][ids] + p["wpe.weight"][: ids.shape[1]]
    for layer, kind in enumerate(config["attention_layers"]):
        b = p.below(f"h.{layer}.")
        a, m = b.below("attn.attention."), b.below("mlp.")
        n = _normalize(x, b.below("ln_1."), epsilon)
        q, k, v = (n @ a[f"{name}_proj.weight"].T for name in "qkv")
        window = config["window_size"] if kind == "local" else ids.shape[1]
        attended = _attend(q, k, v, config["num_heads"], 1.0, window)
        x = x + attended @ a["out_proj.weight"].T + a["out_proj.bias"]
        n = _normalize(x, b.below("ln_2."), epsilon)
        n = _gelu(n @ m["c_fc.weight"].T + m["c_fc.bias"])
        x = x + n @ m["c_proj.weight"].T + m["c_proj.bias"]
    return _normalize(x, p.below("ln_f."), epsilon) @ p["wte.weight"].T

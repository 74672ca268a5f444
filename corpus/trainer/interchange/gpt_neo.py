"""GPT-3 with alternating dense and banded layers as GPT-Neo, the one class that has bands.

GPT-Neo (`window_size` tokens, the token itself included; layers alternate global and local) differs
from GPT-3 in two ways, which are folded into its weights:

- its scores are not divided by sqrt(d_head): the query matrix is, Wq / sqrt(d_head);
- it has no biases on queries, keys and values. A bias of the keys adds the same to all scores of a
  query, which the softmax takes out: it is dropped. A bias b_v of the values reaches the output
  through weights that add up to one: Wo b_v goes into the output's bias. A bias b_q of the queries
  matters: with Wq delta = b_q, delta is added to what goes into the layer (the bias of `ln_1`).
  Keys then gain Wk delta, which the softmax takes out, and values Wv delta, which is taken off the
  output's bias again.

So Wq has to have an inverse, and not a bad one: the weights are saved in float32. Computed in
float64. The export compares the logits (`corpus.trainer.interchange.folder`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from corpus.errors import InputError
from corpus.trainer.presets import Architecture


def config_of(shape: Architecture, *, dropout: float) -> dict[str, Any]:
    """Return the part of `config.json` that only this class has."""
    layers = ["global" if shape.window_of(n) is None else "local" for n in range(shape.n_layer)]
    return {
        "max_position_embeddings": shape.context,
        "hidden_size": shape.d_model,
        "num_layers": shape.n_layer,
        "num_heads": shape.n_head,
        "attention_types": [[layers, 1]],
        "attention_layers": layers,
        "window_size": shape.window or shape.context,
        "intermediate_size": None,
        "activation_function": "gelu_new",
        "resid_dropout": dropout,
        "embed_dropout": dropout,
        "attention_dropout": dropout,
    }


def shape_of(config: Mapping[str, Any], *, where: str) -> Architecture:
    """Return the shape that a `config.json` of this class describes.

    Raises:
        InputError: Its local layers are not the second, the fourth, ...
        KeyError: A size is missing.
    """
    layers = int(config["num_layers"])
    kinds = [
        kind for kinds, number in config["attention_types"] for _ in range(number) for kind in kinds
    ]
    window = None
    if "local" in kinds:
        window = int(config["window_size"])
        if kinds != ["local" if layer % 2 else "global" for layer in range(layers)]:
            raise InputError(
                "this is not a model that can be imported",
                where=where,
                why=f"Its local layers are not every second one: {config['attention_types']}",
            )
    return Architecture(
        n_layer=layers,
        n_head=int(config["num_heads"]),
        d_model=int(config["hidden_size"]),
        context=int(config["max_position_embeddings"]),
        vocabulary_size=int(config["vocab_size"]),
        window=window,
    )


def to_carrier(weights: Mapping[str, Tensor], shape: Architecture) -> dict[str, Tensor]:
    """Return GPT-Neo's tensors for our parameters, in float32.

    Raises:
        InputError: The query matrix of a layer has no inverse, and its bias is not zero.
    """
    tensors = {
        f"transformer.{name}": tensor.float().contiguous()
        for name, tensor in weights.items()
        if ".attn." not in name
    }
    for layer in range(shape.n_layer):
        ours, theirs = f"h.{layer}.attn.", f"transformer.h.{layer}.attn.attention."
        wq, wk, wv = weights[f"{ours}c_attn.weight"].double().chunk(3)
        bq, _, bv = weights[f"{ours}c_attn.bias"].double().chunk(3)
        wo = weights[f"{ours}c_proj.weight"].double()
        delta = _solve(wq, bq, layer)
        normalization = weights[f"h.{layer}.ln_1.bias"].double() + delta
        output = weights[f"{ours}c_proj.bias"].double() + wo @ (bv - wv @ delta)
        folded = {
            f"{theirs}q_proj.weight": wq / math.sqrt(shape.d_head),
            f"{theirs}k_proj.weight": wk,
            f"{theirs}v_proj.weight": wv,
            f"{theirs}out_proj.weight": wo,
            f"{theirs}out_proj.bias": output,
            f"transformer.h.{layer}.ln_1.bias": normalization,
        }
        tensors |= {name: tensor.float().contiguous() for name, tensor in folded.items()}
    return tensors


def _solve(wq: Tensor, bq: Tensor, layer: int) -> Tensor:
    """Return delta with Wq delta = b_q."""
    if not bq.any():
        return torch.zeros_like(bq)
    solved = torch.linalg.solve_ex(wq, bq)
    delta: Tensor = solved.result
    if solved.info or not torch.allclose(wq @ delta, bq, rtol=1e-6, atol=1e-9):
        raise InputError(
            f"the query weights of layer {layer} have no inverse",
            where=f"h.{layer}.attn.c_attn",
            why="GPTNeoForCausalLM has no bias of queries, and theirs cannot be folded away",
            fix="Use another checkpoint of the run, or a model without model.window",
        )
    return delta


def from_carrier(tensors: Mapping[str, Tensor], shape: Architecture) -> dict[str, Tensor]:
    """Return our parameters, in float32, for GPT-Neo's tensors without their prefix.

    Raises:
        KeyError: A tensor is missing.
    """
    weights = {name: tensor for name, tensor in tensors.items() if ".attn." not in name}
    for layer in range(shape.n_layer):
        ours, theirs = f"h.{layer}.attn.", f"h.{layer}.attn.attention."
        q, k, v, out = (tensors[f"{theirs}{n}_proj.weight"] for n in ("q", "k", "v", "out"))
        weights[f"{ours}c_attn.weight"] = torch.cat([q * math.sqrt(shape.d_head), k, v])
        weights[f"{ours}c_attn.bias"] = torch.zeros(3 * shape.d_model)
        weights[f"{ours}c_proj.weight"] = out
        weights[f"{ours}c_proj.bias"] = tensors[f"{theirs}out_proj.bias"]
    return weights

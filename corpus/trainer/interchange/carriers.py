"""The classes of Transformers that compute what our models compute, and how they name it.

| own model | class | |
|---|---|---|
| GPT-1 (`post_norm`) | `OpenAIGPTLMHeadModel` | other names, matrices transposed |
| GPT-2, dense GPT-3 | `GPT2LMHeadModel` | matrices transposed |
| GPT-3 with bands (`window`) | `GPTNeoForCausalLM` | see `corpus.trainer.interchange.gpt_neo` |

A shape in, the class and its `config.json` out, and back; parameters in, its tensors out, and back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from corpus.errors import InputError
from corpus.trainer.interchange import gpt_neo
from corpus.trainer.presets import Architecture

CLASSES = {
    "openai-gpt": "OpenAIGPTLMHeadModel",
    "gpt2": "GPT2LMHeadModel",
    "gpt_neo": "GPTNeoForCausalLM",
}
_EMBEDDINGS = {"tokens_embed": "wte", "positions_embed": "wpe"}  # GPT-1's names, and GPT-2's
# Masks, which old files hold beside the weights.
_BUFFER = re.compile(r"h\.\d+\.attn\.(attention\.)?(bias|masked_bias)")
_MATRIX = re.compile(r"h\.\d+\.(attn|mlp)\.c_\w+\.weight")  # [in, out] in Transformers' Conv1D


def carrier_of(shape: Architecture) -> str:
    """Return the `model_type` of the class that computes a shape.

    Raises:
        InputError: There is none.
    """
    if shape.post_norm and shape.window is not None:
        raise InputError(
            "no class of Transformers computes this model",
            where="model",
            why="It has banded layers and normalizes behind its sub-blocks",
            fix="Train with one of post_norm and window",
        )
    if shape.post_norm:
        return "openai-gpt"
    return "gpt2" if shape.window is None else "gpt_neo"


def config_of(
    shape: Architecture, *, kind: str, dropout: float, end_of_text: int
) -> dict[str, Any]:
    """Return `config.json` of a class for a shape.

    Args:
        shape: Of our model.
        kind: The `model_type`, as from `carrier_of`.
        dropout: That it was trained with.
        end_of_text: The id that ends a document.
    """
    config: dict[str, Any] = {
        "model_type": kind,
        "architectures": [CLASSES[kind]],
        "vocab_size": shape.vocabulary_size,
        "layer_norm_epsilon": 1e-5,
        "initializer_range": 0.02,
        "tie_word_embeddings": True,
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
        "torch_dtype": "float32",
    }
    if kind == "gpt_neo":
        return config | gpt_neo.config_of(shape, dropout=dropout)
    config |= {
        "n_positions": shape.context,
        "n_embd": shape.d_model,
        "n_layer": shape.n_layer,
        "n_head": shape.n_head,
        "resid_pdrop": dropout,
        "embd_pdrop": dropout,
        "attn_pdrop": dropout,
    }
    # "gelu" is the tanh form in the one class, and the exact one in the other.
    return config | (
        {"afn": "gelu"} if kind == "openai-gpt" else {"activation_function": "gelu_new"}
    )


def shape_of(config: Mapping[str, Any], *, where: str) -> Architecture:
    """Return the shape that a `config.json` describes.

    Raises:
        InputError: It is of another class, or asks for what our models do not compute.
    """
    kind = config.get("model_type")
    try:
        if kind == "gpt_neo":
            shape = gpt_neo.shape_of(config, where=where)
            activation = config.get("activation_function", "gelu_new")
        elif kind in CLASSES:
            shape = Architecture(
                n_layer=int(config["n_layer"]),
                n_head=int(config["n_head"]),
                d_model=int(config["n_embd"]),
                context=int(config.get("n_positions") or config["n_ctx"]),
                vocabulary_size=int(config["vocab_size"]),
                post_norm=kind == "openai-gpt",
            )
            first_name = "afn" if kind == "openai-gpt" else "activation_function"
            activation = config.get(first_name, "gelu_new")
            activation = "gelu_new" if (kind, activation) == ("openai-gpt", "gelu") else activation
        else:
            raise not_ours(
                where, f"Its model_type is {kind!r}, and not one of {', '.join(CLASSES)}"
            )
    except (KeyError, TypeError, ValueError) as error:
        raise not_ours(where, f"A size is missing or no number ({error!r})") from error
    if shape.d_head * shape.n_head != shape.d_model or min(shape.n_layer, shape.context) < 1:
        raise not_ours(where, f"Its sizes do not fit together: {shape}")
    wide = config.get("n_inner") or config.get("intermediate_size") or 4 * shape.d_model
    wanted: dict[str, tuple[Any, Any]] = {
        "the activation": (activation, "gelu_new"),
        "the width of the feed-forward layer": (wide, 4 * shape.d_model),
        "layer_norm_epsilon": (config.get("layer_norm_epsilon", 1e-5), 1e-5),
        "scale_attn_weights": (config.get("scale_attn_weights", True), True),
        "scale_attn_by_inverse_layer_idx": (
            config.get("scale_attn_by_inverse_layer_idx", False),
            False,
        ),
        "add_cross_attention": (config.get("add_cross_attention", False), False),
    }
    for name, (value, needed) in wanted.items():
        if value != needed:
            raise not_ours(where, f"In it {name} is {value}, and ours is {needed}")
    return shape


def not_ours(where: str, why: str) -> InputError:
    """Return the error for a folder that holds another kind of model."""
    return InputError(
        "this is not a model that can be imported",
        where=where,
        why=why,
        fix=f"Use a folder of {', '.join(CLASSES.values())}",
    )


def to_carrier(kind: str, weights: Mapping[str, Tensor], shape: Architecture) -> dict[str, Tensor]:
    """Return the tensors of a class of Transformers for our parameters, in float32.

    Raises:
        InputError: They cannot be expressed in it.
    """
    if kind == "gpt_neo":
        return gpt_neo.to_carrier(weights, shape)
    theirs = {ours: name for name, ours in _EMBEDDINGS.items()} if kind == "openai-gpt" else {}
    tensors = {}
    for name, tensor in weights.items():
        first, dot, rest = name.partition(".")
        value = tensor.T if _MATRIX.fullmatch(name) else tensor
        tensors[f"transformer.{theirs.get(first, first)}{dot}{rest}"] = value.float().contiguous()
    return tensors


def from_carrier(
    kind: str, tensors: Mapping[str, Tensor], shape: Architecture, *, where: str
) -> dict[str, Tensor]:
    """Return our parameters, in float32, for the tensors of a class of Transformers.

    Raises:
        InputError: Tensors are missing or unknown, or the output layer is not the embedding.
    """
    named: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        first, dot, rest = name.removeprefix("transformer.").partition(".")
        plain = f"{_EMBEDDINGS.get(first, first)}{dot}{rest}"
        if not _BUFFER.fullmatch(plain):
            named[plain] = tensor.float()
    output = named.pop("lm_head.weight", None)
    try:
        if output is not None and not output.equal(named["wte.weight"]):
            raise not_ours(where, "Its output layer is not its token embedding")
        if kind == "gpt_neo":
            return gpt_neo.from_carrier(named, shape)
    except KeyError as error:
        raise not_ours(where, f"It has no tensor {error}") from error
    return {
        name: (tensor.T if _MATRIX.fullmatch(name) else tensor).contiguous()
        for name, tensor in named.items()
    }

"""Shapes and parameters to the classes of Transformers and back, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from corpus.errors import InputError
from corpus.trainer.interchange import reference
from corpus.trainer.interchange.carriers import (
    CLASSES,
    carrier_of,
    config_of,
    from_carrier,
    shape_of,
    to_carrier,
)
from corpus.trainer.interchange.parity import require_parity
from corpus.trainer.model import GPT
from corpus.trainer.presets import Architecture
from tests.trainer.interchange.conftest import KINDS
from tests.trainer.test_model import shake

SHAPE = Architecture(n_layer=3, n_head=4, d_model=32, context=24, vocabulary_size=61)


def made(kind: str, **change: Any) -> tuple[GPT, dict[str, Any], dict[str, Tensor]]:
    """Return a model with drawn biases, and the class's config and tensors for it."""
    shape = replace(SHAPE, **(KINDS[kind] | change))
    model = shake(GPT.create(shape, dropout=0.0, seed=7)).eval()
    config = config_of(shape, kind=carrier_of(shape), dropout=0.1, end_of_text=60)
    weights = {name: p.detach() for name, p in model.named_parameters()}
    return model, config, to_carrier(kind, weights, shape)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_class_and_its_sizes_come_back(kind: str) -> None:
    model, config, _ = made(kind)

    assert config["architectures"] == [CLASSES[kind]]
    assert shape_of(config, where="there") == model.shape


@pytest.mark.parametrize("kind", KINDS)
def test_the_class_computes_what_the_model_computes(kind: str) -> None:
    model, config, tensors = made(kind)

    assert require_parity(model, config, tensors, where="there") < 5e-6


@pytest.mark.parametrize("kind", KINDS)
def test_no_tensor_can_be_wrong_unseen(kind: str) -> None:
    model, config, tensors = made(kind)
    for name, tensor in tensors.items():
        changed = tensor.clone()
        changed.view(-1)[5] += 0.1
        with pytest.raises(InputError, match="does not compute what our model computes"):
            require_parity(model, config, tensors | {name: changed}, where=name)


@pytest.mark.parametrize("window", [5, 100])
def test_a_band_of_another_width_is_seen(window: int) -> None:
    """A wide one too: the sequence that is compared is longer than the band."""
    model, config, tensors = made("gpt_neo", context=256, window=window)
    for other in (window - 1, window + 1):
        with pytest.raises(InputError, match="does not compute"):
            require_parity(model, config | {"window_size": other}, tensors, where="there")


def test_weights_that_are_no_numbers_are_no_parity() -> None:
    model, config, tensors = made("gpt2")
    with torch.no_grad():
        model.ln_f.weight[3] = torch.nan
    with pytest.raises(InputError, match="differ by nan"):
        require_parity(model, config, tensors, where="there")


@pytest.mark.parametrize("kind", ["openai-gpt", "gpt2"])
def test_parameters_come_back_to_the_bit(kind: str) -> None:
    model, _, tensors = made(kind)

    back = from_carrier(kind, tensors, model.shape, where="there")

    assert back.keys() == dict(model.named_parameters()).keys()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, back[name]), name


def test_gpt_neo_comes_back_as_the_same_function() -> None:
    """Not as the same parameters: three biases of each layer were folded into others."""
    model, config, tensors = made("gpt_neo")

    back = GPT.create(model.shape, dropout=0.0, seed=0).eval()
    back.load_state_dict(from_carrier("gpt_neo", tensors, model.shape, where="there"))

    tokens = torch.arange(24)[None] * 5 % 61
    assert torch.allclose(model(tokens), back(tokens), atol=5e-5)
    assert not back.h[0].attn.c_attn.bias.any()
    again = to_carrier("gpt_neo", dict(back.named_parameters()), model.shape)
    for name, tensor in tensors.items():
        assert torch.allclose(again[name], tensor, rtol=1e-6), name
    assert require_parity(back, config, again, where="there") < 5e-6


def test_a_query_matrix_without_inverse_is_refused_if_it_has_a_bias() -> None:
    model, config, _ = made("gpt_neo")
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    weights["h.1.attn.c_attn.weight"][3] = weights["h.1.attn.c_attn.weight"][4]

    with pytest.raises(InputError, match="query weights of layer 1 have no inverse"):
        to_carrier("gpt_neo", weights, model.shape)

    weights["h.1.attn.c_attn.weight"][3] = 0.0
    weights["h.1.attn.c_attn.bias"][:32] = 0.0
    model.load_state_dict(weights)
    tensors = to_carrier("gpt_neo", weights, model.shape)
    assert require_parity(model, config, tensors, where="there") < 5e-6


def test_a_query_matrix_with_a_bad_inverse_fails_the_parity() -> None:
    """The bias that stands for it is then too large for float32."""
    model, config, _ = made("gpt_neo")
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    weights["h.1.attn.c_attn.weight"][:32] *= 1e-6
    model.load_state_dict(weights)

    tensors = to_carrier("gpt_neo", weights, model.shape)

    with pytest.raises(InputError, match="a query matrix may be nearly singular"):
        require_parity(model, config, tensors, where="there")


def test_gpt1_with_bands_has_no_class() -> None:
    with pytest.raises(InputError, match="no class of Transformers computes this model"):
        carrier_of(replace(SHAPE, post_norm=True, window=4))


GPT2_FILE = {"model_type": "gpt2", "n_layer": 3, "n_head": 4, "n_embd": 32}
GPT2_FILE |= {"n_ctx": 24, "vocab_size": 61}
NEO_FILE = {"model_type": "gpt_neo", "num_layers": 2, "num_heads": 4, "hidden_size": 32}
NEO_FILE |= {"max_position_embeddings": 24, "vocab_size": 61, "window_size": 8}


def test_sizes_of_released_models_are_read() -> None:
    """Old files have n_ctx alone, or no activation; one GPT-Neo was trained without bands."""
    dense = {"attention_types": [[["global"], 2]]}
    assert shape_of(GPT2_FILE, where="") == SHAPE
    assert shape_of(NEO_FILE | dense, where="") == replace(SHAPE, n_layer=2)
    assert shape_of(
        NEO_FILE | {"attention_types": [[["global", "local"], 1]]}, where=""
    ) == replace(SHAPE, n_layer=2, window=8)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "llama"}, "model_type is 'llama'"),
        ({}, "model_type is None"),
        (GPT2_FILE | {"n_layer": None}, "missing or no number"),
        (GPT2_FILE | {"n_head": 5}, "do not fit together"),
        (GPT2_FILE | {"activation_function": "gelu"}, "the activation is gelu"),
        (GPT2_FILE | {"n_inner": 64}, "feed-forward layer is 64"),
        (GPT2_FILE | {"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon is 1e-06"),
        (GPT2_FILE | {"scale_attn_by_inverse_layer_idx": True}, "inverse_layer_idx is True"),
        (GPT2_FILE | {"model_type": "openai-gpt", "afn": "relu"}, "the activation is relu"),
        (NEO_FILE | {"attention_types": [[["local", "global"], 1]]}, "not every second one"),
        (NEO_FILE, "missing or no number"),
    ],
)
def test_what_our_models_do_not_compute_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match="not a model that can be imported") as caught:
        shape_of(config, where="there")
    assert message in str(caught.value)


def test_masks_in_old_files_are_passed_over_and_another_output_layer_is_not() -> None:
    model, _, tensors = made("gpt2")
    bare = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    masks = {"h.0.attn.bias": torch.ones(1, 1, 24, 24), "h.2.attn.masked_bias": torch.zeros(())}
    tied = {"lm_head.weight": bare["wte.weight"].clone()}

    back = from_carrier("gpt2", bare | masks | tied, model.shape, where="there")

    assert back.keys() == dict(model.named_parameters()).keys()
    untied = {"lm_head.weight": bare["wte.weight"] + 1}
    with pytest.raises(InputError, match="not its token embedding"):
        from_carrier("gpt2", bare | untied, model.shape, where="there")


@pytest.mark.parametrize("kind", KINDS)
def test_reference_does_not_look_at_later_tokens(kind: str) -> None:
    _, config, tensors = made(kind)
    a, b = torch.arange(12)[None], torch.arange(12)[None].clone()
    b[0, 7:] = 3

    one, other = (reference.logits(config, tensors, tokens) for tokens in (a, b))

    assert torch.allclose(one[:, :7], other[:, :7])
    assert not torch.allclose(one[:, 7], other[:, 7])

"""The decoder against a plain one, and its weights against what the papers say of them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from corpus.trainer.model import GPT
from corpus.trainer.presets import Architecture


def shake(model: GPT) -> GPT:
    """Give all parameters values of size one, so that no bias or gain can be forgotten unseen."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model


def normalize(x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    mean = x.mean()
    variance = ((x - mean) ** 2).mean()
    return (x - mean) / torch.sqrt(variance + 1e-5) * gain + bias


def gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def plain_logits(model: GPT, tokens: list[int]) -> Tensor:
    """Compute a decoder by its definition, one position and one head at a time, in float64."""
    post_norm = model.shape.post_norm
    p = {name: value.detach().double() for name, value in model.named_parameters()}
    heads, d_head = model.shape.n_head, model.shape.d_head
    stream = [p["wte.weight"][token] + p["wpe.weight"][t] for t, token in enumerate(tokens)]
    for layer in range(model.shape.n_layer):
        b = f"h.{layer}."
        band = model.shape.window if model.shape.window and layer % 2 else len(tokens)

        def norm(x: Tensor, name: str, b: str = b) -> Tensor:
            return normalize(x, p[f"{b}{name}.weight"], p[f"{b}{name}.bias"])

        qkv = []
        for x in stream:
            inner = x if post_norm else norm(x, "ln_1")
            qkv.append(p[b + "attn.c_attn.weight"] @ inner + p[b + "attn.c_attn.bias"])
        attended = []
        for t in range(len(tokens)):
            parts = []
            for head in range(heads):
                columns = slice(head * d_head, (head + 1) * d_head)
                q, ks, vs = qkv[t].chunk(3)[0], [], []
                for past in qkv[: t + 1][-band:]:
                    ks.append(past.chunk(3)[1][columns])
                    vs.append(past.chunk(3)[2][columns])
                scores = torch.stack([q[columns] @ k / math.sqrt(d_head) for k in ks])
                weights = torch.exp(scores) / torch.exp(scores).sum()
                parts.append(sum(w * v for w, v in zip(weights, vs, strict=True)))
            joined = torch.cat(parts)
            attended.append(p[b + "attn.c_proj.weight"] @ joined + p[b + "attn.c_proj.bias"])
        for t, y in enumerate(attended):
            x = stream[t] + y
            if post_norm:
                x = norm(x, "ln_1")
            inner = x if post_norm else norm(x, "ln_2")
            inner = gelu(p[b + "mlp.c_fc.weight"] @ inner + p[b + "mlp.c_fc.bias"])
            x = x + p[b + "mlp.c_proj.weight"] @ inner + p[b + "mlp.c_proj.bias"]
            stream[t] = norm(x, "ln_2") if post_norm else x
    if not post_norm:
        stream = [normalize(x, p["ln_f.weight"], p["ln_f.bias"]) for x in stream]
    return torch.stack([p["wte.weight"] @ x for x in stream])


@pytest.mark.parametrize(
    "change", [{}, {"post_norm": True}, {"window": 3}, {"post_norm": True, "window": 1}]
)
def test_logits_agree_with_the_plain_definition(
    shape: Architecture, change: dict[str, Any]
) -> None:
    model = shake(GPT.create(replace(shape, n_layer=4, **change), dropout=0.0, seed=7)).eval()
    tokens = [5, 60, 0, 17, 17, 3, 44, 8, 21, 1, 2]

    expected = plain_logits(model, tokens)

    assert torch.allclose(expected, model.double()(torch.tensor([tokens]))[0], atol=1e-11)


def test_logits_do_not_depend_on_later_tokens_nor_on_other_sequences(model: GPT) -> None:
    shake(model).eval()
    a = torch.tensor([[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]])
    b = torch.tensor([[1, 2, 3, 9, 9, 9], [0, 0, 0, 0, 0, 0]])

    assert torch.allclose(model(a)[0, :3], model(b)[0, :3], atol=1e-6)
    assert not torch.allclose(model(a)[0, 3], model(b)[0, 3], atol=1e-2)


def test_loss_is_the_mean_negative_log_likelihood_in_nats(model: GPT) -> None:
    shake(model).eval()
    tokens, targets = torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([[2, 3, 9], [5, 6, 60]])

    probabilities = torch.softmax(model(tokens), dim=-1)
    picked = probabilities.gather(2, targets[..., None])

    loss = model.loss(tokens, targets).item()

    assert loss == pytest.approx(-picked.log().mean().item())


def test_loss_of_a_new_model_is_that_of_a_uniform_guess(shape: Architecture) -> None:
    model = GPT.create(shape, dropout=0.0, seed=0)
    tokens, targets = torch.arange(16).view(1, 16), torch.arange(30, 46).view(1, 16)

    loss = model.loss(tokens, targets).item()

    assert loss == pytest.approx(math.log(61), abs=0.1)


def test_initial_weights_have_the_published_deviations() -> None:
    """N(0, 0.02), positions 0.01, residual weights 0.02 / sqrt(2 n_layer), biases 0, gains 1."""
    shape = Architecture(n_layer=8, n_head=2, d_model=128, context=256, vocabulary_size=999)
    model = GPT.create(shape, dropout=0.0, seed=1)
    residual = 0.02 / math.sqrt(16)

    deviations = {"wte.weight": 0.02, "wpe.weight": 0.01}
    for layer in range(8):
        deviations[f"h.{layer}.attn.c_attn.weight"] = 0.02
        deviations[f"h.{layer}.attn.c_proj.weight"] = residual
        deviations[f"h.{layer}.mlp.c_fc.weight"] = 0.02
        deviations[f"h.{layer}.mlp.c_proj.weight"] = residual
    for name, parameter in model.named_parameters():
        if name in deviations:
            expected = deviations.pop(name)
            # A standard deviation is known to 1 / sqrt(2 n); 5 of those is never seen.
            slack = 5 / math.sqrt(2 * parameter.numel())
            assert parameter.std().item() == pytest.approx(expected, rel=slack), name
            assert abs(parameter.mean().item()) < 5 * expected / math.sqrt(parameter.numel())
        else:
            wanted = 0.0 if name.endswith("bias") else 1.0
            assert (parameter == wanted).all(), name
    assert deviations == {}


def test_initial_weights_of_gpt1_all_have_one_deviation() -> None:
    """N(0, 0.02) for positions and the weights that write to the stream too; no last gain."""
    shape = Architecture(8, 2, 128, context=256, vocabulary_size=999, post_norm=True)
    model = GPT.create(shape, dropout=0.0, seed=1)

    weights = {name: p for name, p in model.named_parameters() if p.dim() == 2}
    assert "ln_f.weight" not in dict(model.named_parameters())
    assert len(weights) == 2 + 4 * 8
    for name, parameter in weights.items():
        slack = 5 / math.sqrt(2 * parameter.numel())
        assert parameter.std().item() == pytest.approx(0.02, rel=slack), name


def test_initial_weights_depend_on_the_seed_and_not_on_the_global_state(
    shape: Architecture,
) -> None:
    torch.manual_seed(1)
    first = GPT.create(shape, dropout=0.0, seed=7)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = GPT.create(shape, dropout=0.0, seed=7)
    other = GPT.create(shape, dropout=0.0, seed=8)

    assert torch.equal(first.wte.weight, second.wte.weight)
    assert not torch.equal(first.wte.weight, other.wte.weight)
    assert torch.equal(state, torch.get_rng_state())


def test_a_sequence_longer_than_the_context_is_refused(model: GPT) -> None:
    with pytest.raises(ValueError, match="17 tokens are more than the context of 16"):
        model(torch.zeros(1, 17, dtype=torch.int64))


def test_dropout_acts_in_training_only(shape: Architecture) -> None:
    model = shake(GPT.create(shape, dropout=0.5, seed=7))
    same = shake(GPT.create(replace(shape), dropout=0.0, seed=7))
    tokens = torch.tensor([[1, 2, 3]])

    assert torch.equal(model.eval()(tokens), same(tokens))
    assert not torch.equal(model.train()(tokens), same(tokens))

"""Transformers itself: what was exported opens there without network, and computes the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from corpus.text import tokenizer as own_tokenizer
from corpus.trainer.interchange.carriers import CLASSES
from corpus.trainer.interchange.exporting import export_model
from corpus.trainer.interchange.importing import import_model
from corpus.trainer.interchange.tokenizer_files import tokenizer_files
from corpus.trainer.model import GPT
from corpus.trainer.pretrained import open_model
from corpus.trainer.sampling import generate
from tests.trainer.interchange.conftest import KINDS
from tests.trainer.test_model import shake

transformers = pytest.importorskip("transformers")

TOKENS = torch.arange(48).view(2, 24) * 5 % 300
ODD = [
    "",
    " ",
    "the cat sees the dog",
    "  \n\n\t x  \r\n",
    "don't WON'T 'll 'S",
    "it 's so , is n't it ? yes . no !",
    "naïve über 3.14159 ½ ²",
    "\u65e5\u672c\u8a9e \u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u0e44\u0e17\u0e22",
    "\U0001f600\U0001f469\u200d\U0001f469\u200d\U0001f467 e\u0301 \u0000\u200b\ufeff\u00a0\u3000",
    " " * 70 + "end",
    "a" * 300,
    "<|endoftex|><|startoftext|>",
]


def close(expected: Tensor, found: Tensor, *, share: float = 1e-5) -> bool:
    """Say whether float32 results agree to a share of the largest."""
    return bool((expected - found).abs().max() <= share * expected.abs().max())


@pytest.fixture
def exported(run_of: Callable[..., Path], tmp_path: Path) -> Callable[[str], Path]:
    def write(kind: str) -> Path:
        export_model(str(run_of(kind)), to=str(tmp_path / kind))
        return tmp_path / kind

    return write


def opened(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()


@pytest.mark.parametrize("kind", KINDS)
def test_logits_and_generated_text_are_those_of_the_class(
    kind: str, exported: Callable[[str], Path], tmp_path: Path
) -> None:
    theirs = opened(exported(kind))
    ours = open_model(str(tmp_path / f"run-{kind}")).model

    assert type(theirs).__name__ == CLASSES[kind]
    with torch.no_grad():
        assert close(ours(TOKENS), theirs(TOKENS).logits)
    prompt = torch.tensor([[1, 2, 3]])
    text = theirs.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=20,
        do_sample=False,
        eos_token_id=[],
        pad_token_id=0,
    )
    assert generate(ours, [1, 2, 3], tokens=20, temperature=0.0, seed=0) == text[0, 3:].tolist()


def gradient_of(kind: str, theirs: Any, name: str, d_head: int) -> Tensor:
    """Return the gradient of our parameter as the class has it."""
    grads = {key.removeprefix("transformer."): p.grad for key, p in theirs.named_parameters()}
    if kind == "openai-gpt":
        name = name.replace("wte", "tokens_embed").replace("wpe", "positions_embed")
    if kind == "gpt_neo" and ".attn." in name:
        layer = name.split(".attn.")[0] + ".attn.attention."
        if name.endswith("c_attn.weight"):
            q, k, v = (grads[f"{layer}{n}_proj.weight"] for n in "qkv")
            # Ours is sqrt(d_head) times theirs, so its gradient is that much smaller.
            return torch.cat([q / d_head**0.5, k, v])
        return grads[layer + "out_proj." + name.rsplit(".", 1)[1]]
    found: Tensor = grads[name]
    return found.T if ".c_" in name and name.endswith("weight") and kind != "gpt_neo" else found


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_the_class(
    kind: str, exported: Callable[[str], Path], tmp_path: Path
) -> None:
    """Of a model that came from the class: GPT-Neo has no biases of queries, keys and values."""
    folder = exported(kind)
    theirs = opened(folder)
    import_model(str(folder), to=str(tmp_path / "back"))
    ours = open_model(str(tmp_path / "back")).model

    loss = theirs(TOKENS, labels=TOKENS).loss
    loss.backward()
    ours.loss(TOKENS[:, :-1], TOKENS[:, 1:]).backward()

    for name, parameter in ours.named_parameters():
        if kind == "gpt_neo" and name.endswith("c_attn.bias"):
            continue
        assert parameter.grad is not None
        expected = gradient_of(kind, theirs, name, ours.shape.d_head)
        # Float32 is 1.4e-5 away from float64 here: the weights are shaken, and gradients are large.
        assert close(expected, parameter.grad, share=5e-5), name


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_theirs_is_imported(kind: str, tmp_path: Path, run_of: Any) -> None:
    """As Transformers writes it, in files of 20 KB, with its own initialization and shaken."""
    run = run_of(kind)
    export_model(str(run), to=str(tmp_path / "sizes"))
    config = transformers.AutoConfig.from_pretrained(tmp_path / "sizes", local_files_only=True)
    torch.manual_seed(3)
    theirs = shake(transformers.AutoModelForCausalLM.from_config(config)).eval()  # type: ignore[arg-type]
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="20KB")  # type: ignore[operator]
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "sizes")
    tokenizer.save_pretrained(tmp_path / "theirs")
    assert len(list((tmp_path / "theirs").glob("model-*.safetensors"))) > 2

    import_model(str(tmp_path / "theirs"), to=str(tmp_path / "back"))

    ours: GPT = open_model(str(tmp_path / "back")).model
    with torch.no_grad():
        assert close(theirs(TOKENS).logits, ours(TOKENS))


@pytest.mark.parametrize("vocabulary", ["own", "gpt2"])
def test_the_tokenizer_encodes_odd_text_as_ours(
    vocabulary: str, exported: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = exported("openai-gpt")  # whose own tokenizer is another one
    ours = open_model(str(tmp_path / "run-openai-gpt")).tokenizer
    if vocabulary == "gpt2":
        ours = own_tokenizer.load("gpt2")
        for name, data in tokenizer_files(ours.ranks_file(), context=10**6).items():
            (folder / name).write_bytes(data)
    theirs = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)

    for text in ODD:
        ids = ours.encode([text])[0].tolist()
        assert theirs(text)["input_ids"] == ids, text
        assert theirs.decode(ids) == text
    said = "a page says <|endoftext|> here"
    assert ours.end_of_text in theirs(said)["input_ids"]
    plain = theirs(said, split_special_tokens=True)["input_ids"]
    assert plain == ours.encode([said])[0].tolist()

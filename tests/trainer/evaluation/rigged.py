"""Models whose answers are known: one sees no difference, one knows some texts by heart."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from corpus.text import tokenizer
from corpus.text.tokenizer import Tokenizer
from corpus.trainer import checkpoint
from corpus.trainer.evaluation.requests import encode
from corpus.trainer.evaluation.scoring import Scorer
from corpus.trainer.model import GPT
from corpus.trainer.optimizer import adamw
from corpus.trainer.presets import Architecture

SIZE = 257  # 256 bytes and end of text
CERTAIN = 40.0  # logit of what is known, above zero for the rest
LONGEST, SHORTEST = 40, 16  # tokens that a known text is recognized by


def bytes_tokenizer(folder: Path) -> Tokenizer:
    """Return a tokenizer of the 256 bytes, without merges."""
    path = folder / "bytes.tiktoken"
    lines = [b"%s %d\n" % (base64.b64encode(bytes([byte])), byte) for byte in range(256)]
    path.write_bytes(b"".join(lines))
    return tokenizer.load(str(path))


def uniform(*, context: int = 512) -> GPT:
    """Return a model to which all tokens are equally likely."""
    shape = Architecture(n_layer=1, n_head=1, d_model=4, context=context, vocabulary_size=SIZE)
    model = GPT.create(shape, dropout=0.0, seed=0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    return model.eval()


class Knowing(GPT):
    """A model that knows how some texts go on; after anything else all tokens are as likely."""

    known: dict[tuple[int, ...], int]

    def hidden(self, tokens: Tensor, *, cache: Any = None, **_: Any) -> Tensor:
        every, new = tokens, tokens.shape[1]
        if cache is not None:
            # A cache keeps what is called documents row by row: here the tokens themselves.
            every = cache.add_documents(tokens)
            cache.advance(new)
        found = torch.zeros(*every.shape, SIZE)
        for row, text in enumerate(every.tolist()):
            for place in range(len(text)):
                token = self._after(text[: place + 1])
                if token is not None:
                    found[row, place, token] = CERTAIN
        return found[:, -new:]

    def _after(self, text: list[int]) -> int | None:
        for length in range(min(LONGEST, len(text)), min(SHORTEST, len(text)) - 1, -1):
            token = self.known.get(tuple(text[-length:]))
            if token is not None:
                return token
        return None


def knowing(texts: Iterable[str], encoder: Tokenizer, *, context: int = 512) -> GPT:
    """Return a model that knows texts, each with a line break behind it."""
    shape = Architecture(n_layer=1, n_head=1, d_model=SIZE, context=context, vocabulary_size=SIZE)
    model = Knowing(shape, dropout=0.0)
    model.known = {}
    with torch.no_grad():
        model.wte.weight.copy_(torch.eye(SIZE))
    for text in texts:
        tokens = encode(encoder, f"{text}\n").tolist()
        for place in range(1, len(tokens)):
            for length in range(SHORTEST, LONGEST + 1):
                model.known.setdefault(tuple(tokens[max(0, place - length) : place]), tokens[place])
    return model.eval()


def scorer(model: GPT, *, batch_tokens: int = 4096, stride: int | None = None) -> Scorer:
    context = model.shape.context
    return Scorer(model, context, stride or context // 2, batch_tokens)


def write_model(folder: Path, encoder: Tokenizer, *, context: int = 64, seed: int = 3) -> str:
    """Write the checkpoint of a small model with random weights, and return its run's folder."""
    shape = Architecture(
        n_layer=2, n_head=2, d_model=32, context=context, vocabulary_size=encoder.vocabulary_size
    )
    model = GPT.create(shape, dropout=0.0, seed=seed)
    optimizer = adamw(model, weight_decay=0.1, beta1=0.9, beta2=0.95, epsilon=1e-8)
    checkpoint.save(
        str(folder),
        step=1,
        model=model,
        optimizer=optimizer,
        loader={},
        settings={f"model.{key}": value for key, value in asdict(shape).items()},
        tokenizer=encoder,
        keep=1,
    )
    return str(folder)


def write_lines(path: Path, rows: Iterable[Any]) -> str:
    """Write JSON lines and return their path."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return str(path)

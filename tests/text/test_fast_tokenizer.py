"""The fast encoder: its ids are the reference's, it is recycled, and it is watched."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus.text import fast_tokenizer, tokenizer
from corpus.text.fast_tokenizer import EncodersDiffer, FastTokenizer, Watched

TEXTS = [
    "Hello world",
    "",
    "<|endoftext|> a",
    "日本語 😀\x00\x1f\x85",
    "é'S it's ４",
    " " * 900 + "x",
]


class Encoder:
    """An encoder with the interface of gigatoken's, which may be told to err."""

    made = 0
    wrong: Callable[[str], bool] = staticmethod(lambda text: False)

    @classmethod
    def from_tiktoken(cls, path: Path, *, pretokenizer: str, special_tokens: Any) -> Encoder:
        assert (pretokenizer, special_tokens) == ("gpt2", {})
        cls.made += 1
        encoder = cls()
        encoder.own = tokenizer.load(str(path))
        return encoder

    def encode_batch(self, given: list[bytes], *, parallel: bool) -> Any:
        assert not parallel
        texts = [text.decode() for text in given]
        rows = [self.own.encode([text])[0] + bool(Encoder.wrong(text)) for text in texts]
        offsets = np.cumsum([0, *map(len, rows)])
        node = types.SimpleNamespace
        flat = np.concatenate([np.zeros(0, np.uint32), *rows]).astype(np.uint32)
        return node(layout=node(offsets=node(data=offsets), content=node(data=flat)))


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Encoder]]:
    """An encoder of that interface in the place of gigatoken."""
    module = types.ModuleType("gigatoken")
    module.Tokenizer = Encoder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gigatoken", module)
    monkeypatch.setattr(Encoder, "made", 0)
    monkeypatch.setattr(Encoder, "wrong", staticmethod(lambda text: False))
    fast_tokenizer._shared.cache_clear()  # of a test before
    yield Encoder
    fast_tokenizer._shared.cache_clear()


def utf8(texts: list[str]) -> list[bytes]:
    return [text.encode() for text in texts]


def lists(rows: Any) -> list[list[int]]:
    return [row.tolist() for row in rows]


def test_ids_are_those_of_the_reference(pretended: type[Encoder]) -> None:
    reference = tokenizer.load("gpt2")
    found = FastTokenizer(reference).encode_utf8(utf8(TEXTS))
    assert lists(found.rows()) == lists(reference.encode(TEXTS))
    assert (found.ids.dtype, found.ends.dtype) == (np.uint32, np.int64)
    assert lists(reference.encode_utf8(utf8(TEXTS)).rows()) == lists(found.rows())
    assert not FastTokenizer(reference).encode_utf8([]).rows()


def test_real_gigatoken_gives_the_ids_of_the_reference() -> None:
    pytest.importorskip("gigatoken")
    reference = tokenizer.load("gpt2")
    found = FastTokenizer(reference).encode_utf8(utf8(TEXTS))
    assert lists(found.rows()) == lists(reference.encode(TEXTS))


def test_it_is_made_anew_after_so_many_bytes(
    pretended: type[Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_tokenizer, "RECYCLE_BYTES", 100)
    fast = FastTokenizer(tokenizer.load("gpt2"))
    for _ in range(6):
        fast.encode_utf8([b"x" * 60])
    assert pretended.made == 3


def test_large_texts_go_to_the_reference(
    pretended: type[Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_tokenizer, "LARGEST_TEXT", 10)
    monkeypatch.setattr(pretended, "wrong", staticmethod(lambda text: len(text) > 10))
    reference = tokenizer.load("gpt2")
    texts = ["a b c", "far longer than that", "d e f", "g"]
    found = FastTokenizer(reference).encode_utf8(utf8(texts))
    assert lists(found.rows()) == lists(reference.encode(texts))


def test_a_difference_in_the_first_text_is_found(
    pretended: type[Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretended, "wrong", staticmethod(lambda text: text == "bad"))
    reference = tokenizer.load("gpt2")
    assert len(Watched(reference, seed="1").encode_utf8([b"good"]).rows()) == 1
    watched = Watched(reference, seed="1")
    assert not watched.encode_utf8([]).rows()
    with pytest.raises(EncodersDiffer, match="bad"):
        watched.encode_utf8([b"bad", b"good"])


def test_a_sample_of_the_texts_is_compared_wherever_they_are(
    pretended: type[Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_tokenizer, "SAMPLED", 100)
    texts = [f"text {number}" for number in range(2000)]
    reference = tokenizer.load("gpt2")
    compared: list[bytes] = []
    encode = type(reference).encode_utf8

    def spy(own: Any, given: Any) -> Any:
        compared.extend(given)
        return encode(own, given)

    watched = Watched(reference, seed="1")
    monkeypatch.setattr(type(reference), "encode_utf8", spy)
    for first in range(0, 2000, 100):
        watched.encode_utf8(utf8(texts[first : first + 100]))
    assert compared[0] == b"text 0"
    numbers = sorted({int(text.split()[1]) for text in compared})
    assert 10 < len(numbers) < 40
    assert numbers[-1] > 1500


def test_an_encoder_that_fails_differs(
    pretended: type[Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(text: str) -> bool:
        raise RuntimeError("out of order")

    watched = Watched(tokenizer.load("gpt2"), seed="1")
    monkeypatch.setattr(pretended, "wrong", staticmethod(fail))
    with pytest.raises(EncodersDiffer, match="out of order"):
        watched.encode_utf8([b"a"])

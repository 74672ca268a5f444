"""GPT-2's ids as Hugging Face's libraries give them, where those are installed."""

from __future__ import annotations

import base64
import io
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard

from corpus.text import bpe_training, tokenizer

GPT2 = tokenizer.load("gpt2")
PAGE = (
    "Buy now!<|endoftext|>It's the café's 漢字カタカナ한글, isn't it? "
    "👩‍👩‍👧 🇫🇷 \u200b\ufeff\n\n\t12½\r\n"
)
TEXTS = [
    PAGE,
    "".join(map(chr, range(0x20))) + "\x7f\x80\x85\x9f\xad\u2028\u2029",
    b"caf\xe9 \xff\xfe\xc3( \xed\xa0\x80 end".decode("utf-8", "replace"),  # invalid, repaired
    " " * 1000 + "x" + "\u3000" * 1000 + "\n" * 1000,
    "".join(map(chr, range(0x4E00, 0x5200))),
    "".join(map(chr, range(0x1F300, 0x1F700))),
]


@pytest.fixture(scope="module")
def gpt2_json() -> str:
    """Return GPT-2 as a `tokenizer.json`; its digest is that of the packaged ranks."""
    ranks = [base64.b64decode(line.split()[0]) for line in GPT2.ranks_file().splitlines()]
    return bpe_training.tokenizer_json(ranks).decode()


@pytest.fixture(scope="module")
def theirs(gpt2_json: str) -> Any:
    """Return the encoder of Hugging Face tokenizers, for text in which nothing is special."""
    tokenizers = pytest.importorskip("tokenizers")
    content = json.loads(gpt2_json)
    content["added_tokens"] = []
    return tokenizers.Tokenizer.from_str(json.dumps(content))


def test_generated_texts_have_the_ids_of_tokenizers(theirs: Any) -> None:
    draw = random.Random(3)
    alphabet = [*"".join(TEXTS), "<|endoftext|>", " the", "'s", "\U0001f600", "é", "\x00"]
    texts = TEXTS + ["".join(draw.choices(alphabet, k=draw.randrange(300))) for _ in range(300)]
    for text, encoding in zip(texts, theirs.encode_batch(texts), strict=True):
        assert GPT2.encode([text])[0].tolist() == encoding.ids, text


@pytest.mark.slow
def test_a_line_of_ten_megabytes_has_the_ids_of_its_words() -> None:
    """The split cuts before a space and a letter, so the ids of pieces are those of the line."""
    draw = random.Random(4)
    words = ["the", "of", "café", "漢字", "isn't", "a1b2c3" * 50]
    pieces = [" ".join(draw.choices(words, k=5000)) for _ in range(60)]
    line = " ".join(pieces)
    assert len(line.encode()) > 10 << 20
    ids = GPT2.encode([pieces[0], *(f" {piece}" for piece in pieces[1:])])
    assert np.array_equal(GPT2.encode([line])[0], np.concatenate(ids))


def test_transformers_gives_the_ids_of_the_shards(gpt2_json: str, tmp_path: Path) -> None:
    """As a trainer would: the whole file, with end of text as the special token that it is."""
    transformers = pytest.importorskip("transformers")
    (tmp_path / "tokenizer.json").write_text(gpt2_json)
    loaded = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    for text in TEXTS[1:]:
        assert loaded(text)["input_ids"] == GPT2.encode([text])[0].tolist()
        assert loaded.decode(GPT2.encode([text])[0].tolist()) == text
    assert loaded("<|endoftext|>")["input_ids"] == [GPT2.end_of_text]
    page = loaded(PAGE, split_special_tokens=True)["input_ids"]
    assert page == GPT2.encode([PAGE])[0].tolist()


@pytest.mark.real
def test_real_texts_have_the_ids_of_tokenizers(theirs: Any, real_data: Path) -> None:
    """The first 20,000 characters of every page, article, note and book of the folder."""
    names = ("gold/main_text", "webtext/news", "webtext/til", "books/books")
    for name in names:
        data = (real_data / f"{name}.jsonl.zst").read_bytes()
        lines = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read().splitlines()
        texts = [json.loads(line)["text"][:20_000] for line in lines]
        for first in range(0, len(texts), 256):
            group = texts[first : first + 256]
            expected = [encoding.ids for encoding in theirs.encode_batch(group)]
            assert [row.tolist() for row in GPT2.encode(group)] == expected

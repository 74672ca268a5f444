"""The tokenizer's files in a folder of Transformers: a tiktoken ranks file in, their bytes out.

`tokenizer.json` is the whole tokenizer and what Transformers reads; `vocab.json` and `merges.txt`
are the same in GPT-2's older form, for programs that know that alone. In text Transformers takes
"<|endoftext|>" for the end of a document, where this project encodes 13 characters (a page may say
it): `tokenizer(text, split_special_tokens=True)` gives ours.
"""

from __future__ import annotations

import json
from typing import Any

from corpus.text.bpe_training import tokenizer_json
from corpus.text.vocabulary import END_OF_TEXT, from_ranks

TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"


def tokenizer_files(
    ranks: bytes, *, context: int, end_of_text: int | None = None, size: int | None = None
) -> dict[str, bytes]:
    """Return the content of each file.

    Args:
        ranks: The vocabulary as a tiktoken ranks file.
        context: Longest sequence of the model in tokens.
        end_of_text: Its id, where it is not the one behind all ranks.
        size: One more than the largest id; given with `end_of_text`.
    """
    vocabulary = from_ranks(
        ranks,
        name="vocabulary",
        where="vocabulary.tiktoken",
        end_of_text=end_of_text,
        size=size,
    )
    ids = sorted(vocabulary.ranks.values())
    tokens = sorted(vocabulary.ranks, key=vocabulary.ranks.__getitem__)
    whole = tokenizer_json(tokens, ids=ids, end_of_text=vocabulary.end_of_text)
    model = json.loads(whole)["model"]
    merges = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"])]
    special = {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT, "unk_token": END_OF_TEXT}
    config = special | {
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,  # what is decoded is what was encoded
        "model_max_length": context,
        "tokenizer_class": "PreTrainedTokenizerFast",  # tokenizer.json as it stands
    }
    return {
        TOKENIZER: whole,
        "vocab.json": _json(model["vocab"] | {END_OF_TEXT: vocabulary.end_of_text}),
        "merges.txt": "\n".join([*merges, ""]).encode(),
        TOKENIZER_CONFIG: _json(config),
        "special_tokens_map.json": _json(special),
    }


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"

"""What a model is asked: the border between context and completion, and the windows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.text import tokenizer
from corpus.text.tokenizer import Tokenizer
from corpus.trainer.evaluation.requests import Request, document, request, windows

GPT2 = tokenizer.load("gpt2")


def texts_of(context: str, completion: str) -> tuple[str, str]:
    asked = request(GPT2, context, completion)
    return GPT2.decode(asked.tokens[: asked.first]), GPT2.decode(asked.tokens[asked.first :])


@pytest.mark.parametrize(
    ("context", "completion", "before", "counted"),
    [
        ("Question: who?\nAnswer:", " a cat", "Question: who?\nAnswer:", " a cat"),
        ("Answer: ", "a cat", "Answer:", " a cat"),  # a space begins the token behind it
        ("hello wor", "ld", "hello", " world"),  # a token lies across the border
        ("", "a cat", "<|endoftext|>", "a cat"),
        ("wor", "ld", "<|endoftext|>", "world"),
    ],
)
def test_request_counts_every_token_that_has_some_of_the_completion(
    context: str, completion: str, before: str, counted: str
) -> None:
    assert texts_of(context, completion) == (before, counted)


@given(st.text(max_size=20), st.text(min_size=1, max_size=20))
def test_request_never_leaves_out_a_character_of_the_completion(
    context: str, completion: str
) -> None:
    asked = request(GPT2, context, completion)
    counted = GPT2.decode_bytes(asked.tokens[asked.first :])
    assert counted.endswith(completion.encode())
    assert 1 <= asked.first < len(asked.tokens)


def test_request_without_a_completion_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        request(GPT2, "context", "")


def test_document_begins_after_end_of_text(encoder: Tokenizer) -> None:
    asked = document(encoder, "ab")
    assert (asked.tokens.tolist(), asked.first) == ([encoder.end_of_text, 97, 98], 1)


@given(
    total=st.integers(2, 200),
    first=st.integers(1, 199),
    context=st.integers(1, 40),
    stride=st.integers(1, 40),
)
def test_windows_count_each_token_once_and_never_show_more_than_the_context(
    total: int, first: int, context: int, stride: int
) -> None:
    first, stride = min(first, total - 1), min(stride, context)
    found = windows(Request(np.zeros(total, dtype=np.int64), first), context=context, stride=stride)
    counted = [place for window in found for place in range(window.first, window.end)]
    assert counted == list(range(first, total))
    for number, window in enumerate(found):
        assert 0 <= window.begin < window.first
        assert window.end - window.begin - 1 <= context
        if number:
            assert window.first - window.begin > context - stride


def test_windows_of_what_fits_show_as_much_of_the_context_as_fits() -> None:
    (window,) = windows(Request(np.zeros(30, dtype=np.int64), 25), context=16, stride=8)
    assert (window.begin, window.first, window.end) == (13, 25, 30)

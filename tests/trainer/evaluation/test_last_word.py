"""The search for the next word, and the filter of stop words."""

from __future__ import annotations

import itertools

import pytest
import torch

from corpus.text.tokenizer import Tokenizer
from corpus.trainer.evaluation.last_word import STOP_WORDS, next_words, predicted
from corpus.trainer.model import GPT
from corpus.trainer.presets import Architecture
from tests.trainer.evaluation.rigged import knowing


def test_next_word_is_whole_and_without_what_ends_it(encoder: Tokenizer) -> None:
    model = knowing(["we will not go to the old barn's end"], encoder)
    assert next_words(model, encoder, "we will not go to the old b", context=64)[:1] == ["arn's"]
    assert next_words(model, encoder, "we will not go to the", context=64)[:1] == ["old"]


def test_search_finds_the_words_that_all_continuations_rank_first(tmp_path: object) -> None:
    """Against every continuation of two tokens, of a vocabulary of letters, space and stop."""
    shape = Architecture(n_layer=1, n_head=1, d_model=8, context=16, vocabulary_size=6)
    model = GPT.create(shape, dropout=0.0, seed=4).eval()
    with torch.no_grad():
        model.wte.weight.mul_(60)

    class Letters:
        end_of_text = 5

        def encode(self, texts: list[str]) -> list[torch.Tensor]:
            return [
                torch.tensor(["ab c.".index(letter) for letter in text]).numpy() for text in texts
            ]

        def decode(self, tokens: list[int]) -> str:
            return "".join("ab c."[token] for token in tokens)

    before = [0, 2]
    found: dict[str, float] = {}
    for length in range(1, 6):
        for letters in itertools.product([0, 1, 3], repeat=length):
            for end in (2, 4, 5):
                tokens = [*before, *letters, end]
                with torch.no_grad():
                    rows = torch.log_softmax(model(torch.tensor([tokens[:-1]]))[0], dim=1)
                places = range(len(before) - 1, len(tokens) - 1)
                value = sum(float(rows[place, tokens[place + 1]]) for place in places)
                word = "".join("ab c"[letter] for letter in letters)
                found[word] = max(found.get(word, -1e9), value)
    best = sorted(found, key=lambda word: -found[word])[:3]
    words = next_words(model, Letters(), "a ", context=16, width=200)  # type: ignore[arg-type]
    assert words[:3] == best


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["the", "It", "barn"], "barn"), (["the"], ""), ([], ""), (["Ann"], "Ann")],
)
def test_prediction_is_the_first_word_that_is_no_stop_word(words: list[str], expected: str) -> None:
    assert predicted(words) == expected


def test_stop_words_are_of_closed_classes() -> None:
    assert {"the", "he", "of", "and", "don't"} <= STOP_WORDS
    assert not {"time", "said", "house", "go", "man"} & STOP_WORDS

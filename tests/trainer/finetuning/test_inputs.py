"""The four kinds of inputs, token by token, and what happens to texts that are too long."""

from __future__ import annotations

import numpy as np
import pytest

from corpus.errors import InputError
from corpus.text.tokenizer import Tokenizer
from corpus.trainer.finetuning.config import Kind
from corpus.trainer.finetuning.examples import Example
from corpus.trainer.finetuning.inputs import Input, SpecialTokens, inputs, pack

S, D, E = 257, 258, 259  # start, delimiter, extract: behind 256 bytes and end of text


def made(
    encoder: Tokenizer, kind: Kind, *texts: str, choices: tuple[str, ...] = (), context: int = 32
) -> Input:
    example = Example("a:1", texts, choices, None)
    special = SpecialTokens.behind(encoder.vocabulary_size)
    (one,) = inputs([example], kind=kind, tokenizer=encoder, special=special, context=context)
    return one


def ids(one: Input) -> list[list[int]]:
    return [row.tolist() for row in one.sequences]


def test_a_text_is_framed_by_start_and_extract(encoder: Tokenizer) -> None:
    assert ids(made(encoder, "classification", "ab")) == [[S, 97, 98, E]]


def test_premise_and_hypothesis_stand_in_their_order(encoder: Tokenizer) -> None:
    assert ids(made(encoder, "entailment", "ab", "c")) == [[S, 97, 98, D, 99, E]]


def test_two_texts_without_an_order_stand_in_both(encoder: Tokenizer) -> None:
    found = ids(made(encoder, "similarity", "ab", "c"))

    assert found == [[S, 97, 98, D, 99, E], [S, 99, D, 97, 98, E]]


def test_each_choice_follows_the_context_and_the_question(encoder: Tokenizer) -> None:
    found = ids(made(encoder, "multiple_choice", "z", "q", choices=("a", "bc")))

    assert found == [[S, 122, 32, 113, D, 97, E], [S, 122, 32, 113, D, 98, 99, E]]


@pytest.mark.parametrize("texts", [("z", ""), ("", "z")])
def test_a_question_alone_has_no_space_before_it(
    encoder: Tokenizer, texts: tuple[str, str]
) -> None:
    found = ids(made(encoder, "multiple_choice", *texts, choices=("a", "b")))

    assert found == [[S, 122, D, 97, E], [S, 122, D, 98, E]]


def test_one_text_has_the_whole_context_and_keeps_its_head(encoder: Tokenizer) -> None:
    fitting, long = (made(encoder, "classification", "abcdefghi"[:n], context=8) for n in (6, 9))

    assert ids(fitting) == ids(long) == [[S, *b"abcdef", E]]
    assert (fitting.cut, long.cut) == (0, 3)


@pytest.mark.parametrize("kind", ["entailment", "similarity"])
def test_each_of_two_texts_has_half_the_context_less_two(encoder: Tokenizer, kind: Kind) -> None:
    found = made(encoder, kind, "abcde", "vwxyz", context=12)

    assert ids(found)[0] == [S, *b"abcd", D, *b"vwxy", E]
    assert found.cut == 2  # of similarity too: each text is cut once, and stands twice


def test_a_long_context_makes_room_for_the_question(encoder: Tokenizer) -> None:
    found = made(encoder, "multiple_choice", "zzzzzz", "qq", choices=("a", "bbbbbb"), context=12)

    assert ids(found) == [[S, *b"z qq", D, *b"a", E], [S, *b"z qq", D, *b"bbbb", E]]
    assert found.cut == 5 + 2


def test_a_sequence_never_is_longer_than_the_context(encoder: Tokenizer) -> None:
    for context in (6, 7, 32):
        for kind in ("classification", "entailment", "similarity"):
            texts = ("x" * 99,) if kind == "classification" else ("x" * 99, "y" * 99)
            lengths = [len(row) for row in made(encoder, kind, *texts, context=context).sequences]
            assert max(lengths) <= context
    with pytest.raises(InputError, match="context of 5"):
        made(encoder, "classification", "a", context=5)


def test_packed_inputs_are_those_that_were_packed(encoder: Tokenizer) -> None:
    several = [
        made(encoder, "multiple_choice", "z", "q" * n, choices=("a", "b" * n, "c")[: 2 + n % 2])
        for n in range(1, 6)
    ]
    several.append(made(encoder, "multiple_choice", "z" * 40, "q", choices=("a", "b")))

    packed = pack(iter(several))

    for number, one in enumerate(several):
        assert [row.tolist() for row in packed.sequences(number)] == ids(one)
        assert packed.lengths()[number] == max(map(len, one.sequences))
    assert (len(packed), packed.tokens.dtype) == (6, np.int32)
    assert (packed.cut_examples, packed.cut_tokens) == (1, several[-1].cut)
    assert packed.cut_tokens == 42 - 14

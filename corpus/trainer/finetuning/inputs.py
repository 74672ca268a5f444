"""The inputs of GPT-1, Figure 1: texts in, sequences of token ids out.

::

    classification    start text extract
    entailment        start premise delimiter hypothesis extract
    similarity        start first delimiter second extract
                      start second delimiter first extract        (states added)
    multiple choice   start context question delimiter choice_k extract    for each k

The three tokens are new, behind the vocabulary. Nothing else is put between texts; a question that
follows a context is tokenized with the space that text has there.

Of a text that is too long the head is kept, as in the released code, where each of two texts has
half the context less two tokens. One text alone has all of the context but the two tokens around
it. Of a context before a question the end is cut, so that the question stays whole.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corpus.errors import InputError
from corpus.text.tokenizer import Tokenizer
from corpus.trainer.finetuning.config import Kind
from corpus.trainer.finetuning.examples import Example

NEW_TOKENS = 3
SHORTEST_CONTEXT = 6  # one token a text: start a delimiter b extract, and one to spare

Ids = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """The tokens that fine-tuning adds, as ids."""

    start: int
    delimiter: int
    extract: int

    @classmethod
    def behind(cls, vocabulary_size: int) -> SpecialTokens:
        """Return the three ids behind a vocabulary."""
        return cls(vocabulary_size, vocabulary_size + 1, vocabulary_size + 2)


@dataclass(frozen=True, slots=True)
class Input:
    """The sequences of one example.

    Attributes:
        sequences: Token ids: one sequence, both orders, or one a choice. Each ends in extract.
        cut: Tokens of its texts that had no room, each text counted once.
    """

    sequences: tuple[Ids, ...]
    cut: int


def inputs(
    examples: Sequence[Example],
    *,
    kind: Kind,
    tokenizer: Tokenizer,
    special: SpecialTokens,
    context: int,
) -> Iterator[Input]:
    """Yield the input of each example.

    Args:
        examples: The examples.
        kind: Kind of the task.
        tokenizer: The pretrained model's.
        special: The new tokens.
        context: Longest sequence that the model takes.

    Raises:
        InputError: The context is too short for any text.
    """
    if context < SHORTEST_CONTEXT:
        raise InputError(
            f"a context of {context} tokens has no room for the texts of a task",
            where="model",
            fix=f"Use a model with a context of {SHORTEST_CONTEXT} at least",
        )
    for example in examples:
        texts, choices = _encoded(example, kind, tokenizer)
        yield _pack(texts, choices, kind, special, context)


def _encoded(example: Example, kind: Kind, tokenizer: Tokenizer) -> tuple[list[Ids], list[Ids]]:
    texts = list(example.texts)
    if kind == "multiple_choice" and all(texts):
        texts[1] = f" {texts[1]}"
    ids = [row.astype(np.int32) for row in tokenizer.encode([*texts, *example.choices])]
    return ids[: len(texts)], ids[len(texts) :]


def _pack(
    texts: Sequence[Ids],
    choices: Sequence[Ids],
    kind: Kind,
    special: SpecialTokens,
    context: int,
) -> Input:
    total = sum(map(len, texts)) + sum(map(len, choices))
    room = context // 2 - 2
    if kind == "classification":
        text = texts[0][: context - 2]
        return Input((_framed(special, text),), total - len(text))
    if kind == "multiple_choice":
        question = texts[1][:room]
        passage = texts[0][: room - len(question)]
        ends = [choice[:room] for choice in choices]
        rows = tuple(_framed(special, np.concatenate([passage, question]), end) for end in ends)
        return Input(rows, total - len(passage) - len(question) - sum(map(len, ends)))
    one, other = texts[0][:room], texts[1][:room]
    rows = (_framed(special, one, other),)
    if kind == "similarity":
        rows += (_framed(special, other, one),)
    return Input(rows, total - len(one) - len(other))


def _framed(special: SpecialTokens, first: Ids, second: Ids | None = None) -> Ids:
    parts = [[special.start], first]
    if second is not None:
        parts += [[special.delimiter], second]
    return np.concatenate([*parts, [special.extract]]).astype(np.int32)


@dataclass(frozen=True, slots=True)
class Packed:
    """Inputs laid out as one array of tokens, so that a large set takes 4 bytes a token.

    Attributes:
        tokens: All sequences, one after the other.
        ends: Where each sequence ends in `tokens`.
        last: Number of the sequence behind each example's last.
        cut_examples: Examples of which something was cut.
        cut_tokens: Tokens that were cut.
    """

    tokens: Ids
    ends: NDArray[np.int64]
    last: NDArray[np.int64]
    cut_examples: int
    cut_tokens: int

    def __len__(self) -> int:
        return len(self.last)

    def sequences(self, example: int) -> list[Ids]:
        """Return the sequences of one example."""
        first = int(self.last[example - 1]) if example else 0
        bounds = [int(self.ends[first - 1]) if first else 0]
        bounds += self.ends[first : int(self.last[example])].tolist()
        return [self.tokens[start:end] for start, end in itertools.pairwise(bounds)]

    def lengths(self) -> NDArray[np.int64]:
        """Return the longest sequence of each example, in tokens."""
        longest = np.diff(self.ends, prepend=0)
        firsts = np.concatenate([[0], self.last[:-1]])
        return np.maximum.reduceat(longest, firsts)


def pack(made: Iterator[Input]) -> Packed:
    """Lay inputs out."""
    rows: list[Ids] = []
    last: list[int] = []
    cut = [0, 0]
    for one in made:
        rows += one.sequences
        last.append(len(rows))
        cut[0] += one.cut > 0
        cut[1] += one.cut
    ends = np.cumsum([len(row) for row in rows], dtype=np.int64)
    return Packed(np.concatenate(rows), ends, np.array(last, dtype=np.int64), cut[0], cut[1])

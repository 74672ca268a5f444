"""Zero-, one- and few-shot prompts: GPT-3, section 2.4.

"We evaluate each example in the evaluation set by randomly drawing K examples from that task's
training set as conditioning, delimited by 1 or 2 newlines". The draw is a function of the seed, the
task and the example's identifier: the same for every model and every number of examples before it.
An example is never in its own prompt, nor is one that reads the same, or that belongs to the same
conversation or question. Where K examples are more
than the context holds, the last ones drawn are left out, and the report says how many there were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from corpus.mix import permutation
from corpus.text.tokenizer import Tokenizer
from corpus.trainer.evaluation.example import Example
from corpus.trainer.evaluation.requests import encode


@dataclass(frozen=True, slots=True)
class Prompt:
    """What stands before an example.

    Attributes:
        text: Instruction and solved examples, up to the example.
        shots: Number of solved examples.
    """

    text: str
    shots: int


@dataclass(frozen=True, slots=True)
class Prompts:
    """Makes the prompts of one task.

    Attributes:
        name: Of the task; part of the draw.
        seed: Of the draw.
        pool: Examples to draw from.
        shots: K.
        delimiter: Between two examples.
        instruction: Before the first.
        tokenizer: To know what fits.
        room: Tokens that a prompt and its example may have.
        same: The draw is the same for all examples.
    """

    name: str
    seed: int
    pool: Sequence[Example]
    shots: int
    delimiter: str
    instruction: str
    tokenizer: Tokenizer
    room: int
    same: bool = False
    _lengths: dict[int, int] = field(default_factory=dict)

    def __call__(self, example: Example, *, longest: Callable[[str], int]) -> Prompt:
        """Return the prompt of an example.

        Args:
            example: The example.
            longest: Tokens of the example's longest request behind a prompt, answer included.
        """
        drawn = self.drawn(example)
        shots = self._estimate(drawn, longest(self.instruction))
        while True:
            text = self._text(drawn[:shots])
            if shots == 0 or longest(text) <= self.room:
                return Prompt(text, shots)
            shots -= 1

    def drawn(self, example: Example) -> list[int]:
        """Return the numbers of the examples that are drawn, all K where there are so many."""
        if not self.shots or not self.pool:
            return []
        size = np.uint64(len(self.pool))
        of = "" if self.same else example.id
        key = np.uint64(permutation.key(self.seed, self.name, of))
        found: list[int] = []
        for start in range(0, len(self.pool), self.shots + 1):
            end = min(len(self.pool), start + self.shots + 1)
            places = np.arange(start, end, dtype=np.uint64)
            drawn = permutation.permute(
                places, np.full_like(places, size), np.full_like(places, key)
            )
            for number in drawn.tolist():
                if not _alike(self.pool[number], example):
                    found.append(number)
                if len(found) == self.shots:
                    return found
        return found

    def _text(self, drawn: Sequence[int]) -> str:
        solved = (self.pool[number].solved + self.delimiter for number in drawn)
        return self.instruction + "".join(solved)

    def _estimate(self, drawn: Sequence[int], tokens: int) -> int:
        """Return a number of examples that is at least what fits, nearly.

        Lengths of examples by themselves add up to the length of the prompt but for tokens across
        their borders, of which each can save a few: the exact length is looked at afterwards.
        """
        for shots, number in enumerate(drawn):
            if number not in self._lengths:
                text = self.pool[number].solved + self.delimiter
                self._lengths[number] = len(encode(self.tokenizer, text))
            tokens += self._lengths[number]
            if tokens > self.room + 8 * (shots + 1):
                return shots
        return len(drawn)


def _alike(one: Example, other: Example) -> bool:
    """Say whether examples read the same, or are about the same text where that tells too much."""
    return one.solved == other.solved or bool(one.about and one.about == other.about)

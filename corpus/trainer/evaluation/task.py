"""What a task is: its format, how it is asked and what counts as right.

GPT-3 section 2.4. Items of a file in, examples out; `tasks.TASKS` has the tasks by name.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from corpus.trainer.evaluation import marks
from corpus.trainer.evaluation.example import Example
from corpus.trainer.evaluation.items import Item

Kind = Literal["choice", "word", "written"]
Rule = Literal["token", "answer_context", "sum"]
Parse = Callable[[Item], Iterator[Example]]
LENGTH_PENALTY = 0.6  # section 2.4

_SHOWN: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        "choice": ("accuracy",),
        "word": ("accuracy", "accuracy_with_stop_words", "word_perplexity"),
        "written": ("exact_match", "f1"),
    }
)


@dataclass(frozen=True, slots=True)
class Task:
    """One task.

    Attributes:
        parse: An item to its examples; None where `parse_all` has the whole file.
        kind: `choice`: the likeliest pair is chosen. `word`: the last word of a passage is
            predicted. `written`: an answer is generated and compared.
        few: K of Table H.1; None: the paper has none.
        rule: What makes a choice the likeliest: its mean log-probability a token, its
            log-probability over that after `answer_context`, or its log-probability.
        answer_context: What a completion is also scored after, by the rule of that name.
        delimiter: What stands between the examples of a prompt.
        instruction: What stands before them, where there are any or none.
        tokens: Most tokens of an answer.
        grade: What a written answer is worth.
        choose: What values of the choices are worth.
        shown: Metrics of the table; by default those of the kind.
        few_parse: Format with examples in the prompt, where it differs from that without any.
        few_instruction: What stands before them then; by default `instruction`.
        solved: An item to what stands in a prompt, where that is not its examples.
        same_examples: Every prompt has the same examples.
        beams: Beams of the generation; 1: the likeliest token each time.
        parse_all: All items of a file to examples.
        is_json: Its files are JSON, whatever they are called.
    """

    parse: Parse | None
    kind: Kind
    few: int | None = None
    rule: Rule = "token"
    answer_context: str = ""
    delimiter: str = "\n\n"
    instruction: str = ""
    tokens: int = 32
    grade: marks.Grade = marks.question
    choose: marks.Choose = marks.choice
    shown: tuple[str, ...] = ()
    few_parse: Parse | None = None
    few_instruction: str | None = None
    solved: Parse | None = None
    same_examples: bool = False
    beams: int = 4  # section 2.4: "a beam width of 4 and a length penalty of alpha = 0.6"
    parse_all: Callable[[Iterator[Item]], Iterator[Example]] | None = None
    is_json: bool = False

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics of the table."""
        return self.shown or _SHOWN[self.kind]

    def instruction_of(self, shots: int) -> str:
        """Return what stands before so many examples."""
        if shots and self.few_instruction is not None:
            return self.few_instruction
        return self.instruction

    def examples(
        self, items: Iterator[Item], *, with_prompt: bool, solved: bool
    ) -> Iterator[Example]:
        """Yield the examples of a file's items.

        Args:
            items: The items.
            with_prompt: Other examples stand before them.
            solved: They are to stand in prompts.

        Raises:
            InputError: An item is not of the task.
        """
        if self.parse_all is not None:
            return self.parse_all(items)
        parse = self.few_parse if with_prompt and self.few_parse is not None else self.parse
        parse = self.solved if solved and self.solved is not None else parse
        assert parse is not None
        return itertools.chain.from_iterable(map(parse, items))

"""The tasks by name: how each is asked and what counts as right.

GPT-3 section 2.4, Appendix G (formats) and Table H.1 (K); GPT-2 sections 3.2 and 3.3. A format that
was not before us in print but is known from its use is marked `remembered`; docs/evaluation.md
lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from corpus.trainer.evaluation import arithmetic, cbt, formats_choice, formats_written
from corpus.trainer.evaluation.example import Example
from corpus.trainer.evaluation.items import Item

Kind = Literal["choice", "word", "written"]
Rule = Literal["token", "answer_context", "sum"]


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
        beams: Beams of the generation; 1: the likeliest token each time.
        tokens: Most tokens of an answer.
        normalized: Answers are compared without case, punctuation and articles (TriviaQA's rule).
        blank: Format with examples in the prompt, where it differs from that without any.
        parse_all: All items of a file to examples.
        is_json: Its files are JSON, whatever they are called.
        remembered: Its format is from memory.
    """

    parse: Callable[[Item], Iterator[Example]] | None
    kind: Kind
    few: int | None = None
    rule: Rule = "token"
    answer_context: str = ""
    delimiter: str = "\n\n"
    instruction: str = ""
    beams: int = 4  # section 2.4: "a beam width of 4 and a length penalty of alpha = 0.6"
    tokens: int = 32
    normalized: bool = True
    blank: Callable[[Item], Iterator[Example]] | None = None
    parse_all: Callable[[Iterator[Item]], Iterator[Example]] | None = None
    is_json: bool = False
    remembered: bool = False


LENGTH_PENALTY = 0.6  # section 2.4

_WORDS = "Please unscramble the letters into a word, and write that word:\n"


def _arithmetic() -> Task:
    # Answers have up to six digits and a sign, of at most one token each with GPT-2's vocabulary.
    return Task(formats_written.completion, "written", few=50, tokens=10, normalized=False)


def _scramble() -> Task:
    return Task(
        formats_written.completion,
        "written",
        few=100,
        delimiter="\n",
        instruction=_WORDS,
        tokens=16,
        normalized=False,
        remembered=True,
    )


TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "anli": Task(formats_choice.anli, "choice", few=50, remembered=True),
        "arc": Task(
            formats_choice.arc,
            "choice",
            few=50,
            rule="answer_context",
            answer_context="Answer: ",
            remembered=True,
        ),
        "boolq": Task(formats_choice.boolq, "choice", few=32, remembered=True),
        "boolq_without_passage": Task(formats_choice.boolq_without_passage, "choice"),
        "cb": Task(formats_choice.cb, "choice", few=32, remembered=True),
        "cbt": Task(None, "choice", rule="sum", parse_all=cbt.examples, remembered=True),
        "copa": Task(formats_choice.copa, "choice", few=32, remembered=True),
        "hellaswag": Task(formats_choice.hellaswag, "choice", few=20, remembered=True),
        "lambada": Task(
            formats_written.lambada,
            "word",
            few=15,
            instruction="",
            blank=formats_written.lambada_blank,
        ),
        "naturalqs": Task(formats_written.naturalqs, "written", few=64, remembered=True),
        "openbookqa": Task(
            formats_choice.openbookqa,
            "choice",
            few=100,
            rule="answer_context",
            answer_context="Answer: ",
            remembered=True,
        ),
        "piqa": Task(formats_choice.piqa, "choice", few=50, remembered=True),
        "race": Task(
            formats_choice.race,
            "choice",
            few=10,
            rule="answer_context",
            answer_context="A: ",
            is_json=True,
            remembered=True,
        ),
        "rte": Task(formats_choice.rte, "choice", few=32, remembered=True),
        "storycloze": Task(formats_choice.storycloze, "choice", few=70, remembered=True),
        "triviaqa": Task(formats_written.triviaqa, "written", few=64),
        "webqs": Task(formats_written.webqs, "written", few=64),
        "winogrande": Task(formats_choice.winogrande, "choice", few=50),
        **{name: _arithmetic() for name in arithmetic.TESTS},
        "six_digit_addition": _arithmetic(),
        "six_digit_subtraction": _arithmetic(),
        "sum_of_digits": _arithmetic(),
        "cycle_letters_in_word": _scramble(),
        "mid_word_1_anagrams": _scramble(),
        "mid_word_2_anagrams": _scramble(),
        "random_insertion_in_word": _scramble(),
        "reversed_words": _scramble(),
    }
)
BLANK_INSTRUCTION = "Fill in blank:\n\n"  # of LAMBADA with examples in the prompt

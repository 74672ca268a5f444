"""The tasks by name.

GPT-3 Appendix G (formats) and Table H.1 (K); GPT-2 sections 3.2 and 3.3. What is ours or from
memory is listed in docs/evaluation.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from corpus.trainer.evaluation import (
    arithmetic,
    cbt,
    conversations,
    formats_choice,
    formats_reading,
    formats_superglue,
    formats_translation,
    formats_written,
    marks,
    sat,
)
from corpus.trainer.evaluation.task import Parse, Task

_WORDS = "Please unscramble the letters into a word, and write that word:\n"


def _arithmetic() -> Task:
    # Answers have up to six digits and a sign, of at most one token each with GPT-2's vocabulary.
    return Task(formats_written.completion, "written", few=50, tokens=10, grade=marks.literal)


def _scramble() -> Task:
    return Task(
        formats_written.completion,
        "written",
        few=100,
        delimiter="\n",
        instruction=_WORDS,
        tokens=16,
        grade=marks.literal,
    )


def _over_answer_context(parse: Parse, few: int, answer_context: str, *, is_json: bool) -> Task:
    return Task(
        parse,
        "choice",
        few=few,
        rule="answer_context",
        answer_context=answer_context,
        is_json=is_json,
    )


def _translation(source: str, target: str) -> Task:
    return Task(
        formats_translation.asked(source, target),
        "written",
        few=64,
        tokens=256,  # a long sentence of Romanian, of which GPT-2's vocabulary knows little
        grade=marks.translation,
        shown=("bleu", "bleu_intl"),
        few_parse=formats_translation.equation(source, target),
    )


_LANGUAGE_MODELLING = {
    "cbt": Task(None, "choice", rule="sum", parse_all=cbt.examples),
    "lambada": Task(
        formats_written.lambada,
        "word",
        few=15,
        few_parse=formats_written.lambada_blank,
        few_instruction="Fill in blank:\n\n",
    ),
}
_CHOICES = {
    "anli": Task(formats_choice.anli, "choice", few=50),
    "arc": _over_answer_context(formats_choice.arc, 50, "Answer: ", is_json=False),
    "boolq_without_passage": Task(formats_choice.boolq_without_passage, "choice"),
    "hellaswag": Task(formats_choice.hellaswag, "choice", few=20),
    "openbookqa": _over_answer_context(formats_choice.openbookqa, 100, "Answer: ", is_json=False),
    "piqa": Task(formats_choice.piqa, "choice", few=50),
    "race": _over_answer_context(formats_choice.race, 10, "A: ", is_json=True),
    "sat_analogies": Task(None, "choice", few=20, parse_all=sat.examples),
    "storycloze": Task(formats_choice.storycloze, "choice", few=70),
    "winograd": Task(formats_choice.winograd, "choice", few=7),
    "winogrande": Task(formats_choice.winogrande, "choice", few=50),
}
_SUPERGLUE = {
    "boolq": Task(formats_choice.boolq, "choice", few=32),
    "cb": Task(formats_choice.cb, "choice", few=32),
    "copa": Task(formats_choice.copa, "choice", few=32),
    "multirc": Task(
        formats_superglue.multirc,
        "choice",
        few=32,
        instruction=formats_superglue.MULTIRC_INSTRUCTION,
        choose=marks.statement,
        shown=("exact_match", "f1a", "accuracy"),
        solved=formats_superglue.multirc_solved,
        same_examples=True,  # section 3.7
    ),
    "record": Task(
        formats_superglue.record,
        "choice",
        few=32,
        choose=marks.entity,
        shown=("accuracy", "f1"),
    ),
    "rte": Task(formats_choice.rte, "choice", few=32),
    "wic": Task(formats_superglue.wic, "choice", few=32),
    "wsc": Task(
        formats_superglue.wsc,
        "written",
        few=32,
        instruction=formats_superglue.WSC_INSTRUCTION,
        tokens=16,
        grade=marks.referent,
        shown=("accuracy",),
        solved=formats_superglue.wsc_solved,
        same_examples=True,  # section 3.7
    ),
}
_QUESTIONS = {
    "naturalqs": Task(formats_written.naturalqs, "written", few=64),
    "triviaqa": Task(formats_written.triviaqa, "written", few=64),
    "webqs": Task(formats_written.webqs, "written", few=64),
}
_READING = {
    "coqa": Task(
        conversations.coqa,
        "written",
        few=5,
        tokens=64,
        grade=marks.coqa,
        shown=("f1", "exact_match"),
        solved=conversations.coqa_solved,
    ),
    "drop": Task(formats_reading.drop, "written", few=20, grade=marks.spans),
    "quac": Task(
        conversations.quac,
        "written",
        few=5,
        tokens=64,
        grade=marks.quac,
        shown=("f1",),
        solved=conversations.quac_solved,
    ),
    "squad": Task(formats_reading.squad, "written", tokens=64),
    "squadv2": Task(formats_reading.squad2, "written", few=16, tokens=64, grade=marks.squad2),
}

TASKS: Mapping[str, Task] = MappingProxyType(
    dict(
        sorted(
            {
                **_LANGUAGE_MODELLING,
                **_CHOICES,
                **_SUPERGLUE,
                **_QUESTIONS,
                **_READING,
                **{
                    f"{test}_{source}_{target}": _translation(source, target)
                    for test, other in formats_translation.PAIRS
                    for source, target in (("en", other), (other, "en"))
                },
                **{name: _arithmetic() for name in arithmetic.TESTS},
                "six_digit_addition": _arithmetic(),
                "six_digit_subtraction": _arithmetic(),
                "sum_of_digits": _arithmetic(),
                "cycle_letters_in_word": _scramble(),
                "mid_word_1_anagrams": _scramble(),
                "mid_word_2_anagrams": _scramble(),
                "random_insertion_in_word": _scramble(),
                "reversed_words": _scramble(),
            }.items()
        )
    )
)

"""Public benchmarks: which fields of their published files are text that a page can give away.

A preset has layouts, since a benchmark is published by its authors and once more as a Parquet data
set; the first layout whose fields the first item has is used for all of its file. Labels, numbers
and identifiers are not text, and neither are answers that are quoted from the passage, or that
unpublished test sets leave out. A field is a path: ``question.choices.text`` goes through maps and
lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Layout:
    """Where the examples of a file and their text are.

    Attributes:
        fields: Paths of the fields whose text counts, in this order. All text in an item if None.
        id: Path of an example's identifier; "" for none.
        each: Path of the lists whose elements are the examples; "" where an item is one. ``*``
            stands for every value of a map.
        columns: Names of the columns of a CSV file without a head.
        is_json: Every file is JSON, whatever it is called.
        is_text: A plain text file with an example a line.
    """

    fields: tuple[str, ...] | None = None
    id: str = ""
    each: str = ""
    columns: tuple[str, ...] = ()
    is_json: bool = False
    is_text: bool = False


def _plain(id: str, *fields: str) -> Layout:
    return Layout(fields=fields, id=id)


_PAIR = ("premise", "hypothesis")
_SQUAD = Layout(
    fields=(
        "data.paragraphs.context",
        "data.paragraphs.qas.question",
    ),
    id="data.paragraphs.qas.id",
    each="data.paragraphs.qas",
)
_CHOICES = Layout(fields=("question.stem", "question.choices.text"), id="id")

PRESETS: Mapping[str, tuple[Layout, ...]] = MappingProxyType(
    {
        "anli": (_plain("uid", "context", "hypothesis"), _plain("uid", "premise", "hypothesis")),
        "arc": (_CHOICES, _plain("id", "question", "choices.text")),
        "boolq": (
            _plain("", "title", "passage", "question"),
            _plain("idx", "passage", "question"),
        ),
        "cb": (_plain("idx", *_PAIR),),
        "copa": (_plain("idx", "premise", "choice1", "choice2"),),
        "coqa": (
            Layout(
                fields=("data.story", "data.questions.input_text", "data.answers.input_text"),
                id="data.id",
                each="data",
            ),
            _plain("", "story", "questions", "answers.input_text"),
        ),
        "drop": (
            Layout(
                fields=("*.passage", "*.qa_pairs.question"),
                id="*.qa_pairs.query_id",
                each="*.qa_pairs",
            ),
            _plain("query_id", "passage", "question"),
        ),
        "gsm8k": (_plain("", "question", "answer"),),
        "hellaswag": (_plain("ind", "ctx", "endings"),),
        "humaneval": (_plain("task_id", "prompt", "canonical_solution", "test"),),
        "lambada": (_plain("", "text"), Layout(is_text=True)),
        "mmlu": (
            _plain("", "question", "choices"),
            Layout(
                fields=("question", "A", "B", "C", "D"),
                columns=("question", "A", "B", "C", "D", "answer"),
            ),
        ),
        "multirc": (
            Layout(
                fields=(
                    "passage.text",
                    "passage.questions.question",
                    "passage.questions.answers.text",
                ),
                each="passage.questions",  # idx is that of the passage: of several examples
            ),
            _plain("", "paragraph", "question", "answer"),
        ),
        "naturalqs": (_plain("", "question", "answer"),),
        "openbookqa": (_CHOICES, _plain("id", "question_stem", "choices.text")),
        "piqa": (_plain("id", "goal", "sol1", "sol2"),),
        "quac": (_SQUAD, _plain("dialogue_id", "context", "questions")),
        "race": (
            Layout(
                fields=("article", "questions", "options"),
                id="id",
                is_json=True,
            ),
            _plain("example_id", "article", "question", "options"),
        ),
        "record": (
            Layout(
                fields=("passage.text", "qas.query"),
                id="qas.idx",
                each="qas",
            ),
            _plain("", "passage", "query"),
        ),
        "rte": (_plain("idx", *_PAIR),),
        "sat_analogies": (_plain("", "stem", "choice"),),
        "squad": (_SQUAD, _plain("id", "context", "question")),
        "storycloze": (
            _plain(
                "InputStoryid",
                *(f"InputSentence{number}" for number in range(1, 5)),
                "RandomFifthSentenceQuiz1",
                "RandomFifthSentenceQuiz2",
            ),
            _plain(
                "story_id",
                *(f"input_sentence_{number}" for number in range(1, 5)),
                "sentence_quiz1",
                "sentence_quiz2",
            ),
        ),
        "triviaqa": (
            Layout(fields=("Data.Question",), id="Data.QuestionId", each="Data"),
            _plain("question_id", "question"),
        ),
        "webqs": (_plain("url", "utterance"), _plain("url", "question")),
        "wic": (_plain("idx", "sentence1", "sentence2"),),
        "winograd": (_plain("", "text", "options"),),
        "winogrande": (
            _plain("qID", "sentence", "option1", "option2"),
            _plain("", "sentence", "option1", "option2"),
        ),
        "wmt": (_plain("", "translation"),),
        "wsc": (_plain("idx", "text"),),
    }
)

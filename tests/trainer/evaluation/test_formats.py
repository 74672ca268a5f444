"""Public files as examples: each layout of each task, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from corpus.errors import InputError
from corpus.trainer.evaluation import cbt, formats_choice, formats_written
from corpus.trainer.evaluation.example import Example
from corpus.trainer.evaluation.items import Item

Parse = Callable[[Item], Iterator[Example]]
STEM = {"stem": "Why?", "choices": [{"text": "yes", "label": "A"}, {"text": "no", "label": "B"}]}
HUB = {"question": "Why?", "choices": {"text": ["yes", "no"], "label": ["1", "2"]}}
INSTRUCTION = (
    "Please choose the correct answer to the question: Why?\n\nAnswer1: yes Answer2: no"
    "\n\nAnswer format: answer1/answer2"
)
SENTENCE = (
    "Please choose the correct answer to fill in the blank to complete the given sentence: "
    "Ann saw Bea because _ was near.\n\nOption1: Ann Option2: Bea Answer format: option1/option2"
)
SCHEMA = {"text": "Ann saw Bo; she ran.", "pronoun": "she", "pronoun_loc": 12} | {
    "options": ["Ann", "Bo"],
    "label": 0,
}
STORY = {f"InputSentence{n}": f"Line {n}." for n in range(1, 5)}

# Parser, item, the context of the right answer, its completions, the right one, the identifier.
CHOICES: list[tuple[Parse, dict[str, Any], str, list[str], int, str]] = [
    (
        formats_choice.arc,
        {"id": "q1", "question": STEM, "answerKey": "B"},
        "Question: Why?\nAnswer:",
        [" yes", " no"],
        1,
        "q1",
    ),
    (
        formats_choice.arc,
        {**HUB, "id": "q1", "answerKey": "2"},
        "Question: Why?\nAnswer:",
        [" yes", " no"],
        1,
        "q1",
    ),
    (
        formats_choice.arc,
        {"instruction": INSTRUCTION, "answer": "answer2"},
        "Question: Why?\nAnswer:",
        [" yes", " no"],
        1,
        "",
    ),
    (
        formats_choice.openbookqa,
        {"question_stem": "Why", "choices": HUB["choices"], "answerKey": "1"},
        "Why",
        [" yes", " no"],
        0,
        "",
    ),
    (
        formats_choice.piqa,
        {"goal": "To dry.", "sol1": "Wait. ", "sol2": "Wet.", "label": 0},
        "To dry.",
        [" Wait.", " Wet."],
        0,
        "",
    ),
    (
        formats_choice.hellaswag,
        {
            "ind": 4,
            "activity_label": "Cake",
            "ctx": "They",
            "endings": ["eat.", "run."],
            "label": "1",
        },
        "Cake: They",
        [" eat.", " run."],
        1,
        "4",
    ),
    (
        formats_choice.copa,
        {"premise": "I fell.", "choice1": "I slept.", "choice2": "It hurt.", "asks_for": "effect"}
        | {"label": 2, "id": "7"},
        "I fell so",
        [" I slept.", " it hurt."],
        1,
        "7",
    ),
    (
        formats_choice.copa,
        {"premise": "I fell.", "choice1": "It rained.", "choice2": "X.", "question": "cause"}
        | {"label": 0, "idx": 7},
        "I fell because",
        [" it rained.", " x."],
        0,
        "7",
    ),
    (
        formats_choice.storycloze,
        {**STORY, "RandomFifthSentenceQuiz1": "End.", "RandomFifthSentenceQuiz2": "Odd."}
        | {"AnswerRightEnding": "2", "InputStoryid": "s"},
        "Line 1. Line 2. Line 3. Line 4.",
        [" End.", " Odd."],
        1,
        "s",
    ),
    (
        formats_choice.race,
        {"article": "Text.", "question": "Q?", "options": ["a", "b", "c", "d"], "answer": "C"},
        "Article:\nText.\n\nQ: Q?\n\nA:",
        [" a", " b", " c", " d"],
        2,
        "",
    ),
    (
        formats_choice.boolq,
        {"title": "T", "passage": "P.", "question": "is it", "answer": True},
        "T -- P.\nquestion: is it?\nanswer:",
        [" no", " yes"],
        1,
        "",
    ),
    (
        formats_choice.boolq,
        {"passage": "P.", "question": "is it", "label": 0, "idx": 3},
        "P.\nquestion: is it?\nanswer:",
        [" no", " yes"],
        0,
        "3",
    ),
    (
        formats_choice.cb,
        {"premise": "P.", "hypothesis": "H.", "label": "neutral", "idx": 0},
        "P.\nquestion: H. true, false, or neither?\nanswer:",
        [" true", " false", " neither"],
        2,
        "0",
    ),
    (
        formats_choice.rte,
        {"premise": "P.", "hypothesis": "H.", "label": "not_entailment"},
        "P.\nquestion: H. True or False?\nanswer:",
        [" True", " False"],
        1,
        "",
    ),
    (
        formats_choice.anli,
        {"uid": "u", "context": "P.", "hypothesis": "H.", "label": "c"},
        "P.\nQuestion: H. True, False, or Neither?",
        [" True", " Neither", " False"],
        2,
        "u",
    ),
]


@pytest.mark.parametrize(("parse", "item", "context", "completions", "gold", "own"), CHOICES)
def test_item_with_choices_becomes_its_prompt(
    parse: Parse, item: Any, context: str, completions: list[str], gold: int, own: str
) -> None:
    (example,) = parse(Item("f:1", item))
    assert [pair[0] for pair in example.pairs] == [context] * len(completions)
    assert [pair[1] for pair in example.pairs] == completions
    assert (example.gold, example.own) == (gold, own)
    assert example.solved == context + completions[gold]


@pytest.mark.parametrize(
    "item",
    [
        {"sentence": "Ann saw Bea because _ was near.", "option1": "Ann", "option2": "Bea"}
        | {"answer": "2", "qID": "w"},
        {"instruction": SENTENCE, "answer": "option2"},
    ],
)
def test_winogrande_shares_the_completion_and_not_the_context(item: dict[str, str]) -> None:
    (example,) = formats_choice.winogrande(Item("f:1", item))
    assert example.pairs == (
        ("Ann saw Bea because Ann", " was near."),
        ("Ann saw Bea because Bea", " was near."),
    )
    assert example.gold == 1


@pytest.mark.parametrize(
    ("text", "pronoun", "options", "expected"),
    [
        (
            "The fox met Ann. It ran.",
            "It",
            ["The fox", "Ann"],
            ["The fox met Ann. The fox", "The fox met Ann. Ann"],
        ),
        (
            "The fox saw Ann and fled as she ran.",
            "she",
            ["The fox", "Ann"],
            ["The fox saw Ann and fled as the fox", "The fox saw Ann and fled as Ann"],
        ),
        (
            "Ann took from the fox its food.",
            "its",
            ["Ann", "The fox's"],
            ["Ann took from the fox Ann", "Ann took from the fox the fox's"],
        ),
        (
            "Bob hit Joe and his arm broke.",
            "his",
            ["Bob", "Joe's"],
            ["Bob hit Joe and Bob's", "Bob hit Joe and Joe's"],
        ),
    ],
)
def test_winograd_puts_each_noun_in_the_place_of_the_pronoun(
    text: str, pronoun: str, options: list[str], expected: list[str]
) -> None:
    at = text.rindex(pronoun)
    item = {"text": text, "pronoun": pronoun, "pronoun_loc": at, "options": options, "label": 1}
    (example,) = formats_choice.winograd(Item("f:1", item))
    assert [pair[0] for pair in example.pairs] == expected
    assert {pair[1] for pair in example.pairs} == {text[at + len(pronoun) :]}
    assert example.gold == 1
    # A copy with another space before the pronoun, and its old place.
    spaced = {**item, "text": text.replace(" ", "  ", 1)}
    (again,) = formats_choice.winograd(Item("f:1", spaced))
    assert again == example


def test_race_file_of_an_article_becomes_an_example_a_question() -> None:
    item = {"article": "T.", "questions": ["a?", "b?"], "options": [["1", "2"], ["3", "4"]]}
    examples = list(formats_choice.race(Item("f", {**item, "answers": ["B", "A"], "id": "x"})))
    assert [example.gold for example in examples] == [1, 0]
    assert examples[1].pairs[0] == ("Article:\nT.\n\nQ: b?\n\nA:", " 3")


@pytest.mark.parametrize(
    ("parse", "item", "context", "answers"),
    [
        (
            formats_written.lambada,
            {"text": "He took the\nlast step"},
            "He took the\nlast",
            ["step"],
        ),
        (formats_written.lambada, "He took the step ", "He took the", ["step"]),
        (formats_written.lambada_blank, {"text": "the last step"}, "the last ____. ->", ["step"]),
        (
            formats_written.completion,
            {"context": "\n\nQ: What is 1 plus 2?\n\nA:", "completion": " 3"},
            "Q: What is 1 plus 2?\n\nA:",
            ["3"],
        ),
        (
            formats_written.triviaqa,
            {
                "Question": "Who?",
                "QuestionId": "t",
                "Answer": {"Value": "A", "Aliases": ["B", "A"]},
            },
            "Q: Who?\n\nA:",
            ["A", "B"],
        ),
        (
            formats_written.triviaqa,
            {"question": "Who", "answer": {"value": "A", "aliases": ["B"]}},
            "Q: Who?\n\nA:",
            ["A", "B"],
        ),
        (formats_written.naturalqs, {"question": "who", "answer": ["A"]}, "Q: who?\n\nA:", ["A"]),
        (
            formats_written.webqs,
            {"utterance": "who?", "targetValue": '(list (description "A b") (description C))'},
            "Q: who?\n\nA:",
            ["A b", "C"],
        ),
    ],
)
def test_item_with_an_answer_becomes_its_prompt(
    parse: Parse, item: Any, context: str, answers: list[str]
) -> None:
    (example,) = parse(Item("f:1", item))
    assert example.pairs == ((context, f" {answers[0]}"),)
    assert list(example.answers) == answers


@pytest.mark.parametrize(
    ("parse", "item", "named"),
    [
        (formats_choice.arc, {"question": STEM}, "answerKey"),
        (formats_choice.arc, {"question": STEM, "answerKey": "E"}, "none of A, B"),
        (formats_choice.arc, {"instruction": "Hello", "answer": "answer1"}, "LLM-Adapters"),
        (formats_choice.piqa, {"goal": "g", "sol1": "a", "sol2": "b"}, "label"),
        (formats_choice.piqa, {"goal": "", "sol1": "a", "sol2": "b", "label": 0}, "no text"),
        (formats_choice.piqa, {"goal": "g", "sol1": "a", "sol2": "b", "label": -1}, "0 nor 1"),
        (formats_choice.hellaswag, {"ctx": "c", "endings": ["a"], "label": 1e999}, "no integer"),
        (formats_choice.copa, {"premise": "p", "question": "why", "label": 0}, "neither cause"),
        (formats_choice.hellaswag, {"ctx": "c", "endings": ["a"], "label": 1}, "no ending 1"),
        (formats_choice.boolq, {"passage": "p", "question": "q", "answer": "yes"}, "neither true"),
        (formats_choice.winogrande, {"sentence": "No blank.", "option1": "a"}, "option2"),
        (formats_choice.winograd, {**SCHEMA, "pronoun_loc": 3}, "is not at 3"),
        (formats_choice.winograd, {**SCHEMA, "text": "Ann saw Bo; she"}, "is not at 12"),
        (formats_choice.winograd, {**SCHEMA, "label": 2}, "no option 2"),
        (formats_choice.winograd, {"text": "Ann"}, "no field 'pronoun'"),
        (formats_written.lambada, {"text": "one"}, "fewer than two words"),
        (formats_written.naturalqs, {"question": "q", "answer": "A"}, "no list of texts"),
        (formats_written.webqs, {"utterance": "q", "targetValue": "(list)"}, "no description"),
    ],
)
def test_item_that_is_not_of_the_task_is_refused_with_its_place(
    parse: Parse, item: dict[str, Any], named: str
) -> None:
    with pytest.raises(InputError, match=named) as caught:
        list(parse(Item("file.jsonl:7", item)))
    assert caught.value.where == "file.jsonl:7"


def cbt_lines(query: str, *, sentences: int = 20) -> Iterator[Item]:
    for number in range(1, sentences + 1):
        yield Item(f"cbt.txt:{number}", f"{number} Line {number} , he said .")
    yield Item(f"cbt.txt:{sentences + 1}", f"{sentences + 1} {query}")


def test_cbt_fills_each_candidate_in_and_scores_the_whole_sentence() -> None:
    query = "`` The XXXXX ran , '' he said .\tfox\t\tcat|fox"
    (example,) = cbt.examples(cbt_lines(query))
    assert example.gold == 1
    assert [pair[1] for pair in example.pairs] == [
        ' "The cat ran," he said.',
        ' "The fox ran," he said.',
    ]
    assert example.pairs[0][0].startswith("Line 1, he said. Line 2, he said.")
    assert example.pairs[0][0].endswith("Line 20, he said.")


@pytest.mark.parametrize(
    ("items", "named"),
    [
        (cbt_lines("XXXXX\tfox\t\tcat|dog"), "not among the candidates"),
        (cbt_lines("no blank\tfox\t\tcat|fox"), "not whole"),
        (cbt_lines("x", sentences=5), "ends after line 6"),
        (iter([Item("cbt.txt:1", "2 no")]), "line 1 of a story"),
    ],
)
def test_cbt_that_is_not_whole_is_refused(items: Iterator[Item], named: str) -> None:
    with pytest.raises(InputError, match=named):
        list(cbt.examples(items))

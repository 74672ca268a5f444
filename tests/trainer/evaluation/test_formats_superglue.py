"""WiC, WSC, MultiRC and ReCoRD as examples: both layouts of each, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from corpus.errors import InputError
from corpus.trainer.evaluation import formats_superglue
from corpus.trainer.evaluation.example import Example
from corpus.trainer.evaluation.items import Item

Parse = Callable[[Item], Iterator[Example]]
WIC = {"word": "carry", "sentence1": "You must carry it.", "sentence2": "Sound carries.", "idx": 3}
WSC = {
    "text": 'Mr. Moore saw Ann, but "he" ran.',
    "span1_text": "Mr. Moore",
    "span1_index": 0,
    "span2_text": "he",
    "span2_index": 5,
    "idx": 7,
    "label": 1,
}
QUESTIONS = [
    {
        "question": "Who ran?",
        "idx": 4,
        "answers": [
            {"text": "Ann ", "idx": 0, "label": 1},
            {"text": "a dog", "idx": 1, "label": 0},
        ],
    },
    {"question": "Why?", "idx": 5, "answers": [{"text": "to eat", "idx": 2, "label": 0}]},
]
MULTIRC = {"idx": 2, "passage": {"text": "Ann ran.", "questions": QUESTIONS}}
NEWS = '(CNN) Ann met Bo.\n@highlight\nAnn won.\n@highlight\nBo "lost".'
RECORD = {
    "idx": 1,
    "passage": {
        "text": NEWS,
        "entities": [{"start": 6, "end": 8}, {"start": 14, "end": 15}, {"start": 29, "end": 31}],
    },
    "qas": [
        {"query": "@placeholder (@placeholder's) won.", "idx": 9, "answers": [{"text": "Ann"}]},
        {"query": "Sad @placeholder.", "idx": 10, "answers": [{"text": "Bo"}, {"text": "Bo"}]},
    ],
}


@pytest.mark.parametrize("label", [True, 1])
def test_wic_asks_about_the_word_in_both_sentences(label: Any) -> None:
    (example,) = formats_superglue.wic(Item("f:1", {**WIC, "label": label}))
    context = (
        "You must carry it.\nSound carries.\n"
        "question: Is the word 'carry' used in the same way in the two sentences above?\nanswer:"
    )
    assert example.pairs == ((context, " no"), (context, " yes"))
    assert (example.gold, example.id) == (1, "3")


@pytest.mark.parametrize("changed", ["hub", "superglue"])
def test_wsc_marks_the_pronoun_and_asks_for_the_noun(changed: str) -> None:
    item: dict[str, Any] = dict(WSC)
    if changed == "superglue":
        names = ("span1_text", "span1_index", "span2_text", "span2_index")
        item["target"] = {name: item.pop(name) for name in names}
        item["label"] = False
    (example,) = formats_superglue.wsc(Item("f:1", item))
    context = (
        'Passage: Mr. Moore saw Ann, but "*he*" ran.\n'
        'Question: In the passage above, what does the pronoun "*he*" refer to?\nAnswer:'
    )
    assert example.pairs == ((context, " mr. moore"),)
    assert (example.answers, example.label, example.id) == (
        ("mr. moore",),
        changed == "hub",
        "7",
    )
    # Of a noun that is wrong nobody knows which would be right.
    solved = list(formats_superglue.wsc_solved(Item("f:1", item)))
    assert [one.solved for one in solved] == [f"{context} mr. moore"] * (changed == "hub")


def test_wsc_finds_a_pronoun_whose_number_is_off() -> None:
    """In a few items of the file the number is that of a word beside the pronoun."""
    item = {**WSC, "text": "They might want to use it, but it is late.", "span2_text": "it"}
    for number, expected in ((4, "use *it*, but it is"), (8, "use it, but *it* is")):
        (example,) = formats_superglue.wsc(Item("f:1", {**item, "span2_index": number}))
        assert expected in example.pairs[0][0]


def test_multirc_is_an_example_an_answer_and_in_prompts_a_question() -> None:
    examples = list(formats_superglue.multirc(Item("f:1", MULTIRC)))
    assert examples[0].pairs == (
        ("Ann ran.\n\nWho ran?\n", "- [True] Ann"),
        ("Ann ran.\n\nWho ran?\n", "- [False] Ann"),
    )
    assert [one.gold for one in examples] == [0, 1, 1]
    assert [one.part for one in examples] == [0, 1, 0]
    solved = list(formats_superglue.multirc_solved(Item("f:1", MULTIRC)))
    assert [one.solved for one in solved] == [
        "Ann ran.\n\nWho ran?\n- [True] Ann\n- [False] a dog",
        "Ann ran.\n\nWhy?\n- [False] to eat",
    ]
    # A question never stands in the prompt of one of its own answers.
    assert solved[0].about == examples[0].about == examples[1].about != examples[2].about


def test_multirc_of_the_hubs_has_a_row_an_answer_and_groups_them() -> None:
    rows = [
        {"paragraph": "Ann ran.", "question": one["question"], "answer": answer["text"]}
        | {"idx": {"paragraph": 2, "question": one["idx"], "answer": answer["idx"]}}
        | {"label": answer["label"]}
        for one in QUESTIONS
        for answer in one["answers"]  # type: ignore[attr-defined]
    ]
    found = [one for row in rows for one in formats_superglue.multirc(Item("f:1", row))]
    whole = list(formats_superglue.multirc(Item("f:1", MULTIRC)))
    assert [(one.pairs, one.gold) for one in found] == [(one.pairs, one.gold) for one in whole]
    assert [one.group for one in found] == ["2.4", "2.4", "2.5"]
    assert {one.part for one in found} == {None}
    (solved,) = formats_superglue.multirc_solved(Item("f:1", rows[1]))
    assert solved.solved == "Ann ran.\n\nWho ran?\n- [False] a dog"


def test_record_fills_each_entity_in_behind_the_highlights() -> None:
    first, second = formats_superglue.record(Item("f:1", RECORD))
    context = '(CNN) Ann met Bo.\n- Ann won.\n- Bo "lost".\n'
    assert first.options == ("Ann", "Bo")  # one of each name
    assert first.pairs == ((context, "- Ann (Ann's) won."), (context, "- Bo (Bo's) won."))
    assert [(one.gold, one.answers, one.id) for one in (first, second)] == [
        (0, ("Ann",), "9"),
        (1, ("Bo",), "10"),
    ]
    hub = {"passage": NEWS, "query": "Sad @placeholder.", "entities": ["Ann", "Bo"]}
    (third,) = formats_superglue.record(
        Item("f:1", {**hub, "answers": ["Bo"], "idx": {"query": 1}})
    )
    assert (third.pairs, third.gold, third.own) == (second.pairs, 1, "")


def without(name: str, item: dict[str, Any]) -> dict[str, Any]:
    return {other: value for other, value in item.items() if other != name}


@pytest.mark.parametrize(
    ("parse", "item", "named", "where"),
    [
        (formats_superglue.wic, WIC, "no field 'label'", "f:7"),
        (formats_superglue.wic, {**WIC, "label": "yes"}, "neither true nor false", "f:7"),
        (formats_superglue.wic, without("word", WIC), "no field 'word'", "f:7"),
        (formats_superglue.wsc, without("span2_index", WSC), "no field 'span2_index'", "f:7"),
        (formats_superglue.wsc, {**WSC, "target": {}}, "no field 'target.span1_text'", "f:7"),
        (formats_superglue.wsc, {**WSC, "span2_text": "she"}, "not the pronoun 'she'", "f:7"),
        (formats_superglue.wsc, {**WSC, "span2_index": 0}, "word 0 of the text", "f:7"),
        (
            formats_superglue.multirc,
            {"passage": {"text": "T.", "questions": [{"question": "Q", "answers": []}]}},
            "'answers' is no list with anything in it",
            "f:7, passage.questions 1",
        ),
        (
            formats_superglue.multirc,
            {
                "passage": {
                    "text": "T.",
                    "questions": [{"question": "Q", "answers": [{"text": "a"}]}],
                }
            },
            "no field 'label'",
            "f:7, passage.questions 1, answers 1",
        ),
        (
            formats_superglue.multirc,
            {"paragraph": "P", "question": "Q", "answer": "a", "label": 1},
            "no field 'idx.paragraph'",
            "f:7",
        ),
        (
            formats_superglue.record,
            {**RECORD, "qas": [{"query": "x", "answers": [{"text": "Ann"}]}]},
            "no @placeholder",
            "f:7, qas 1",
        ),
        (
            formats_superglue.record,
            {**RECORD, "qas": [{"query": "@placeholder", "answers": [{"text": "Cy"}]}]},
            "no answer is among the entities",
            "f:7, qas 1",
        ),
        (
            formats_superglue.record,
            {**RECORD, "passage": {"text": "Ann", "entities": [{"start": 0, "end": 3}]}},
            "not in the passage",
            "f:7, passage.entities 1",
        ),
    ],
)
def test_item_that_is_not_of_the_task_is_refused_with_its_place(
    parse: Parse, item: dict[str, Any], named: str, where: str
) -> None:
    with pytest.raises(InputError, match=named) as caught:
        list(parse(Item("f:7", item)))
    assert caught.value.where == where

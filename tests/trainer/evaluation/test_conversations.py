"""CoQA and QuAC as examples: each turn with those before it, in every layout."""

from __future__ import annotations

from typing import Any

import pytest

from corpus.errors import InputError
from corpus.trainer.evaluation import conversations
from corpus.trainer.evaluation.items import Item

QUESTIONS = ["What colour?", "Is it old?"]
COQA = {
    "id": "c1",
    "story": "It is blue. ",
    "questions": [{"input_text": text, "turn_id": n} for n, text in enumerate(QUESTIONS, 1)],
    "answers": [{"input_text": "blue", "turn_id": 1}, {"input_text": "yes", "turn_id": 2}],
    "additional_answers": {
        "0": [{"input_text": "Blue"}, {"input_text": "yes"}],
        "1": [{"input_text": "it is blue"}, {"input_text": "unknown"}],
    },
}
STORY = "It is blue.\n\nQ: What colour?\n\nA:"
SECOND = f"{STORY} blue\n\nQ: Is it old?\n\nA:"
QAS = [
    {
        "id": "C1_q#0",
        "question": "Born?",
        "orig_answer": {"text": "in 1960"},
        "answers": [{"text": "in 1960"}, {"text": "1960"}],
    },
    {
        "id": "C1_q#1",
        "question": "Died?",
        "orig_answer": {"text": "CANNOTANSWER"},
        "answers": [{"text": "CANNOTANSWER"}],
    },
]
QUAC = {
    "title": "Ann",
    "section_title": "Life",
    "background": "b",
    "paragraphs": [{"id": "C1", "context": "Born in 1960. CANNOTANSWER", "qas": QAS}],
}
ROW: dict[str, Any] = {
    "dialogue_id": "C1",
    "wikipedia_page_title": "Ann",
    "section_title": "Life",
    "context": "Born in 1960. CANNOTANSWER",
    "questions": ["Born?", "Died?"],
    "answers": {"texts": [["in 1960", "1960"], ["CANNOTANSWER"]]},
    "orig_answers": {"texts": ["in 1960", "CANNOTANSWER"]},
}
SECTION = "TITLE: Ann - Life\nPARAGRAPH: Born in 1960.\n\nQ: Born?\n\nA:"


def test_coqa_turn_comes_with_those_before_it_and_their_answers() -> None:
    first, second = conversations.coqa(Item("f", {"version": "1.0", "data": [COQA]}))
    assert first.pairs == ((STORY, " blue"),)
    assert second.pairs == ((SECOND, " yes"),)
    assert second.answers == ("yes", "yes", "unknown")  # of each person, also where they agree
    assert [(one.id, one.listed) for one in (first, second)] == [("c1#0", "c1"), ("c1#1", "c1")]


def test_whole_conversation_stands_in_a_prompt_and_never_in_its_own() -> None:
    (solved,) = conversations.coqa_solved(Item("f", {"data": [COQA]}))
    assert solved.solved == f"{SECOND} yes"
    turns = list(conversations.coqa(Item("f", {"data": [COQA]})))
    assert {one.about for one in turns} == {solved.about}


@pytest.mark.parametrize("nobody", [None, {}, {"0": {"input_text": []}}, {"0": []}])
def test_coqa_of_the_hubs_becomes_the_same_prompts(nobody: Any) -> None:
    answers = {"input_text": ["blue", "yes"], "answer_start": [0, 0]}
    row = {"story": "It is blue.", "answers": answers, "additional_answers": nobody}
    whole = [one.pairs for one in conversations.coqa(Item("f", COQA))]
    for questions in (QUESTIONS, {"input_text": QUESTIONS, "turn_id": [1, 2]}):
        found = list(conversations.coqa(Item("f", {**row, "questions": questions})))
        assert [one.pairs for one in found] == whole
        assert [one.answers for one in found] == [("blue",), ("yes",)]
        assert [(one.own, one.part) for one in found] == [("", 0), ("", 1)]


def test_quac_turn_comes_with_title_section_and_those_before_it() -> None:
    first, second = conversations.quac(Item("f", {"data": [QUAC]}))
    assert first.pairs == ((SECTION, " in 1960"),)
    assert first.answers == ("in 1960", "1960")
    assert second.pairs == ((f"{SECTION} in 1960\n\nQ: Died?\n\nA:", " CANNOTANSWER"),)
    assert [(one.id, one.part, one.group) for one in (first, second)] == [
        ("C1_q#0", None, "C1"),
        ("C1_q#1", None, "C1"),
    ]
    (solved,) = conversations.quac_solved(Item("f", {"data": [QUAC]}))
    assert solved.solved == second.solved
    found = list(conversations.quac(Item("f", ROW)))
    assert [(one.pairs, one.answers) for one in found] == [
        (one.pairs, one.answers) for one in (first, second)
    ]
    assert [(one.id, one.listed) for one in found] == [("C1#0", "C1"), ("C1#1", "C1")]


@pytest.mark.parametrize(
    ("parse", "item", "named", "where"),
    [
        (conversations.coqa, {**COQA, "answers": COQA["answers"][:1]}, "have 1 answers", "f:7"),  # type: ignore[index]
        (conversations.coqa, {**COQA, "additional_answers": [1]}, "no map of people", "f:7"),
        (conversations.coqa, {**COQA, "story": ""}, "'story' has no text", "f:7"),
        (
            conversations.coqa,
            {"data": [COQA, {**COQA, "questions": [{"turn_id": 1}]}]},
            "no field 'input_text'",
            "f:7, data 2, questions 1",
        ),
        (
            conversations.quac,
            {**QUAC, "paragraphs": [{"context": "c", "qas": [{**QAS[0], "orig_answer": None}]}]},
            "no field 'orig_answer.text'",
            "f:7, paragraphs 1, qas 1",
        ),
        (conversations.quac, {**ROW, "questions": ["Born?"]}, "not of one length", "f:7"),
        (conversations.quac, {"paragraphs": []}, "no field 'title'", "f:7"),
    ],
)
def test_item_that_is_not_of_the_task_is_refused_with_its_place(
    parse: Any, item: dict[str, Any], named: str, where: str
) -> None:
    with pytest.raises(InputError, match=named) as caught:
        list(parse(Item("f:7", item)))
    assert caught.value.where == where

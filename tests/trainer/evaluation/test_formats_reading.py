"""SQuAD and DROP as examples: the authors' layout and the hubs', and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from corpus.errors import InputError
from corpus.trainer.evaluation import formats_reading
from corpus.trainer.evaluation.example import Example
from corpus.trainer.evaluation.items import Item

Parse = Callable[[Item], Iterator[Example]]
FIRST = "f:7, data 1, paragraphs 1, qas"
NO_DATE = {"day": "", "month": "", "year": ""}


def squad(*, is_impossible: bool) -> dict[str, Any]:
    answers = [{"text": "4,000", "answer_start": 0}, {"text": "4,000"}, {"text": "four"}]
    qas = [{"id": "q1", "question": " How many? ", "answers": answers}]
    if is_impossible:
        qas.append({"id": "q2", "question": "Who?", "answers": [], "is_impossible": True})  # type: ignore[dict-item]
    paragraphs = [{"context": "It flew 4,000. ", "qas": qas}]
    return {"version": "v2.0", "data": [{"title": "The_Blitz", "paragraphs": paragraphs}]}


def drop(answer: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"passage": "They won 3. ", "question": "How many?", "query_id": "d1"} | {
        "answer": {"number": "", "date": NO_DATE, "spans": [], **answer},
        **more,
    }


def test_squad_of_the_authors_becomes_a_prompt_a_question() -> None:
    first, second = formats_reading.squad2(Item("f", squad(is_impossible=True)))
    begin = "Title: The Blitz\n\nBackground: It flew 4,000.\n\n"
    assert first.pairs == ((f"{begin}Q: How many?\n\nA:", " 4,000"),)
    assert (first.answers, first.id) == (("4,000", "four"), "q1")
    assert second.solved == f"{begin}Q: Who?\n\nA: unanswerable"
    assert list(formats_reading.squad(Item("f", squad(is_impossible=False)))) == [first]


@pytest.mark.parametrize("texts", [["4,000", "four"], []])
def test_squad_of_the_hubs_becomes_the_same_prompt(texts: list[str]) -> None:
    row = {"id": "q1", "title": "The Blitz", "context": "It flew 4,000.", "question": "How many?"}
    answers = {"text": texts, "answer_start": [0] * len(texts)}
    (example,) = formats_reading.squad2(Item("f", {**row, "answers": answers}))
    (first, _) = formats_reading.squad2(Item("f", squad(is_impossible=True)))
    assert example.pairs[0][0] == first.pairs[0][0]
    assert example.answers == (tuple(texts) or ("unanswerable",))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"number": "3"}, ("3",)),
        ({"number": 3}, ("3",)),
        ({"spans": ["Ann", "Bo"]}, ("Ann", "Bo")),
        ({"date": {"day": "7", "month": "March", "year": "1941"}}, ("7 March 1941",)),
        ({"date": {"day": "", "month": "March", "year": ""}}, ("March",)),
    ],
)
def test_drop_answer_is_a_number_spans_or_a_date(
    answer: dict[str, Any], expected: tuple[str, ...]
) -> None:
    (example,) = formats_reading.drop(Item("f", drop(answer)))
    context = "Passage: They won 3.\nQuestion: How many?\nAnswer:"
    assert example.pairs == ((context, f" {', '.join(expected)}"),)
    assert (example.lists, example.id) == ((expected,), "d1")


def test_drop_of_the_authors_and_of_the_hubs_have_the_same_further_answers() -> None:
    more = [
        {"number": "", "date": NO_DATE, "spans": ["three"]},
        {"number": "3", "date": NO_DATE, "spans": []},
        {"number": "", "date": NO_DATE, "spans": []},
    ]
    question = drop({"number": "3"})
    pair = {name: question[name] for name in ("question", "query_id", "answer")}
    whole = {
        "nfl_1": {"passage": "They won 3.", "qa_pairs": [{**pair, "validated_answers": more}]},
        "nfl_2": {"passage": "They lost.", "qa_pairs": [{**pair, "query_id": "d2"}]},
    }
    first, second = formats_reading.drop(Item("f", whole))
    assert first.lists == (("3",), ("three",))
    assert (first.id, second.id) == ("d1", "d2")
    columns = {name: [one[name] for one in more] for name in ("number", "date", "spans")}
    row = {**question, "section_id": "nfl_1", "validated_answers": columns}
    (hub,) = formats_reading.drop(Item("f", row))
    assert (hub.pairs, hub.lists) == (first.pairs, first.lists)


@pytest.mark.parametrize(
    ("parse", "item", "named", "where"),
    [
        (formats_reading.squad, squad(is_impossible=True), "squadv2", f"{FIRST} 2"),
        (formats_reading.squad2, {"context": "c", "question": "q"}, "'answers.text'", "f:7"),
        (formats_reading.squad2, {"data": []}, "'data' is no list", "f:7"),
        (
            formats_reading.squad2,
            json.loads(json.dumps(squad(is_impossible=True)).replace('"question"', '"asked"')),
            "no field 'question'",
            f"{FIRST} 1",
        ),
        (formats_reading.drop, drop({}), "neither number, spans nor date", "f:7"),
        (formats_reading.drop, drop({"date": {"day": "1"}}), "no field 'date.month'", "f:7"),
        (
            formats_reading.drop,
            {"n1": {"passage": "P.", "qa_pairs": [{"question": "Q?"}]}},
            "no field 'answer'",
            "f:7, n1, qa_pairs 1",
        ),
        (
            formats_reading.drop,
            {"passage": "P", "question": "Q", "answers_spans": {"spans": ["a"], "types": ["span"]}},
            "this copy of DROP",
            "f:7",
        ),
        (
            formats_reading.drop,
            drop({"number": "3"}, validated_answers={"number": ["3"]}),
            "no lists of number, date and spans",
            "f:7",
        ),
    ],
)
def test_item_that_is_not_of_the_task_is_refused_with_its_place(
    parse: Parse, item: dict[str, Any], named: str, where: str
) -> None:
    with pytest.raises(InputError, match=named) as caught:
        list(parse(Item("f:7", item)))
    assert caught.value.where == where

"""Questions about a passage whose answer is written: SQuAD and DROP.

In: an item of a file as its authors publish it (one JSON document with all passages), or as the
public hubs do (a row a question). Out: examples, prompt and all, by GPT-3's Appendix G.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from corpus.trainer.evaluation.example import Example, writing
from corpus.trainer.evaluation.items import Item
from corpus.trainer.evaluation.marks import NO_ANSWER, SPANS


def squad(item: Item) -> Iterator[Example]:
    """Figure G.28, a question at a time: title, background, question."""
    return _squad(item, with_none=False)


def squad2(item: Item) -> Iterator[Example]:
    """Return the same of SQuAD 2.0, where a question may have no answer."""
    return _squad(item, with_none=True)


def _squad(item: Item, *, with_none: bool) -> Iterator[Example]:
    if not item.has("data"):
        answers = item.get("answers.text")
        if not isinstance(answers, list):
            raise item.wrong("the field 'answers.text' is no list")
        texts = item.texts("answers.text") if answers else ()
        yield _about_background(item, item.text("title"), item.text("context"), texts, with_none)
        return
    for article in item.each("data"):
        title = article.text("title")
        for paragraph in article.each("paragraphs"):
            context = paragraph.text("context")
            for one in paragraph.each("qas"):
                has_answer = one.has("answers") and one.get("answers") != []
                texts = tuple(a.text("text") for a in one.each("answers")) if has_answer else ()
                yield _about_background(one, title, context, texts, with_none)


def _about_background(
    item: Item, title: str, context: str, answers: tuple[str, ...], with_none: bool
) -> Example:
    if not answers and not with_none:
        raise item.wrong(
            "the question has no answer", "In SQuAD 2.0 there are such: its task is squadv2"
        )
    asked = (
        f"Title: {title.replace('_', ' ')}\n\nBackground: {context.strip()}\n\n"
        f"Q: {item.text('question').strip()}\n\nA:"
    )
    return writing(asked, tuple(dict.fromkeys(answers)) or (NO_ANSWER,), item.name("id"))


def drop(item: Item) -> Iterator[Example]:
    """Figure G.20: passage, question; the answer is a number, a date, or spans."""
    if item.has("answers_spans"):
        raise item.wrong(
            "this copy of DROP has several people's answers in one list with the spans of one",
            "They cannot be told apart; the authors' JSON and copies with 'answer' and "
            "'validated_answers' keep them apart",
        )
    if item.has("qa_pairs") or item.has("question"):
        yield from _of_passage(item)
        return
    if not isinstance(item.value, dict):
        raise item.wrong("the item is no map of passages")
    for name, value in item.value.items():
        yield from _of_passage(Item(f"{item.where}, {name}", value))


def _of_passage(item: Item) -> Iterator[Example]:
    passage = item.text("passage").strip()
    for one in item.each("qa_pairs") if item.has("qa_pairs") else [item]:
        lists = [_spans(Item(one.where, one.get("answer")))]
        if one.has("validated_answers"):
            lists += [_spans(answer) for answer in _validated(one)]
        lists = [spans for spans in lists if spans]
        if not lists:
            raise one.wrong("the field 'answer' has neither number, spans nor date")
        context = f"Passage: {passage}\nQuestion: {one.text('question').strip()}\nAnswer:"
        example = writing(context, (SPANS.join(lists[0]),), one.name("query_id"))
        yield replace(example, lists=tuple(dict.fromkeys(lists)))


def _validated(item: Item) -> list[Item]:
    """Return the further answers: a list of maps, or, on the hubs, a map of lists."""
    found = item.get("validated_answers")
    if not isinstance(found, dict):
        return list(item.each("validated_answers")) if found else []
    names = ("number", "date", "spans")
    if not all(isinstance(found.get(name), list) for name in names):
        raise item.wrong("the field 'validated_answers' has no lists of number, date and spans")
    rows = zip(*(found[name] for name in names), strict=False)
    return [Item(item.where, dict(zip(names, row, strict=True))) for row in rows]


def _spans(answer: Item) -> tuple[str, ...]:
    """Return an answer as the authors' script reads it; empty where it has none."""
    number = answer.get("number") if answer.has("number") else ""
    if str(number).strip():
        return (str(number),)
    if answer.has("spans") and answer.get("spans"):
        return answer.texts("spans")
    parts = (answer.get(f"date.{name}") for name in ("day", "month", "year"))
    date = " ".join(str(part) for part in parts) if answer.has("date") else ""
    return (" ".join(date.split()),) if date.strip() else ()

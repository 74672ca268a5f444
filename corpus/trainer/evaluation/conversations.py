"""Conversations about a passage, whose answers are written: CoQA and QuAC.

In: an item of a file as its authors publish it (one JSON document with all passages), or as the
public hubs do (a row a conversation). Out: examples, prompt and all, by GPT-3's Appendix G.

A turn comes with those before it and their answers. In a prompt a whole conversation is one
example.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from corpus.trainer.evaluation.answers import CANNOT_ANSWER
from corpus.trainer.evaluation.example import Example, writing
from corpus.trainer.evaluation.items import Item

# What the hubs have of further people where there are none, as in CoQA's training set.
_NOBODY: tuple[Any, ...] = ([], {}, {"input_text": []})


@dataclass(frozen=True, slots=True)
class Turn:
    """A question of a conversation.

    Attributes:
        question: The question.
        answer: What the turns after it are told.
        accepted: Every person's answer.
        own: Its own identifier; "" where only the conversation has one.
    """

    question: str
    answer: str
    accepted: tuple[str, ...]
    own: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A passage, and the questions about it in their order.

    Attributes:
        passage: The passage with its title, as it is shown.
        turns: The questions.
        own: Its identifier; "" for none.
    """

    passage: str
    turns: tuple[Turn, ...]
    own: str

    def examples(self) -> Iterator[Example]:
        """Yield an example a turn."""
        said = f"{self.passage}\n\n"
        for number, turn in enumerate(self.turns):
            said += f"Q: {turn.question.strip()}\n\nA:"
            example = writing(said, turn.accepted, turn.own or self.own)
            example = replace(example, about=self.passage)
            yield (replace(example, group=self.own) if turn.own else replace(example, part=number))
            said += f" {turn.answer.strip()}\n\n"

    def solved(self) -> Example:
        """Return all of it as one example."""
        *_, last = self.examples()
        completion = f" {self.turns[-1].answer.strip()}"
        return Example(((last.pairs[0][0], completion),), own=self.own, about=self.passage)


def coqa(item: Item) -> Iterator[Example]:
    """Figure G.18: a story and the turns so far."""
    return _each(item, _coqa, Conversation.examples)


def coqa_solved(item: Item) -> Iterator[Example]:
    """Return whole conversations, for prompts."""
    return _each(item, _coqa, lambda one: iter((one.solved(),)))


def quac(item: Item) -> Iterator[Example]:
    """Figure G.25: title, section and paragraph, and the turns so far."""
    return _each(item, _quac, Conversation.examples)


def quac_solved(item: Item) -> Iterator[Example]:
    """Return whole conversations, for prompts."""
    return _each(item, _quac, lambda one: iter((one.solved(),)))


def _each(
    item: Item,
    read: Callable[[Item], Iterator[Conversation]],
    examples: Callable[[Conversation], Iterator[Example]],
) -> Iterator[Example]:
    for one in item.each("data") if item.has("data") else [item]:
        for conversation in read(one):
            yield from examples(conversation)


def _coqa(item: Item) -> Iterator[Conversation]:
    questions, answers = _inputs(item, "questions"), _inputs(item, "answers")
    # Every question has been answered by some further people, numbered from 0.
    more = item.get("additional_answers") if item.has("additional_answers") else {}
    if not isinstance(more, dict):
        raise item.wrong("the field 'additional_answers' is no map of people")
    paths = [f"additional_answers.{name}" for name in sorted(more)]
    others = [_inputs(item, path) for path in paths if item.get(path) not in _NOBODY]
    for one in (answers, *others):
        if len(one) != len(questions):
            raise item.wrong(f"{len(questions)} questions have {len(one)} answers")
    people = zip(answers, *others, strict=True)
    turns = (Turn(q, own[0], tuple(own)) for q, own in zip(questions, people, strict=True))
    yield Conversation(item.text("story").strip(), tuple(turns), item.name("id"))


def _inputs(item: Item, path: str) -> tuple[str, ...]:
    """Return texts that are a list, a map with a list, or a list of maps."""
    if item.has(f"{path}.input_text"):
        return item.texts(f"{path}.input_text")
    found = item.get(path)
    if isinstance(found, list) and all(isinstance(one, str) for one in found):
        return item.texts(path)
    return Item(
        item.where, {"input_text": [one.get("input_text") for one in item.each(path)]}
    ).texts("input_text")


def _quac(item: Item) -> Iterator[Conversation]:
    if not item.has("paragraphs"):  # the hubs: a row a conversation
        questions, told = item.texts("questions"), item.texts("orig_answers.texts")
        accepted = [Item(one.where, {"texts": one.value}) for one in item.each("answers.texts")]
        if not len(questions) == len(told) == len(accepted):
            raise item.wrong("questions, answers and orig_answers are not of one length")
        turns = tuple(
            Turn(question, answer, every.texts("texts"))
            for question, answer, every in zip(questions, told, accepted, strict=True)
        )
        title = f"{item.text('wikipedia_page_title')} - {item.text('section_title')}"
        passage = _paragraph(title, item.text("context"))
        yield Conversation(passage, turns, item.name("dialogue_id"))
        return
    title = f"{item.text('title')} - {item.text('section_title')}"
    for paragraph in item.each("paragraphs"):
        turns = tuple(
            Turn(
                one.text("question"),
                one.text("orig_answer.text"),
                tuple(answer.text("text") for answer in one.each("answers")),
                one.name("id"),
            )
            for one in paragraph.each("qas")
        )
        passage = _paragraph(title, paragraph.text("context"))
        yield Conversation(passage, turns, paragraph.name("id"))


def _paragraph(title: str, context: str) -> str:
    # The files end each section in the word for "no answer", for models that choose a span.
    return f"TITLE: {title}\nPARAGRAPH: {context.strip().removesuffix(CANNOT_ANSWER).strip()}"

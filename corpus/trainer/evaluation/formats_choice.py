"""Public files of tasks with choices, as examples: GPT-3, Appendix G.

In: an item of a file as its authors, or the public hubs, publish it. Out: examples, prompt and all.
Which layout an item has is told by its fields; an item with none of them is refused. ARC,
OpenBookQA, BoolQ and Winogrande are also read in the instruction form of LLM-Adapters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from corpus.trainer.evaluation.example import Example, choosing
from corpus.trainer.evaluation.items import Item

LETTERS = ("A", "B", "C", "D", "E")
_MOST_OFF = 3
_POSSESSIVE = ("my", "his", "her", "our", "their")
_DETERMINERS = ("A", "An", "The", "She", "He", "It", "They", "My", "His", "Her", "Their")
_QUESTION = re.compile(
    r"Please choose the correct answer to the question: (?P<stem>.*?)\s*\n+"
    r"(?P<options>Answer1: .*?)\s*\n+Answer format",
    re.DOTALL,
)
_SENTENCE = re.compile(
    r"Please choose the correct answer to fill in the blank to complete the given sentence: "
    r"(?P<stem>.*?)\s*\n+(?P<options>Option1: .*?)\s*Answer format",
    re.DOTALL,
)
_TRUE_OR_FALSE = re.compile(
    r"Please answer the following question with true or false, question: (?P<stem>.*?)\s*\n+"
    r"Answer format",
    re.DOTALL,
)


def _question(item: Item) -> tuple[str, tuple[str, ...], int, str]:
    """Return the stem, the options, the right one and the id of an item of ARC or OpenBookQA."""
    if item.has("instruction"):
        stem, options, gold = _instruction(item, _QUESTION, "answer")
        return stem, options, gold, ""
    if item.has("question.stem"):
        stem, given = item.text("question.stem"), item.get("question.choices")
        if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            raise item.wrong("the field 'question.choices' is no list of maps")
        inner = [Item(item.where, one) for one in given]
        options = tuple(one.text("text") for one in inner)
        labels = tuple(one.text("label") for one in inner)
    else:
        stem = item.text("question" if item.has("question") else "question_stem")
        options, labels = item.texts("choices.text"), item.texts("choices.label")
    return stem, options, item.one_of("answerKey", labels), item.name("id")


def _instruction(
    item: Item, pattern: re.Pattern[str], word: str
) -> tuple[str, tuple[str, ...], int]:
    """Return the stem, the options and the right one of an item in instruction form."""
    found = pattern.match(item.text("instruction"))
    if found is None:
        raise item.wrong("the field 'instruction' is not of the form that LLM-Adapters gives it")
    parts = re.split(rf"\s*\b{word.capitalize()}(\d): ", " " + found["options"])
    options = tuple(part.strip() for part in parts[2::2])
    if [int(number) for number in parts[1::2]] != list(range(1, len(options) + 1)):
        raise item.wrong("the options in the field 'instruction' are not numbered from 1")
    names = tuple(f"{word}{number}" for number in range(1, len(options) + 1))
    return found["stem"], options, item.one_of("answer", names)


def arc(item: Item) -> Iterator[Example]:
    """Figures G.11 and G.16."""
    stem, options, gold, own = _question(item)
    yield choosing(f"Question: {stem}\nAnswer:", options, gold, own)


def openbookqa(item: Item) -> Iterator[Example]:
    """Figure G.8: the question alone."""
    stem, options, gold, own = _question(item)
    yield choosing(stem, options, gold, own)


def piqa(item: Item) -> Iterator[Example]:
    """Figure G.4: the goal, then a solution."""
    options = (item.text("sol1").strip(), item.text("sol2").strip())
    gold = item.number("label")
    if gold not in (0, 1):
        raise item.wrong("the field 'label' is neither 0 nor 1", f"It is {gold}")
    yield choosing(item.text("goal"), options, gold, item.name("id"))


def hellaswag(item: Item) -> Iterator[Example]:
    """Figure G.9: activity and context, then an ending."""
    context = item.text("ctx")
    if item.has("activity_label"):
        context = f"{item.text('activity_label')}: {context}"
    options = tuple(option.strip() for option in item.texts("endings"))
    gold = item.number("label")
    if not 0 <= gold < len(options):
        raise item.wrong(f"there is no ending {gold}")
    yield choosing(context, options, gold, item.name("ind"))


def copa(item: Item) -> Iterator[Example]:
    """Figure G.5: the premise with a conjunction, then an alternative as a subordinate clause."""
    if item.has("asks_for"):  # as its authors publish it: choices from 1
        relation, gold = item.text("asks_for"), item.number("label") - 1
    else:  # SuperGLUE: from 0
        relation, gold = item.text("question"), item.number("label")
    if relation not in ("cause", "effect") or gold not in (0, 1):
        raise item.wrong("neither cause nor effect, or no label of two")
    joint = "because" if relation == "cause" else "so"
    options = tuple(_clause(item.text(name)) for name in ("choice1", "choice2"))
    context = f"{item.text('premise').strip().rstrip('.')} {joint}"
    yield choosing(context, options, gold, item.name("idx", "id"))


def _clause(sentence: str) -> str:
    """Return a sentence as it goes on behind another: "I" stays, other beginnings are small."""
    first = sentence.split(maxsplit=1)[0]
    return (
        sentence if first == "I" or first.startswith("I'") else sentence[0].lower() + sentence[1:]
    )


def storycloze(item: Item) -> Iterator[Example]:
    """Figure G.17: four sentences, then an ending."""
    if item.has("InputSentence1"):
        names = [f"InputSentence{number}" for number in range(1, 5)]
        ends = ("RandomFifthSentenceQuiz1", "RandomFifthSentenceQuiz2")
        answer, own = "AnswerRightEnding", item.name("InputStoryid")
    else:
        names = [f"input_sentence_{number}" for number in range(1, 5)]
        ends, answer = ("sentence_quiz1", "sentence_quiz2"), "answer_right_ending"
        own = item.name("story_id")
    gold = item.number(answer) - 1
    if gold not in (0, 1):
        raise item.wrong(f"the field {answer!r} is neither 1 nor 2")
    context = " ".join(item.text(name).strip() for name in names)
    yield choosing(context, tuple(item.text(name).strip() for name in ends), gold, own)


def race(item: Item) -> Iterator[Example]:
    """Figures G.1 and G.3, a question at a time: article, question, answers."""
    article = item.text("article").strip()
    if item.has("questions"):  # a file an article, as its authors publish it
        questions, answers = item.texts("questions"), item.texts("answers")
        options = item.get("options")
        if not isinstance(options, list) or not len(questions) == len(answers) == len(options):
            raise item.wrong("questions, options and answers are not of one length")
        rows = list(zip(questions, options, answers, strict=True))
    else:
        rows = [(item.text("question"), item.get("options"), item.text("answer"))]
    for question, given, answer in rows:
        one = Item(item.where, {"options": given, "answer": answer})
        choices = one.texts("options")
        gold = one.one_of("answer", LETTERS[: len(choices)])
        context = f"Article:\n{article}\n\nQ: {question.strip()}\n\nA:"
        yield choosing(context, choices, gold, item.name("id", "example_id"))


def boolq(item: Item) -> Iterator[Example]:
    """Figure G.29: passage, question, yes or no."""
    answer = item.get("answer" if item.has("answer") else "label")
    if answer not in (True, False, 0, 1):
        raise item.wrong("the answer is neither true nor false", f"It is {answer!r}")
    title = f"{item.text('title')} -- " if item.has("title") else ""
    context = f"{title}{item.text('passage')}\nquestion: {item.text('question')}?\nanswer:"
    yield choosing(context, ("no", "yes"), int(answer), item.name("idx"))


def boolq_without_passage(item: Item) -> Iterator[Example]:
    """The questions of BoolQ alone, in instruction form: no task of the paper."""
    found = _TRUE_OR_FALSE.match(item.text("instruction"))
    if found is None:
        raise item.wrong("the field 'instruction' is not of the form that LLM-Adapters gives it")
    question = found["stem"].rstrip("?")
    gold = item.one_of("answer", ("false", "true"))
    yield choosing(f"question: {question}?\nanswer:", ("no", "yes"), gold)


def cb(item: Item) -> Iterator[Example]:
    """Figure G.30: premise, hypothesis, true, false or neither."""
    gold = _label(item, ("entailment", "contradiction", "neutral"))
    context = (
        f"{item.text('premise')}\nquestion: {item.text('hypothesis')} true, false, or neither?"
        "\nanswer:"
    )
    yield choosing(context, ("true", "false", "neither"), gold, item.name("idx"))


def rte(item: Item) -> Iterator[Example]:
    """Figure G.31: premise, hypothesis, True or False."""
    gold = _label(item, ("entailment", "not_entailment"))
    context = f"{item.text('premise')}\nquestion: {item.text('hypothesis')} True or False?\nanswer:"
    yield choosing(context, ("True", "False"), gold, item.name("idx"))


def anli(item: Item) -> Iterator[Example]:
    """Figures G.2, G.7 and G.10: premise, hypothesis, True, Neither or False."""
    premise = item.text("context" if item.has("context") else "premise")
    label = {"e": "0", "n": "1", "c": "2"}.get(str(item.get("label")), str(item.get("label")))
    gold = Item(item.where, {"label": label}).one_of("label", ("0", "1", "2"))
    context = f"{premise}\nQuestion: {item.text('hypothesis')} True, False, or Neither?"
    yield choosing(context, ("True", "Neither", "False"), gold, item.name("uid"))


def _label(item: Item, names: tuple[str, ...]) -> int:
    """Return a label that is written as a name, or as its number."""
    found = item.get("label")
    if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < len(names):
        return found
    return item.one_of("label", names)


def winogrande(item: Item) -> Iterator[Example]:
    """Figure G.14, partial scoring: what is behind the blank, after each of the two fillings."""
    if item.has("instruction"):
        sentence, options, gold = _instruction(item, _SENTENCE, "option")
        own = ""
    else:
        sentence, own = item.text("sentence"), item.name("qID")
        options = (item.text("option1"), item.text("option2"))
        gold = item.one_of("answer", ("1", "2"))
    before, blank, after = sentence.partition("_")
    if not blank or not after.strip():
        raise item.wrong("there is no blank with text behind it in the sentence", repr(sentence))
    yield Example(tuple((before + option, after) for option in options), gold, own=own)


def winograd(item: Item) -> Iterator[Example]:
    """Figure G.13, partial scoring: what is behind the pronoun, after each noun in its place."""
    text, pronoun, options = item.text("text"), item.text("pronoun"), item.texts("options")
    start = item.number("pronoun_loc")
    # Copies differ in white space, so that the place may be that of a neighbouring character.
    found = re.finditer(rf"\b{re.escape(pronoun)}\b", text)
    place = min(found, key=lambda one: abs(one.start() - start), default=None)
    if place is None or abs(place.start() - start) > _MOST_OFF or not text[place.end() :].strip():
        raise item.wrong(f"the pronoun {pronoun!r} with text behind it is not at {start}")
    before = re.sub(" +", " ", text[: place.start()])
    after = re.sub(" +", " ", text[place.end() :])
    gold = item.number("label")
    if not 0 <= gold < len(options):
        raise item.wrong(f"there is no option {gold}")
    begins = not before.strip() or before.rstrip().endswith((".", "!", "?"))
    nouns = (_in_place(option, pronoun, begins=begins) for option in options)
    yield Example(tuple((before + noun, after) for noun in nouns), gold)


def _in_place(option: str, pronoun: str, *, begins: bool) -> str:
    """Return a noun as it stands for a pronoun: "The fox" in a sentence, "the fox's" for "his"."""
    first, *rest = option.split(" ")
    if not begins and first in _DETERMINERS:
        first = first.lower()
    noun = " ".join((first, *rest))
    return f"{noun}'s" if pronoun.lower() in _POSSESSIVE and not noun.endswith("'s") else noun

"""SuperGLUE's tasks that are no plain choice, as examples: WiC, WSC, MultiRC, ReCoRD.

In: an item of a file as SuperGLUE publishes it (a passage with its questions), or as the public
hubs do (a row for each question, or each answer of one). Out: examples, prompt and all, by GPT-3's
Appendix G.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from dataclasses import replace

from corpus.trainer.evaluation.example import Example, choosing, writing
from corpus.trainer.evaluation.items import Item

WSC_INSTRUCTION = (
    "Final Exam with Answer Key\n"
    "Instructions: Please carefully read the following passages. For each passage, you must "
    "identify which noun the pronoun marked in *bold* refers to.\n=====\n"
)
MULTIRC_INSTRUCTION = "READING COMPREHENSION ANSWER KEY\n\n"

_PLACEHOLDER = "@placeholder"
_HIGHLIGHT = re.compile(r"\s*\n@highlight\n\s*")
# Words by which the number of a pronoun in WSC may be wrong; in a few of its items it is.
_MOST_OFF = 3


def wic(item: Item) -> Iterator[Example]:
    """Figure G.32: two sentences, and whether a word has one meaning in both."""
    word = item.text("word")
    context = (
        f"{item.text('sentence1')}\n{item.text('sentence2')}\n"
        f"question: Is the word '{word}' used in the same way in the two sentences above?\nanswer:"
    )
    yield choosing(context, ("no", "yes"), int(_label(item)), item.name("idx"))


def _label(item: Item) -> bool:
    """Return a label that is true or false, or 1 or 0."""
    found = item.get("label")
    if found not in (True, False, 0, 1):
        raise item.wrong("the field 'label' is neither true nor false", f"It is {found!r}")
    return bool(found)


def wsc(item: Item) -> Iterator[Example]:
    """Figure G.33: a passage with a marked pronoun; the noun it refers to is to be written.

    The file has one noun for each passage, right or wrong.
    """
    at = "target." if item.has("target") else ""  # SuperGLUE; the hubs have no "target"
    noun, pronoun = item.text(f"{at}span1_text"), item.text(f"{at}span2_text")
    passage = _marked(item, item.text("text"), pronoun, item.number(f"{at}span2_index"))
    context = (
        f"Passage: {passage}\n"
        f'Question: In the passage above, what does the pronoun "*{pronoun}*" refer to?\nAnswer:'
    )
    example = writing(context, (" ".join(noun.lower().split()),), item.name("idx"))
    yield replace(example, label=_label(item))


def wsc_solved(item: Item) -> Iterator[Example]:
    """Return what can stand in a prompt: of a wrong noun it is not known which would be right."""
    return (one for one in wsc(item) if one.label)


def _marked(item: Item, text: str, pronoun: str, number: int) -> str:
    """Return a text with `*` around its word of a number, or around the nearest that is it."""
    words = list(re.finditer(r"\S+", text.strip()))
    near = sorted(range(len(words)), key=lambda place: (abs(place - number), place))
    for place in near:
        bare = words[place][0].strip(string.punctuation)
        if abs(place - number) <= _MOST_OFF and bare.lower() == pronoun.strip().lower():
            start = words[place].start() + words[place][0].index(bare)
            stripped = text.strip()
            return f"{stripped[:start]}*{bare}*{stripped[start + len(bare) :]}"
    raise item.wrong(f"word {number} of the text is not the pronoun {pronoun!r}", repr(text[:80]))


def multirc(item: Item) -> Iterator[Example]:
    """Figure G.15: passage, question, and whether an answer is true; an example an answer."""
    if item.has("passage"):
        for passage, question in _questions(item):
            for number, answer in enumerate(question.each("answers")):
                yield replace(_statement(answer, passage, question.text("question")), part=number)
        return
    # On the hubs a row is an answer, and says of which question.
    group = f"{item.number('idx.paragraph')}.{item.number('idx.question')}"
    example = _statement(item, item.text("paragraph"), item.text("question"), name="answer")
    yield replace(example, group=group)


def _questions(item: Item) -> Iterator[tuple[str, Item]]:
    passage = item.text("passage.text")
    for question in item.each("passage.questions"):
        yield passage, question


def _statement(item: Item, passage: str, question: str, *, name: str = "text") -> Example:
    context, answer = _asked(passage, question), item.text(name).strip()
    pairs = tuple((context, f"- [{label}] {answer}") for label in ("True", "False"))
    return Example(pairs, gold=0 if _label(item) else 1, about=context)


def _asked(passage: str, question: str) -> str:
    return f"{passage.strip()}\n\n{question.strip()}\n"


def multirc_solved(item: Item) -> Iterator[Example]:
    """Return a question with all of its answers: what K counts.

    The hubs have a row for each answer, so there it is one answer.
    """
    if not item.has("passage"):
        yield from multirc(item)
        return
    for passage, question in _questions(item):
        asked = question.text("question")
        own = [_statement(one, passage, asked) for one in question.each("answers")]
        solved = "\n".join(one.pairs[one.gold][1] for one in own)
        yield Example(((own[0].about, solved),), about=own[0].about)


def record(item: Item) -> Iterator[Example]:
    """Figure G.6: news with its highlights, then a sentence that an entity completes."""
    if item.has("qas"):  # SuperGLUE: a passage with its queries
        text = item.text("passage.text")
        entities = tuple(_span(one, text) for one in item.each("passage.entities"))
        for query in item.each("qas"):
            answers = tuple(one.text("text") for one in query.each("answers"))
            yield _cloze(query, text, query.text("query"), entities, answers, query.name("idx"))
        return
    entities, answers = item.texts("entities"), item.texts("answers")
    yield _cloze(item, item.text("passage"), item.text("query"), entities, answers, "")


def _span(item: Item, text: str) -> str:
    """Return the text between two places, the second one included."""
    start, end = item.number("start"), item.number("end")
    if not 0 <= start <= end < len(text):
        raise item.wrong("the entity is not in the passage", f"It is at {start} to {end}")
    return text[start : end + 1]


def _cloze(
    item: Item,
    text: str,
    query: str,
    entities: tuple[str, ...],
    answers: tuple[str, ...],
    own: str,
) -> Example:
    options = tuple(dict.fromkeys(entities))
    if _PLACEHOLDER not in query:
        raise item.wrong(f"there is no {_PLACEHOLDER} in the query", repr(query[:80]))
    gold = next((number for number, one in enumerate(options) if one in answers), None)
    if gold is None:
        raise item.wrong("no answer is among the entities", repr(answers)[:80])
    passage, *highlights = _HIGHLIGHT.split(text.strip())
    context = "".join(f"{line}\n" for line in (passage, *(f"- {one}" for one in highlights)))
    pairs = tuple((context, f"- {query.replace(_PLACEHOLDER, one)}") for one in options)
    return Example(
        pairs,
        gold,
        tuple(dict.fromkeys(answers)),
        own=own,
        options=options,
    )

"""Public files of tasks whose answer is a word or a text, as examples: GPT-3, Appendix G.

In: an item of a file as its authors, or the public hubs, publish it. Out: examples, prompt and all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from corpus.trainer.evaluation.example import Example, writing
from corpus.trainer.evaluation.items import Item

# The last word and the punctuation that may stand behind it, which is no part of the word.
_LAST_WORD = re.compile(r"^(.*\S)\s+(\S+)\s*$", re.DOTALL)


def _passage(item: Item) -> tuple[str, str]:
    """Return a passage of LAMBADA without its last word, and that word."""
    text = item.value if isinstance(item.value, str) else item.text("text")
    found = _LAST_WORD.match(text)
    if found is None:
        raise item.wrong("the passage has fewer than two words", repr(text[:80]))
    return found[1], found[2]


def lambada(item: Item) -> Iterator[Example]:
    """The passage as it is, then its last word: GPT-2 section 3.3, GPT-3 section 3.1.2."""
    before, word = _passage(item)
    yield Example(((before, f" {word}"),), answers=(word,))


def lambada_blank(item: Item) -> Iterator[Example]:
    """GPT-3, section 3.1.2: as a blank to fill in, which few-shot prompts explain."""
    before, word = _passage(item)
    yield Example(((f"{before} ____. ->", f" {word}"),), answers=(word,))


def completion(item: Item) -> Iterator[Example]:
    """The released synthetic tasks: arithmetic and word scrambling, sections 3.9.1 and 3.9.2."""
    answer = item.text("completion").strip()
    yield writing(item.text("context").lstrip("\n"), (answer,))


def triviaqa(item: Item) -> Iterator[Example]:
    """Figure G.34: a question; the value and all of its aliases are accepted."""
    if item.has("Data"):
        data = item.get("Data")
        if not isinstance(data, list):
            raise item.wrong("the field 'Data' is no list")
        for one in data:
            yield from triviaqa(Item(item.where, one))
        return
    if item.has("Question"):
        question, own, answer = item.text("Question"), item.name("QuestionId"), "Answer"
        names = ("Value", "Aliases")
    else:
        question, own, answer = item.text("question"), item.name("question_id"), "answer"
        names = ("value", "aliases")
    aliases = item.texts(f"{answer}.{names[1]}") if item.has(f"{answer}.{names[1]}") else ()
    answers = dict.fromkeys((item.text(f"{answer}.{names[0]}"), *aliases))
    yield writing(_asked(question), tuple(answers), own)


def naturalqs(item: Item) -> Iterator[Example]:
    """Figure G.24: a question of the open-domain version; each of its answers is accepted."""
    yield writing(_asked(item.text("question")), item.texts("answer"))


def webqs(item: Item) -> Iterator[Example]:
    """Figure G.35: a question; each of its answers is accepted."""
    if item.has("utterance"):
        target = item.text("targetValue")
        found = re.findall(r'\(description (?:"((?:[^"\\]|\\.)*)"|([^()\s]+))\)', target)
        answers = tuple(quoted or plain for quoted, plain in found)
        if not answers:
            raise item.wrong("the field 'targetValue' has no description", repr(target[:80]))
        question = item.text("utterance")
    else:
        question, answers = item.text("question"), item.texts("answers")
    yield writing(_asked(question), answers, item.name("url"))


def _asked(question: str) -> str:
    mark = "" if question.rstrip().endswith("?") else "?"
    return f"Q: {question.strip()}{mark}\n\nA:"

"""Sentences in two languages, as examples: GPT-3, section 3.3 and figures G.36 to G.41.

In: an item of a file as the public hubs publish it: `{"translation": {"de": ..., "en": ...}}`, or a
field or column a language. Out: examples, prompt and all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from corpus.trainer.evaluation.example import Example, writing
from corpus.trainer.evaluation.items import Item

LANGUAGES = {"de": "German", "en": "English", "fr": "French", "ro": "Romanian"}
# Test set, and the language that is translated from and to English (table 3.4).
PAIRS = (("wmt14", "fr"), ("wmt16", "de"), ("wmt16", "ro"))


def asked(source: str, target: str) -> Callable[[Item], Iterator[Example]]:
    """Return the format without examples in the prompt: a question."""

    def parse(item: Item) -> Iterator[Example]:
        one, other = _sentences(item, source, target)
        yield writing(f"Q: What is the {LANGUAGES[target]} translation of {one} A:", (other,))

    return parse


def equation(source: str, target: str) -> Callable[[Item], Iterator[Example]]:
    """Return the format with examples: a sentence, an equals sign, its translation."""

    def parse(item: Item) -> Iterator[Example]:
        one, other = _sentences(item, source, target)
        yield writing(f"{one} =", (other,))

    return parse


def _sentences(item: Item, source: str, target: str) -> tuple[str, str]:
    at = "translation." if item.has("translation") else ""
    # A line break would end the answer.
    one, other = (" ".join(item.text(f"{at}{name}").split()) for name in (source, target))
    return one, other

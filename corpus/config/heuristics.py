"""The thresholds of the heuristic rule sets as a recipe writes them: the papers' are the defaults.

What each rule counts is explained in `corpus.text.gopher`, `corpus.text.c4`, `corpus.text.fineweb`
and in docs/stages/filter.md.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from corpus.config.values import ONE_OR_MORE, Paths
from corpus.settings import Settings

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Ratio = Annotated[float, Field(ge=0)]
Size = Annotated[int, Field(ge=1, le=100)]


def _phrase(text: str) -> str:
    """Return a phrase in lower case, as texts are when it is looked for."""
    if not text or "\n" in text or text.isspace():
        raise ValueError("a phrase is some text on one line")
    return text.lower()


Phrases = Annotated[tuple[Annotated[str, AfterValidator(_phrase)], ...], ONE_OR_MORE]


class Gopher(Settings):
    """Rules of MassiveText (Rae et al. 2021, A.1.1).

    A page at a threshold passes; `null` turns a rule off.
    """

    minimum_words: Count | None = 50
    """Fewer words between white space: `few_words`."""
    maximum_words: Count | None = 100_000
    """More words: `many_words`."""
    minimum_mean_word_length: Ratio | None = 3.0
    """Shorter words on average, in characters: `short_words`."""
    maximum_mean_word_length: Ratio | None = 10.0
    """Longer words on average: `long_words`."""
    maximum_symbol_ratio: Ratio | None = 0.1
    """More `#` a word, `hash_symbols`, or more ellipses a word, `ellipses`."""
    maximum_bullet_lines: Share | None = 0.9
    """A larger share of lines that begin with a bullet point: `bullet_lines`."""
    maximum_ellipsis_lines: Share | None = 0.3
    """A larger share of lines that end with an ellipsis: `ellipsis_lines`."""
    minimum_alphabetic_words: Share | None = 0.8
    """A smaller share of words with an alphabetic character: `alphabetic_words`."""
    stop_words: Phrases = ("the", "be", "to", "of", "and", "that", "have", "with")
    """Words that a text in the language has; another language needs others."""
    minimum_stop_words: Count | None = 2
    """Fewer different stop words: `stop_words`."""
    maximum_duplicate_lines: Share | None = 0.30
    """A larger share of lines that repeat an earlier one: `duplicate_lines`."""
    maximum_duplicate_paragraphs: Share | None = 0.30
    """Likewise of paragraphs: `duplicate_paragraphs`."""
    maximum_duplicate_line_characters: Share | None = 0.20
    """A larger share of characters in such lines: `duplicate_line_characters`."""
    maximum_duplicate_paragraph_characters: Share | None = 0.20
    """Likewise of paragraphs: `duplicate_paragraph_characters`."""
    maximum_top_ngram_characters: dict[Size, Share] = Field(
        default_factory=lambda: {2: 0.20, 3: 0.18, 4: 0.16}
    )
    """By n: a larger share of characters in the most frequent n-gram: `top_2_gram`, …"""
    maximum_duplicate_ngram_characters: dict[Size, Share] = Field(
        default_factory=lambda: {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
    )
    """By n: a larger share of characters in repeated n-grams: `duplicate_5_grams`, …"""


class C4(Settings):
    """Rules of C4 (Raffel et al. 2020, 2.2, and its published code); `null` turns one off."""

    terminal_punctuation: bool = True
    """Whether a line counts only if it ends in `.`, `!`, `?` or a closing quotation mark."""
    minimum_words_per_line: Count | None = 5
    """A line with fewer words does not count."""
    maximum_word_length: Count | None = 1000
    """A line with a longer word, in characters, does not count."""
    line_phrases: Phrases = (
        "javascript",
        "terms of use",
        "privacy policy",
        "cookie policy",
        "uses cookies",
        "use of cookies",
        "use cookies",
    )
    """A line with one of them, in any case, does not count."""
    page_phrases: Phrases = ("lorem ipsum", "{")
    """A page with one of them, in any case, is dropped: `page_phrase`."""
    bad_words: Paths | None = None
    """Files of words, one a line; a page with one is dropped: `bad_word`. None is shipped."""
    minimum_sentences: Count | None = 3
    """Fewer sentences in the lines that count: `few_sentences`."""


class FineWeb(Settings):
    """Rules of FineWeb (Penedo et al. 2024, 3.6); `null` turns one off."""

    minimum_punctuated_lines: Share | None = 0.12
    """This share of lines that end in a mark, or a smaller one: `punctuated_lines`."""
    end_marks: Annotated[str, Field(min_length=1)] = ".!?'\"…”’»。！？．｡」』؟۔।॥።։။៕"
    """The characters that are such marks: ends of sentences, and what closes quotations."""
    maximum_duplicate_line_characters: Share | None = 0.1
    """This share of characters in repeated lines, or more: `duplicate_line_characters`."""
    short_line: Count = 30
    """A line with fewer characters is short."""
    maximum_short_lines: Share | None = 0.67
    """This share of short lines, or a larger one: `short_lines`."""
    maximum_line_breaks: Ratio | None = None
    """More line breaks a word: `line_breaks`; off, as it is not in the paper (datatrove: 0.3)."""


class Heuristics(Settings):
    """Sets of heuristic rules that a page has to pass: names, or names with thresholds.

    The sets are asked in this order, whatever the recipe's. A name with nothing behind it stands
    for the set as its paper has it.
    """

    gopher: Gopher | None = None
    """Quality and repetition rules of Gopher."""
    c4: C4 | None = None
    """Rules of C4, as a verdict on the whole page."""
    fineweb: FineWeb | None = None
    """Rules that FineWeb adds."""

    def __bool__(self) -> bool:
        """Say whether there are any rules."""
        return any(self.names())

    def names(self) -> list[str]:
        """Return the names of the sets, in the order in which they are asked."""
        return [name for name in type(self).model_fields if getattr(self, name) is not None]


def _named(value: Any) -> Any:
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        value = dict.fromkeys(value)
    if isinstance(value, dict):
        return {name: {} if own is None else own for name, own in value.items()}
    return value


Name = Literal["gopher", "c4", "fineweb"]
NamedHeuristics = Annotated[
    Heuristics, BeforeValidator(_named, json_schema_input_type=Name | tuple[Name, ...] | Heuristics)
]

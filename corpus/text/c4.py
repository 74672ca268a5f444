"""The rules of C4 (Raffel et al. 2020, section 2.2), as a verdict on the whole document.

C4 also removes lines. Text is written once, so a filter here cuts nothing: the rules for lines say
which lines C4 would have retained, and a document with too few sentences in those is dropped.
Citation marks, which C4 removes, are passed over when a line is judged: "[1]", "[edit]" and
"[citation needed]". C4's language filter and deduplication of sentences are for other stages.

A sentence ends at ".", "!" or "?", with the quotation marks and brackets that close behind it,
where white space or the end of the line follows; a rest without an end is one more.
"""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass

import numpy as np

from corpus.text.phrases import phrase_table
from corpus.text.rule_texts import Broken, Texts
from corpus.text.unicode_tables import character_flags, word_tables

CITATIONS = ("[edit]", "[citation needed]")  # and a number in brackets, or none
# Scripts without spaces between words, by the first word of their characters' names.
_UNSPACED = frozenset({"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN"})
_UNBOUNDED = 1 << 62


@dataclass(frozen=True, slots=True)
class C4:
    """Thresholds and strings of the rules; strings are in lower case, None turns a rule off.

    Attributes:
        terminal_punctuation: Whether only lines that end in a mark count. FineWeb leaves this rule
            out, since it alone removes 30% of the tokens (Penedo et al. 2024, section 3.5).
        minimum_words_per_line: A line with fewer does not count.
        maximum_word_length: In characters; a line with a longer word does not count.
        line_phrases: A line with one of them does not count.
        page_phrases: A document with one of them is dropped.
        bad_words: A document with one of them is dropped, if no word goes on at its ends. Of a
            script without spaces, anywhere.
        minimum_sentences: A document with fewer of them, in the lines that count, is dropped.
    """

    terminal_punctuation: bool
    minimum_words_per_line: int | None
    maximum_word_length: int | None
    line_phrases: tuple[str, ...]
    page_phrases: tuple[str, ...]
    bad_words: tuple[str, ...]
    minimum_sentences: int | None


def page(texts: Texts, rules: C4) -> Broken:
    """Return the first rule that each text breaks.

    The name of a phrase's rule says which phrase, so that a person sees why the document is lost.
    """
    from corpus.text.c4_kernels import page_rules

    of_page = (*rules.page_phrases, *rules.bad_words)
    phrases = phrase_table((*of_page, *rules.line_phrases))
    citations = phrase_table(CITATIONS)
    tables = word_tables("whitespace")
    broken = page_rules(
        texts.data,
        texts.offsets,
        texts.rows,
        character_flags(),
        tables.entries,
        tables.expansions,
        phrases.begins,
        phrases.heads,
        phrases.rows,
        phrases.data,
        phrases.offsets,
        _alone(rules),
        len(of_page),
        citations.data,
        citations.offsets,
        rules.terminal_punctuation,
        rules.minimum_words_per_line or 0,
        _UNBOUNDED if rules.maximum_word_length is None else rules.maximum_word_length,
        rules.minimum_sentences or 0,
    )
    names = [f"page_phrase: {phrase}" for phrase in rules.page_phrases]
    names += [f"bad_word: {word}" for word in rules.bad_words]
    return Broken(broken, (*names, "few_sentences"))


@functools.lru_cache(maxsize=8)
def _alone(rules: C4) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return for each phrase whether it counts only where no word goes on at its ends."""
    words = [is_spaced(word) for word in rules.bad_words]
    lines, pages = [False] * len(rules.line_phrases), [False] * len(rules.page_phrases)
    return np.array([*pages, *words, *lines], np.bool_)


def is_spaced(word: str) -> bool:
    """Say whether a word is of a script that has spaces between words."""
    return not any(unicodedata.name(c, "").split(" ", 1)[0] in _UNSPACED for c in word)

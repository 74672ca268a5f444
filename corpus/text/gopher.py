"""The rules of MassiveText for quality and against repetition (Rae et al. 2021, appendix A.1.1).

Words are what lies between white space, as in the paper, with their punctuation: a tokenizer that
counts punctuation as words makes the rule of alphabetic words far stricter than the paper's. Lines
end at a line feed; they are stripped, and blank ones do not count. A text without words breaks the
rule of few words, whatever the thresholds.

The paper leaves open what a repetition is. Here it is an occurrence after the first, an n-gram that
occurs once repeats nothing, a character counts once however many n-grams it is part of, and the
characters of n-grams are those of the words, without the white space between them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from corpus.text.phrases import phrase_table
from corpus.text.rule_texts import Broken, Texts, limit
from corpus.text.unicode_tables import character_flags, word_tables

# Beside them "- " and "* ", which extractors write for an item of a list.
BULLETS = "•‣◦▪▫■□●○▶◀–"
QUALITY_RULES = (
    "few_words",
    "many_words",
    "short_words",
    "long_words",
    "hash_symbols",
    "ellipses",
    "bullet_lines",
    "ellipsis_lines",
    "alphabetic_words",
    "stop_words",
)
REPETITION_RULES = (
    "duplicate_lines",
    "duplicate_paragraphs",
    "duplicate_line_characters",
    "duplicate_paragraph_characters",
)
# Of the hash tables that find repeats: no result depends on it, see the kernels.
SEED = np.uint64(int.from_bytes(os.urandom(8), "little"))


@dataclass(frozen=True, slots=True)
class GopherQuality:
    """Thresholds of the quality rules; a document at a threshold passes, None turns a rule off.

    Attributes:
        minimum_words, maximum_words: Bounds of the number of words.
        minimum_mean_word_length, maximum_mean_word_length: Bounds in characters.
        maximum_symbol_ratio: Bound of "#" a word, and of ellipses a word.
        maximum_bullet_lines: Bound of the fraction of lines that begin with a bullet point.
        maximum_ellipsis_lines: Bound of the fraction of lines that end with an ellipsis.
        minimum_alphabetic_words: Bound of the fraction of words with an alphabetic character.
        stop_words: Words in lower case.
        minimum_stop_words: How many different ones of them a document must have.
    """

    minimum_words: int | None
    maximum_words: int | None
    minimum_mean_word_length: float | None
    maximum_mean_word_length: float | None
    maximum_symbol_ratio: float | None
    maximum_bullet_lines: float | None
    maximum_ellipsis_lines: float | None
    minimum_alphabetic_words: float | None
    stop_words: tuple[str, ...]
    minimum_stop_words: int | None


@dataclass(frozen=True, slots=True)
class GopherRepetition:
    """Thresholds of the repetition rules (table A1): fractions, a document at one passes.

    Attributes:
        maximum_duplicate_lines: Of lines that repeat an earlier line.
        maximum_duplicate_paragraphs: Of paragraphs that repeat an earlier paragraph.
        maximum_duplicate_line_characters: Of the lines' characters, those in repeats.
        maximum_duplicate_paragraph_characters: Of the paragraphs' characters, those in repeats.
        maximum_top_ngram_characters: By n, the fraction of characters in the most frequent n-gram.
        maximum_duplicate_ngram_characters: By n, the fraction of characters in repeated n-grams.
    """

    maximum_duplicate_lines: float | None
    maximum_duplicate_paragraphs: float | None
    maximum_duplicate_line_characters: float | None
    maximum_duplicate_paragraph_characters: float | None
    maximum_top_ngram_characters: Mapping[int, float]
    maximum_duplicate_ngram_characters: Mapping[int, float]


def quality(texts: Texts, rules: GopherQuality) -> Broken:
    """Return the first quality rule that each text breaks."""
    from corpus.text.gopher_kernels import quality_rules

    limits = np.array(
        [
            limit(rules.minimum_words, least=True),
            limit(rules.maximum_words),
            limit(rules.minimum_mean_word_length, least=True),
            limit(rules.maximum_mean_word_length),
            limit(rules.maximum_symbol_ratio),
            limit(rules.maximum_bullet_lines),
            limit(rules.maximum_ellipsis_lines),
            limit(rules.minimum_alphabetic_words, least=True),
            limit(rules.minimum_stop_words, least=True),
        ]
    )
    stop_words = phrase_table(rules.stop_words)
    tables = word_tables("whitespace")
    broken = quality_rules(
        texts.data,
        texts.offsets,
        texts.rows,
        character_flags(),
        tables.entries,
        tables.expansions,
        limits,
        np.array([ord(bullet) for bullet in BULLETS]),
        stop_words.heads,
        stop_words.rows,
        stop_words.data,
        stop_words.offsets,
    )
    return Broken(broken, QUALITY_RULES)


def repetition(texts: Texts, rules: GopherRepetition) -> Broken:
    """Return the first repetition rule that each text breaks."""
    from corpus.text.repetition_kernels import DUPLICATE, TOP, repetition_rules

    limits = np.array(
        [
            limit(rules.maximum_duplicate_lines),
            limit(rules.maximum_duplicate_paragraphs),
            limit(rules.maximum_duplicate_line_characters),
            limit(rules.maximum_duplicate_paragraph_characters),
        ]
    )
    top, duplicate = rules.maximum_top_ngram_characters, rules.maximum_duplicate_ngram_characters
    sizes = range(max([0, *top, *duplicate]) + 1)
    broken = repetition_rules(
        texts.data,
        texts.offsets,
        texts.rows,
        character_flags(),
        limits,
        np.array([limit(top.get(n)) for n in sizes]),
        np.array([limit(duplicate.get(n)) for n in sizes]),
        SEED,
    )
    ngrams = len(REPETITION_RULES) + 1
    tops, duplicates = broken > TOP, broken > DUPLICATE
    broken[tops & ~duplicates] += ngrams - TOP
    broken[duplicates] += ngrams + len(sizes) - DUPLICATE
    names = [*REPETITION_RULES, *(f"top_{n}_gram" for n in sizes)]
    return Broken(broken, (*names, *(f"duplicate_{n}_grams" for n in sizes)))

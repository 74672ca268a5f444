"""The rules of MassiveText for quality and against repetition (Rae et al. 2021, appendix A.1.1).

A text goes in; the name of the first rule that it breaks comes out. Words are what lies between
white space, as in the paper, with their punctuation: a tokenizer that counts punctuation as words
makes the rule of alphabetic words far stricter than the paper's.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_PARAGRAPH_BREAK = re.compile(r"\n[^\S\n]*\n\s*")
_BULLETS = ("•", "‣", "◦", "▪", "▫", "■", "□", "●", "○", "▶", "◀", "–")
_LIST_MARKS = ("- ", "* ")  # what extractors write for an item of a list
_ELLIPSES = ("...", "…")


@dataclass(frozen=True, slots=True)
class GopherQuality:
    """Thresholds of the quality rules; a document at a threshold passes.

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

    minimum_words: int
    maximum_words: int
    minimum_mean_word_length: float
    maximum_mean_word_length: float
    maximum_symbol_ratio: float
    maximum_bullet_lines: float
    maximum_ellipsis_lines: float
    minimum_alphabetic_words: float
    stop_words: tuple[str, ...]
    minimum_stop_words: int


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

    maximum_duplicate_lines: float
    maximum_duplicate_paragraphs: float
    maximum_duplicate_line_characters: float
    maximum_duplicate_paragraph_characters: float
    maximum_top_ngram_characters: Mapping[int, float]
    maximum_duplicate_ngram_characters: Mapping[int, float]


def quality_failure(text: str, rules: GopherQuality) -> str | None:
    """Return the name of the first quality rule that the text breaks, or None."""
    words = text.split()
    count = len(words)
    if count == 0 or count < rules.minimum_words:
        return "few_words"
    if count > rules.maximum_words:
        return "many_words"
    mean_length = sum(map(len, words)) / count
    if mean_length < rules.minimum_mean_word_length:
        return "short_words"
    if mean_length > rules.maximum_mean_word_length:
        return "long_words"
    if text.count("#") / count > rules.maximum_symbol_ratio:
        return "hash_symbols"
    if sum(map(text.count, _ELLIPSES)) / count > rules.maximum_symbol_ratio:
        return "ellipses"
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    bullets = sum(line.startswith(_BULLETS) or line.startswith(_LIST_MARKS) for line in lines)
    if bullets / len(lines) > rules.maximum_bullet_lines:
        return "bullet_lines"
    if sum(line.endswith(_ELLIPSES) for line in lines) / len(lines) > rules.maximum_ellipsis_lines:
        return "ellipsis_lines"
    alphabetic = sum(word.isalpha() or any(map(str.isalpha, word)) for word in words)
    if alphabetic / count < rules.minimum_alphabetic_words:
        return "alphabetic_words"
    if rules.minimum_stop_words:
        bare = {word.strip(string.punctuation).lower() for word in words}
        if len(bare.intersection(rules.stop_words)) < rules.minimum_stop_words:
            return "stop_words"
    return None


def repetition_failure(text: str, rules: GopherRepetition) -> str | None:
    """Return the name of the first repetition rule that the text breaks, or None.

    The paper leaves open what is counted. Here a repeat is an occurrence after the first, an n-gram
    that occurs once repeats nothing, a character counts once however many n-grams it is part of,
    and the characters of n-grams are those of the words, without the white space between them.
    """
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    paragraphs = [part.strip() for part in _PARAGRAPH_BREAK.split(text) if part.strip()]
    line_share, line_characters = duplicate_shares(lines)
    paragraph_share, paragraph_characters = duplicate_shares(paragraphs)
    for value, bound, name in (
        (line_share, rules.maximum_duplicate_lines, "duplicate_lines"),
        (paragraph_share, rules.maximum_duplicate_paragraphs, "duplicate_paragraphs"),
        (line_characters, rules.maximum_duplicate_line_characters, "duplicate_line_characters"),
        (
            paragraph_characters,
            rules.maximum_duplicate_paragraph_characters,
            "duplicate_paragraph_characters",
        ),
    ):
        if value > bound:
            return name
    return _ngram_failure(text.split(), rules)


def duplicate_shares(parts: list[str]) -> tuple[float, float]:
    """Return the fraction of parts that repeat an earlier one, by number and by characters."""
    seen: set[str] = set()
    repeats = characters = 0
    for part in parts:
        if part in seen:
            repeats += 1
            characters += len(part)
        seen.add(part)
    return repeats / max(1, len(parts)), characters / max(1, sum(map(len, parts)))


def _ngram_failure(words: list[str], rules: GopherRepetition) -> str | None:
    if not words:
        return None
    numbers: dict[str, int] = {}
    word_ids = np.array([numbers.setdefault(word, len(numbers)) for word in words], np.int64)
    lengths = np.array([len(word) for word in words], np.int64)
    total = int(lengths.sum())
    top, duplicate = rules.maximum_top_ngram_characters, rules.maximum_duplicate_ngram_characters
    ids = word_ids
    for n in range(1, max([0, *top, *duplicate]) + 1):
        if n > len(words):
            return None
        if n > 1:
            # An n-gram is the (n-1)-gram that it begins with and its last word: exact, no hash.
            ids = ids[:-1] * len(numbers) + word_ids[n - 1 :]
        distinct, first, ids, counts = np.unique(
            ids, return_index=True, return_inverse=True, return_counts=True
        )
        if len(distinct) == len(ids):
            return None  # no n-gram repeats, so no longer one does
        if n in top:
            chosen = _most_frequent(first, counts, lengths, n)
            if _covered(np.flatnonzero(ids == chosen), lengths, n) / total > top[n]:
                return f"top_{n}_gram"
        if n in duplicate:
            repeated = np.ones(len(ids), np.bool_)
            repeated[first] = False
            if _covered(np.flatnonzero(repeated), lengths, n) / total > duplicate[n]:
                return f"duplicate_{n}_grams"
    return None


def _most_frequent(
    first: NDArray[np.int64], counts: NDArray[np.int64], lengths: NDArray[np.int64], n: int
) -> int:
    """Return the most frequent n-gram; of several, the longest, and of those the earliest."""
    ends = np.concatenate([[0], np.cumsum(lengths)])
    candidates = np.flatnonzero(counts == counts.max())
    begin = first[candidates]
    order = np.lexsort((begin, ends[begin] - ends[begin + n]))
    return int(candidates[order[0]])


def _covered(starts: NDArray[np.int64], lengths: NDArray[np.int64], n: int) -> int:
    """Return how many characters lie in the n-grams that begin at the given words."""
    edges = np.zeros(len(lengths) + 1, np.int64)
    np.add.at(edges, starts, 1)
    np.add.at(edges, starts + n, -1)
    return int(lengths[np.cumsum(edges[:-1]) > 0].sum())

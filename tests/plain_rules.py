"""The heuristic rules in plain Python, by their definition: the reference of the kernels."""

from __future__ import annotations

import re
import string
from collections import Counter

from corpus.text.c4 import C4, CITATIONS, is_spaced
from corpus.text.fineweb import FineWeb
from corpus.text.gopher import BULLETS, GopherQuality, GopherRepetition
from corpus.text.heuristics import RuleSet

PARAGRAPH_BREAK = re.compile(r"\n[^\S\n]*\n\s*")
ELLIPSES = ("...", "…")
END_MARKS = (".", "!", "?", '"', "”")
SENTENCE_END = re.compile(r"[.!?][\"'”’)\]]*(?=\s|$)")
CITATION = re.compile(r"\[[0-9]*\]|" + "|".join(map(re.escape, CITATIONS)))


def first_failure(text: str, rules: RuleSet) -> str | None:
    """Return the name of the first rule of a set that the text breaks, or None."""
    match rules:
        case GopherQuality():
            return quality(text, rules)
        case GopherRepetition():
            return repetition(text, rules)
        case C4():
            return c4(text, rules)
        case FineWeb():
            return fineweb(text, rules)


def below(value: float, bound: float | None) -> bool:
    return bound is not None and value < bound


def above(value: float, bound: float | None) -> bool:
    return bound is not None and value > bound


def lines_of(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def quality(text: str, rules: GopherQuality) -> str | None:
    words = text.split()
    count = len(words)
    if not words or below(count, rules.minimum_words):
        return "few_words"
    lines = lines_of(text)
    length = sum(map(len, words)) / count
    ellipses = sum(map(text.count, ELLIPSES))
    bullets = sum(line.startswith((*BULLETS, "- ", "* ")) for line in lines)
    dotted = sum(line.endswith(ELLIPSES) for line in lines)
    alphabetic = sum(any(map(str.isalpha, word)) for word in words)
    bare = {word.strip(string.punctuation).lower() for word in words}
    for failed, name in (
        (above(count, rules.maximum_words), "many_words"),
        (below(length, rules.minimum_mean_word_length), "short_words"),
        (above(length, rules.maximum_mean_word_length), "long_words"),
        (above(text.count("#") / count, rules.maximum_symbol_ratio), "hash_symbols"),
        (above(ellipses / count, rules.maximum_symbol_ratio), "ellipses"),
        (above(bullets / len(lines), rules.maximum_bullet_lines), "bullet_lines"),
        (above(dotted / len(lines), rules.maximum_ellipsis_lines), "ellipsis_lines"),
        (below(alphabetic / count, rules.minimum_alphabetic_words), "alphabetic_words"),
        (below(len(bare.intersection(rules.stop_words)), rules.minimum_stop_words), "stop_words"),
    ):
        if failed:
            return name
    return None


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


def repetition(text: str, rules: GopherRepetition) -> str | None:
    by_lines, by_line_characters = duplicate_shares(lines_of(text))
    paragraphs = [part.strip() for part in PARAGRAPH_BREAK.split(text) if part.strip()]
    by_paragraphs, by_paragraph_characters = duplicate_shares(paragraphs)
    for value, bound, name in (
        (by_lines, rules.maximum_duplicate_lines, "duplicate_lines"),
        (by_paragraphs, rules.maximum_duplicate_paragraphs, "duplicate_paragraphs"),
        (by_line_characters, rules.maximum_duplicate_line_characters, "duplicate_line_characters"),
        (
            by_paragraph_characters,
            rules.maximum_duplicate_paragraph_characters,
            "duplicate_paragraph_characters",
        ),
    ):
        if above(value, bound):
            return name
    words = text.split()
    top, duplicate = rules.maximum_top_ngram_characters, rules.maximum_duplicate_ngram_characters
    for n in range(1, max([0, *top, *duplicate]) + 1):
        of_top, of_repeats = ngram_shares(words, n)
        if above(of_top, top.get(n)):
            return f"top_{n}_gram"
        if above(of_repeats, duplicate.get(n)):
            return f"duplicate_{n}_grams"
    return None


def ngram_shares(words: list[str], n: int) -> tuple[float, float]:
    """Return the fractions of the top n-gram and of repeated n-grams, by the definition."""
    total = sum(map(len, words))
    grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    counts = Counter(grams)
    if not grams or max(counts.values()) == 1:
        return 0.0, 0.0
    firsts: dict[tuple[str, ...], int] = {}
    repeated: set[int] = set()
    for i, gram in enumerate(grams):
        if firsts.setdefault(gram, i) != i:
            repeated |= set(range(i, i + n))
    best = max(counts, key=lambda gram: (counts[gram], sum(map(len, gram)), -firsts[gram]))
    top = {i + k for i, gram in enumerate(grams) if gram == best for k in range(n)}
    return (
        sum(len(words[i]) for i in top) / total,
        sum(len(words[i]) for i in repeated) / total,
    )


def c4(text: str, rules: C4) -> str | None:
    lower = text.lower()
    for phrase in rules.page_phrases:
        if phrase in lower:
            return f"page_phrase: {phrase}"
    for word in rules.bad_words:
        pattern = rf"(?<!\w){re.escape(word)}(?!\w)" if is_spaced(word) else re.escape(word)
        if re.search(pattern, lower):
            return f"bad_word: {word}"
    sentences = 0
    for line in text.split("\n"):
        if not any(phrase in line.lower() for phrase in rules.line_phrases):
            sentences += sentences_of(CITATION.sub("", line).strip(), rules)
    return "few_sentences" if below(sentences, rules.minimum_sentences) else None


def sentences_of(line: str, rules: C4) -> int:
    """Return the sentences of a line that counts, without its citation marks; 0 of any other."""
    words = line.split()
    if not words or below(len(words), rules.minimum_words_per_line):
        return 0
    if above(max(map(len, words)), rules.maximum_word_length):
        return 0
    if rules.terminal_punctuation and (not line.endswith(END_MARKS) or line.endswith("...")):
        return 0
    ends = [match.end() for match in SENTENCE_END.finditer(line)]
    return len(ends) + (0 if ends and ends[-1] == len(line) else 1)


def fineweb(text: str, rules: FineWeb) -> str | None:
    lines = lines_of(text)
    if not lines:
        return "punctuated_lines"

    def at_most(value: float, bound: float | None) -> bool:
        return bound is not None and value <= bound

    def at_least(value: float, bound: float | None) -> bool:
        return bound is not None and value >= bound

    punctuated = sum(line.endswith(tuple(rules.end_marks)) for line in lines) / len(lines)
    if at_most(punctuated, rules.minimum_punctuated_lines):
        return "punctuated_lines"
    repeated = duplicate_shares(lines)[1]
    if at_least(repeated, rules.maximum_duplicate_line_characters):
        return "duplicate_line_characters"
    short = sum(len(line) < rules.short_line for line in lines) / len(lines)
    if at_least(short, rules.maximum_short_lines):
        return "short_lines"
    if above(text.count("\n") / len(text.split()), rules.maximum_line_breaks):
        return "line_breaks"
    return None

"""The heuristic rules: each threshold from both sides, and the order of rules and rule sets."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.text import c4, fineweb, gopher, heuristics
from corpus.text.c4 import C4
from corpus.text.fineweb import FineWeb
from corpus.text.gopher import GopherQuality, GopherRepetition

QUALITY = GopherQuality(
    minimum_words=50,
    maximum_words=100_000,
    minimum_mean_word_length=3,
    maximum_mean_word_length=10,
    maximum_symbol_ratio=0.1,
    maximum_bullet_lines=0.9,
    maximum_ellipsis_lines=0.3,
    minimum_alphabetic_words=0.8,
    stop_words=("the", "be", "to", "of", "and", "that", "have", "with"),
    minimum_stop_words=2,
)
REPETITION = GopherRepetition(
    maximum_duplicate_lines=0.3,
    maximum_duplicate_paragraphs=0.3,
    maximum_duplicate_line_characters=0.2,
    maximum_duplicate_paragraph_characters=0.2,
    maximum_top_ngram_characters={2: 0.2, 3: 0.18, 4: 0.16},
    maximum_duplicate_ngram_characters={5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.1},
)
LOOSE = GopherRepetition(1, 1, 1, 1, {}, {})
C4_RULES = C4(
    terminal_punctuation=True,
    minimum_words_per_line=5,
    maximum_word_length=1000,
    line_phrases=("javascript", "terms of use"),
    page_phrases=("lorem ipsum", "{"),
    bad_words=("badword", "two words"),
    minimum_sentences=3,
)
FINEWEB = FineWeb(
    minimum_punctuated_lines=0.12,
    maximum_duplicate_line_characters=0.1,
    short_line=30,
    maximum_short_lines=0.67,
)
LINE = "The keeper of the light walked slowly down to the shore with number {}."

NINE = "\n".join(LINE.format(i) for i in range(9))
LONG = [f"{'x' * 40}{i}." for i in range(34)]
SHORT = [f"short {i}." for i in range(67)]
BARE = [f"{'x' * 40}{i}" for i in range(22)]


def distinct(count: int, *, prefix: str = "word") -> list[str]:
    return [f"{prefix}{chr(97 + i // 26 % 26)}{chr(97 + i % 26)}" for i in range(count)]


def prose(words: int) -> str:
    return " ".join(["the", "of", *distinct(words - 2)])


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        (prose(50), None),
        (prose(49), "few_words"),
        ("", "few_words"),
        ("word " * 100_000 + "the of", "many_words"),
        ("the of " + "a " * 60, "short_words"),
        ("the of " + "a" * 11 + " abcdefghijk" * 60, "long_words"),
        (prose(50) + " #####", None),  # 5 of 51 words
        (prose(50) + " ######", "hash_symbols"),
        (prose(44) + " ab... cd... ef... gh… ij… end", None),  # 5 of 50: at the threshold
        (prose(44) + " ab... cd... ef... gh… ij…… end", "ellipses"),
        ("\n".join("• " + w for w in prose(60).split()), "bullet_lines"),
        ("\n".join("- " + w for w in prose(60).split()), "bullet_lines"),
        ("\n".join(["plain"] * 6 + ["• " + f"{w} " * 5 for w in prose(54).split()]), None),
        ("\n".join([prose(60) + " end…"] * 3 + ["plain line"] * 7), None),  # 0.3
        ("\n".join([prose(60) + " end…"] * 4 + ["plain line"] * 6), "ellipsis_lines"),
        (prose(40) + " 1234" * 10, None),  # 0.8
        (prose(40) + " 1234" * 11, "alphabetic_words"),
        (" ".join(["the", "the", *distinct(60)]), "stop_words"),
        (" ".join(["The,", '"AND"', *distinct(60)]), None),
    ],
)
def test_gopher_quality_rules_fail_beyond_their_threshold_only(
    text: str, failed: str | None
) -> None:
    assert gopher.quality_failure(text, QUALITY) == failed


def test_gopher_quality_counts_words_between_white_space() -> None:
    """Punctuation is no word: 50 words with a comma each are 50 words, all alphabetic."""
    text = " , ".join([", ".join(prose(50).split())])
    assert gopher.quality_failure(text, QUALITY) is None


@pytest.mark.parametrize(
    ("rules", "text", "failed"),
    [
        (replace(LOOSE, maximum_duplicate_lines=0.3), "a\nb\nc\nd\ne\nf\ng\na\nb\nc", None),
        (
            replace(LOOSE, maximum_duplicate_lines=0.3),
            "a\nb\nc\nd\ne\nf\na\nb\n\nc\nd",
            "duplicate_lines",
        ),
        (replace(LOOSE, maximum_duplicate_line_characters=0.2), "abcd\nefghijklmnop\nabcd", None),
        (
            replace(LOOSE, maximum_duplicate_line_characters=0.2),
            "abcd\nefghijklmno\n abcd ",
            "duplicate_line_characters",
        ),
        (replace(LOOSE, maximum_duplicate_paragraphs=0.3), "a\nb\n\nc\nb\n\na\nd", None),
        (
            replace(LOOSE, maximum_duplicate_paragraphs=0.3),
            "a\nb\n \n\nc\n\na\nb",
            "duplicate_paragraphs",
        ),
        (
            replace(LOOSE, maximum_duplicate_paragraph_characters=0.2),
            "abcd\n\nefghijklmnop\n\nabcd",
            None,
        ),
        (
            replace(LOOSE, maximum_duplicate_paragraph_characters=0.2),
            "abcd\n\nefghijklmno\n\nabcd",
            "duplicate_paragraph_characters",
        ),
    ],
)
def test_gopher_repetition_rules_for_lines_fail_beyond_their_threshold_only(
    rules: GopherRepetition, text: str, failed: str | None
) -> None:
    assert gopher.repetition_failure(text, rules) == failed


def test_gopher_repetition_top_ngram_at_its_threshold_passes() -> None:
    """Two pairs of four characters among 40, and one character fewer among the rest."""
    rules = replace(LOOSE, maximum_top_ngram_characters={2: 0.2})
    rest = [f"q{i:03d}" for i in range(8)]
    text = " ".join(["ab", "cd", *rest[:4], "ab", "cd", *rest[4:]])
    assert gopher.repetition_failure(text, rules) is None
    assert gopher.repetition_failure(text[:-1], rules) == "top_2_gram"


def test_gopher_repetition_duplicate_ngrams_count_each_character_once() -> None:
    """A run of one word: every pair after the first repeats, and all characters but the first's."""
    words = ["ab"] * 10
    exactly = replace(LOOSE, maximum_duplicate_ngram_characters={2: 0.9})
    below = replace(LOOSE, maximum_duplicate_ngram_characters={2: 0.89})
    assert gopher.repetition_failure(" ".join(words), exactly) is None
    assert gopher.repetition_failure(" ".join(words), below) == "duplicate_2_grams"


def plain_repetition(words: list[str], n: int) -> tuple[float, float]:
    """Return the fractions of the top n-gram and of repeated n-grams, by the definition."""
    total = sum(map(len, words))
    grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    counts = Counter(grams)
    if not grams or max(counts.values()) == 1:
        return 0.0, 0.0
    best = max(counts, key=lambda g: (counts[g], sum(map(len, g)), -grams.index(g)))
    top = {i + k for i, g in enumerate(grams) if g == best for k in range(n)}
    seen: set[tuple[str, ...]] = set()
    repeated: set[int] = set()
    for i, gram in enumerate(grams):
        if gram in seen:
            repeated |= set(range(i, i + n))
        seen.add(gram)
    return (
        sum(len(words[i]) for i in top) / total,
        sum(len(words[i]) for i in repeated) / total,
    )


@given(
    st.lists(st.sampled_from(["a", "bb", "ccc", "dd", "é"]), min_size=1, max_size=60),
    st.integers(1, 6),
)
def test_gopher_repetition_of_any_words_equals_the_definition(words: list[str], n: int) -> None:
    top, repeated = plain_repetition(words, n)
    text = " ".join(words)
    for field, value, name in (
        ("maximum_top_ngram_characters", top, f"top_{n}_gram"),
        ("maximum_duplicate_ngram_characters", repeated, f"duplicate_{n}_grams"),
    ):
        at = replace(LOOSE, **{field: {n: value}})
        below = replace(LOOSE, **{field: {n: value - 1e-9}})
        assert gopher.repetition_failure(text, at) is None
        assert gopher.repetition_failure(text, below) == (name if value > 0 else None)


def test_gopher_repetition_of_prose_passes_and_of_spam_fails() -> None:
    assert gopher.repetition_failure("\n".join(distinct(300)), REPETITION) is None
    spam = " ".join(["cheap", "pills", *distinct(3)] * 30)
    assert gopher.repetition_failure(spam, REPETITION) == "top_2_gram"
    passage = " ".join(distinct(12))
    copied = f"{passage} {' '.join(distinct(60, prefix='other'))} {passage}"
    # The copy has 72 of 564 characters, 0.128: over the bound of 8-grams, not of 7-grams.
    assert gopher.repetition_failure(copied, REPETITION) == "duplicate_8_grams"


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("\n".join(LINE.format(i) for i in range(3)), None),
        ("\n".join(LINE.format(i) for i in range(2)), "few_sentences"),
        ("One two three four five. Six? Seven!", None),
        ("One two three four five. Six? Seven...", "few_sentences"),
        ("One two three four five. Six? Seven", "few_sentences"),
        ('One two three four said: "Six? Seven!"', "few_sentences"),
        ('One two three four said. "Six?" "Seven!"', None),
        ("Version 1.5.2 of the program is out now. Good.", "few_sentences"),
        ("\n".join(["Too few words. A."] * 9), "few_sentences"),
        ("\n".join(["Please turn on JavaScript in your browser."] * 9), "few_sentences"),
        ("\n".join(["Read our Terms of Use before you go on."] * 9), "few_sentences"),
        ("x" * 1001 + " two three four five. Six. Seven.", "few_sentences"),
        ("x" * 1000 + " two three four five. Six. Seven.", None),
        (NINE + "\nLorem Ipsum dolor", "page_phrase: lorem ipsum"),
        (NINE + "\nif (a) { b }", "page_phrase: {"),
        (NINE + "\nA BadWord.", "bad_word"),
        (NINE + "\nin two, words", "bad_word"),
        (NINE + "\nbadwords are no badwording", None),
        ("", "few_sentences"),
    ],
)
def test_c4_rules_drop_what_c4_would_drop(text: str, failed: str | None) -> None:
    assert c4.failure(text, C4_RULES) == failed


def test_c4_without_terminal_punctuation_counts_every_long_line() -> None:
    rules = replace(C4_RULES, terminal_punctuation=False)
    text = "\n".join(["one two three four five"] * 3)
    assert c4.failure(text, rules) is None
    assert c4.failure(text, C4_RULES) == "few_sentences"


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("\n".join(LINE.format(i) for i in range(5)), None),
        ("", "punctuated_lines"),
        (" \n\n", "punctuated_lines"),
        ("\n".join([LINE.format(1), *BARE[:7]]), None),  # 0.125
        ("\n".join([f"a{i}." * 15 for i in range(3)] + BARE), "punctuated_lines"),  # 0.12
        ("\n".join(c * 40 + "." for c in "abcdefghija"), None),  # 1 of 11
        ("\n".join(c * 40 + "." for c in "abcdefghia"), "duplicate_line_characters"),  # 0.1
        ("\n".join(LONG + SHORT[:66]), None),
        ("\n".join(LONG[:33] + SHORT), "short_lines"),  # 0.67
        ("\n".join(c * 29 + "." for c in "abc"), None),  # 30 characters are not fewer than 30
        ("\n".join(c * 28 + "." for c in "abc"), "short_lines"),
        ("\n".join(c * 40 + "。" for c in "漢字"), None),
    ],
)
def test_fineweb_rules_drop_at_their_threshold(text: str, failed: str | None) -> None:
    assert fineweb.failure(text, FINEWEB) == failed


def test_verdicts_name_the_first_set_and_the_first_rule_that_fail() -> None:
    words = distinct(80)
    good = "\n".join(f"The {' '.join(words[i : i + 10])} of it." for i in range(0, 80, 10))
    texts = pa.array([good, "short", good + "\n{", "x" * 50 + "\n" + "x" * 50], pa.large_string())
    sets = (QUALITY, replace(REPETITION, maximum_duplicate_ngram_characters={}), C4_RULES, FINEWEB)
    reasons, rules = heuristics.verdicts(texts, rule_sets=sets)
    assert reasons.to_pylist() == [None, "gopher_quality", "c4", "gopher_quality"]
    assert rules.to_pylist() == [None, "few_words", "page_phrase: {", "few_words"]
    reasons, rules = heuristics.verdicts(texts[1:], rule_sets=(FINEWEB, REPETITION))
    assert reasons.to_pylist() == ["fineweb", None, "fineweb"]
    assert rules.to_pylist() == ["punctuated_lines", None, "punctuated_lines"]
    reasons, _ = heuristics.verdicts(texts[3:], rule_sets=(LOOSE, REPETITION))
    assert reasons.to_pylist() == ["gopher_repetition"]
    assert heuristics.verdicts(texts, rule_sets=())[0].null_count == 4


def test_verdicts_with_nulls_are_refused() -> None:
    with pytest.raises(ValueError, match="null"):
        heuristics.verdicts(pa.array([None], pa.string()), rule_sets=(QUALITY,))


@given(st.text())
def test_verdicts_of_any_text_name_a_reason_or_none(text: str) -> None:
    reasons, rules = heuristics.verdicts(
        pa.array([text]), rule_sets=(REPETITION, C4_RULES, FINEWEB, QUALITY)
    )
    assert (reasons[0].as_py() is None) == (rules[0].as_py() is None)

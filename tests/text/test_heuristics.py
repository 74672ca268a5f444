"""The heuristic rules: each threshold from both sides, and the order of rules and rule sets."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.text import heuristics
from corpus.text.c4 import C4
from corpus.text.fineweb import FineWeb
from corpus.text.gopher import GopherQuality, GopherRepetition
from corpus.text.heuristics import RuleSet
from tests import plain_rules

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
    bad_words=("badword", "two words", "言葉"),
    minimum_sentences=3,
)
FINEWEB = FineWeb(
    minimum_punctuated_lines=0.12,
    end_marks=".!?'\"…”。！",
    maximum_duplicate_line_characters=0.1,
    short_line=30,
    maximum_short_lines=0.67,
    maximum_line_breaks=None,
)
LINE = "The keeper of the light walked slowly down to the shore with number {}."

NINE = "\n".join(LINE.format(i) for i in range(9))
LONG = [f"{'x' * 40}{i}." for i in range(34)]
SHORT = [f"short {i}." for i in range(67)]
BARE = [f"{'x' * 40}{i}" for i in range(22)]


def failure(text: str, rules: RuleSet) -> str | None:
    """Return the first rule that a text breaks, on which the kernel and plain Python agree."""
    found = heuristics.verdicts(pa.array([text], pa.large_string()), rule_sets=(rules,))[1]
    expected = plain_rules.first_failure(text, rules)
    assert found[0].as_py() == expected
    return expected


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
    assert failure(text, QUALITY) == failed


def test_gopher_quality_counts_words_between_white_space() -> None:
    """Punctuation is no word: 50 words with a comma each are 50 words, all alphabetic."""
    text = " , ".join([", ".join(prose(50).split())])
    assert failure(text, QUALITY) is None


@pytest.mark.parametrize(
    ("word", "stop_word", "same"),
    [
        ("\u212a", "k", True),
        ("(K)", "k", True),
        ("ΟΔΟΣ.", "οδος", True),
        ("οδοσ", "οδος", False),
        ("İ", "i̇", True),
        ("Ⱥ", "ⱥ", True),
    ],
)
def test_gopher_stop_words_are_found_in_any_case_and_script(
    word: str, stop_word: str, same: bool
) -> None:
    """Bytes change in lower case: U+212A becomes a k, three bytes one; U+023A two bytes three."""
    rules = GopherQuality(None, None, None, None, None, None, None, None, (stop_word,), 1)
    assert failure(f"some {word} words", rules) == (None if same else "stop_words")
    assert failure(f"some x{word} words", rules) == "stop_words"


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
    assert failure(text, rules) == failed


def test_gopher_repetition_top_ngram_at_its_threshold_passes() -> None:
    """Two pairs of four characters among 40, and one character fewer among the rest."""
    rules = replace(LOOSE, maximum_top_ngram_characters={2: 0.2})
    rest = [f"q{i:03d}" for i in range(8)]
    text = " ".join(["ab", "cd", *rest[:4], "ab", "cd", *rest[4:]])
    assert failure(text, rules) is None
    assert failure(text[:-1], rules) == "top_2_gram"


def test_gopher_repetition_duplicate_ngrams_count_each_character_once() -> None:
    """A run of one word: every pair after the first repeats, and all characters but the first's."""
    words = ["ab"] * 10
    exactly = replace(LOOSE, maximum_duplicate_ngram_characters={2: 0.9})
    below = replace(LOOSE, maximum_duplicate_ngram_characters={2: 0.89})
    assert failure(" ".join(words), exactly) is None
    assert failure(" ".join(words), below) == "duplicate_2_grams"


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["a", "bb", "ccc", "dd", "é"]), min_size=1, max_size=60),
    st.integers(1, 6),
)
def test_gopher_repetition_of_any_words_equals_the_definition(words: list[str], n: int) -> None:
    top, repeated = plain_rules.ngram_shares(words, n)
    text = " ".join(words)
    for field, value, name in (
        ("maximum_top_ngram_characters", top, f"top_{n}_gram"),
        ("maximum_duplicate_ngram_characters", repeated, f"duplicate_{n}_grams"),
    ):
        at = replace(LOOSE, **{field: {n: value}})
        below = replace(LOOSE, **{field: {n: max(0.0, value - 1e-9)}})
        assert failure(text, at) is None
        assert failure(text, below) == (name if value > 0 else None)


def test_gopher_repetition_of_prose_passes_and_of_spam_fails() -> None:
    assert failure("\n".join(distinct(300)), REPETITION) is None
    spam = " ".join(["cheap", "pills", *distinct(3)] * 30)
    assert failure(spam, REPETITION) == "top_2_gram"
    passage = " ".join(distinct(12))
    copied = f"{passage} {' '.join(distinct(60, prefix='other'))} {passage}"
    # The copy has 72 of 564 characters, 0.128: over the bound of 8-grams, not of 7-grams.
    assert failure(copied, REPETITION) == "duplicate_8_grams"


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("\n".join(LINE.format(i) for i in range(3)), None),
        ("\n".join(LINE.format(i) for i in range(2)), "few_sentences"),
        ("One two three four five. Six? Seven!", None),
        ("One two three four five. Six? Seven...", "few_sentences"),
        ("One two three four five. Six? Seven", "few_sentences"),
        ("One two three four .. .\n" * 3, None),
        ("One two three four .. ...\n" * 3, "few_sentences"),
        ('One two three four said: "Six? Seven!"', "few_sentences"),
        ('One two three four said. "Six?" "Seven!"', None),
        ("Version 1.5.2 of the program is out now. Good.", "few_sentences"),
        ("\n".join(["Too few words. A."] * 9), "few_sentences"),
        ("\n".join(["It is said by one of them.[1][citation needed]"] * 3), None),
        ("\n".join(["It is said by one of them. [12] "] * 3), None),
        ("\n".join(["It is said by one of them.[a]"] * 3), "few_sentences"),
        ("\n".join(["It is said by..[edit]. one of them..[1]."] * 3), "few_sentences"),
        ("One two [1] [2] four.\n" * 9, "few_sentences"),  # three words
        ("\n".join(["Please turn on JavaScript in your browser."] * 9), "few_sentences"),
        ("\n".join(["Read our Terms of Use before you go on."] * 9), "few_sentences"),
        ("x" * 1001 + " two three four five. Six. Seven.", "few_sentences"),
        ("x" * 1000 + " two three four five. Six. Seven.", None),
        (NINE + "\nLorem Ipsum dolor", "page_phrase: lorem ipsum"),
        (NINE + "\nif (a) { b }", "page_phrase: {"),
        (NINE + "\nA BadWord.", "bad_word: badword"),
        (NINE + "\nin (two words)", "bad_word: two words"),
        (NINE + "\nin two, words", None),
        (NINE + "\nin two words_of", None),
        (NINE + "\nüber2badword", None),
        (NINE + "\n悪い言葉です", "bad_word: 言葉"),
        (NINE + "\nbadwords are no badwording", None),
        ("", "few_sentences"),
    ],
)
def test_c4_rules_drop_what_c4_would_drop(text: str, failed: str | None) -> None:
    assert failure(text, C4_RULES) == failed


def test_c4_without_terminal_punctuation_counts_every_long_line() -> None:
    rules = replace(C4_RULES, terminal_punctuation=False)
    text = "\n".join(["one two three four five"] * 3)
    assert failure(text, rules) is None
    assert failure(text, C4_RULES) == "few_sentences"


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
    assert failure(text, FINEWEB) == failed


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
    assert len(heuristics.verdicts(texts[:0], rule_sets=sets)[0]) == 0


def test_verdicts_with_nulls_are_refused() -> None:
    with pytest.raises(ValueError, match="null"):
        heuristics.verdicts(pa.array([None], pa.string()), rule_sets=(QUALITY,))


# What the kernels have to read as Python does: white space of all kinds, letters that change their
# number or their bytes in lower case, a sigma at the end of a word, marks, bullets, brackets.
ATOMS = [
    *(
        "the",
        "The",
        "OF",
        "and",
        "be",
        "badword",
        "BADWORD",
        "two",
        "words",
        "言葉",
        "İstanbul",
        "ı",
    ),
    *(
        "ΟΔΟΣ",
        "ΣΑΣ",
        "\u212aelvin",
        "coo\u212aie",
        "use coo\u212aies",
        "ÀÉ",
        "ß",
        "ﬁ",
        "\U0001f600",
    ),
    *(
        "javascript",
        "JavaScript",
        "terms of use",
        "Lorem IPSUM",
        "{",
        "x" * 1001,
        "1234",
        "٣٤",
        "Ⅷ",
    ),
    *(".", "...", "..", "…", "!", "?", '"', "”", "’", ")", "]", "[", "[1]", "[]", "[edit]", "[12"),
    *(
        "[citation needed]",
        "#",
        "##",
        "•",
        "- ",
        "* ",
        "–",
        "-",
        "_",
        "。",
        "a.b",
        "e.g.",
        "(a).",
        "⑴",
    ),
    *(
        " ",
        " ",
        " ",
        "  ",
        "\n",
        "\n",
        "\n\n",
        "\n \n",
        "\r\n",
        "\t",
        "\x0b",
        "\x0c",
        "\x1c",
        "\x1f",
    ),
    *("\x85", "\xa0", "\u2003", "\u2028", "\u2029", "\u3000", "\u200b", "\ufeff", "\xad", "\x01"),
]
texts_of_atoms = st.lists(st.sampled_from(ATOMS), max_size=60).map("".join)
any_text = (
    texts_of_atoms | st.text(max_size=80) | st.lists(texts_of_atoms, max_size=4).map("\n".join)
)
shares = st.none() | st.sampled_from([0.0, 0.05, 0.1, 0.2, 0.25, 1 / 3, 0.5, 0.8, 1.0])
counts = st.none() | st.integers(0, 6)
by_size = st.dictionaries(st.integers(1, 6), st.sampled_from([0.0, 0.1, 0.3, 0.6]), max_size=3)
lengths = st.none() | st.sampled_from([0, 1.5, 2, 3, 5.25, 10])
words = st.lists(
    st.sampled_from(["the", "of", "ος", "οδος", "i̇stanbul", "k", "1234", "à"]), max_size=4
)
any_rules = st.one_of(
    st.builds(
        GopherQuality,
        counts, counts, lengths, lengths, shares, shares, shares, shares, words.map(tuple), counts,
    ),
    st.builds(GopherRepetition, shares, shares, shares, shares, by_size, by_size),
    st.builds(
        C4,
        st.booleans(),
        counts,
        st.none() | st.sampled_from([0, 3, 8, 1000]),
        st.just(C4_RULES.line_phrases) | st.just(("t", "coo", "kie", "σ", "se")),
        st.just(C4_RULES.page_phrases) | st.just(()),
        st.just(C4_RULES.bad_words) | st.just(("the", "of", "οδος", "2", "言", "[", "a.b")),
        counts,
    ),
    st.builds(
        FineWeb, shares, st.sampled_from([".", ".!。\u3000x", "”…"]), shares, st.integers(0, 12),
        shares, shares,
    ),
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.lists(any_text, min_size=1, max_size=4), any_rules)
def test_kernels_agree_with_plain_python_on_any_text_and_thresholds(
    texts: list[str], rules: RuleSet
) -> None:
    reasons, names = heuristics.verdicts(pa.array(texts, pa.string()), rule_sets=(rules,))
    assert names.to_pylist() == [plain_rules.first_failure(text, rules) for text in texts]
    assert reasons.is_null().equals(names.is_null())


def test_kernels_agree_with_plain_python_on_long_texts_of_many_lines_and_phrases() -> None:
    """Longer than the arrays that the kernels begin with."""
    draw = random.Random(5)
    made = [" ".join(draw.choices(distinct(500), k=9)) + "." for _ in range(3000)]
    many = "\n".join(line if i % 3 else f"{line} javascript" for i, line in enumerate(made))
    repeated = "\n\n".join(made[:1500] + made[:200])
    for rules in (QUALITY, REPETITION, C4_RULES, FINEWEB):
        failure(many, rules)
        failure(repeated, rules)
    enough = sum("javascript" not in line for line in many.split("\n"))
    assert failure(many, replace(C4_RULES, minimum_sentences=enough)) is None
    assert failure(many, replace(C4_RULES, minimum_sentences=enough + 1)) == "few_sentences"


def test_fineweb_rule_of_line_breaks_counts_them_by_words() -> None:
    rules = replace(FINEWEB, maximum_line_breaks=0.5)
    lines = [f"{c * 20} {c * 20}." for c in "abcd"]
    assert failure("\n".join([*lines, ""]), rules) is None  # 4 of 8
    assert failure("\n".join([*lines, "", ""]), rules) == "line_breaks"


@pytest.mark.parametrize(
    "rules",
    [
        GopherQuality(None, None, None, None, None, None, None, None, (), None),
        GopherRepetition(None, None, None, None, {}, {}),
        C4(False, None, None, (), (), (), None),
        FineWeb(None, ".", None, 30, None, None),
    ],
    ids=lambda rules: type(rules).__name__,
)
def test_rules_that_are_off_drop_nothing(rules: RuleSet) -> None:
    for text in ("# ... {", "a\na\na", "x" * 2000, "• •\n• •"):
        assert failure(text, rules) is None


def test_kernels_agree_with_plain_python_on_slices_of_either_type() -> None:
    texts = [NINE, "short", prose(60), "\n".join(BARE)]
    whole = pa.array(texts, pa.string())
    for column in (whole[1:], whole.cast(pa.large_string())[1:]):
        for rules in (QUALITY, REPETITION, C4_RULES, FINEWEB):
            expected = [plain_rules.first_failure(text, rules) for text in texts[1:]]
            assert heuristics.verdicts(column, rule_sets=(rules,))[1].to_pylist() == expected


@pytest.mark.real
def test_kernels_agree_with_plain_python_on_real_pages(real_data: Path) -> None:
    pages: list[str] = []
    # Some pages of the web, and sentences of many languages as pages of 20 lines.
    for name, step, together in (("gold/main_text", 9, 1), ("lang/sentences", 5, 20)):
        with zstandard.open(real_data / f"{name}.jsonl.zst", "rt", encoding="utf-8") as lines:
            found = [
                str(json.loads(line)["text"]) for line in itertools.islice(lines, 0, None, step)
            ]
        pages += ["\n".join(found[i : i + together]) for i in range(0, len(found), together)]
    column = pa.array(pages, pa.large_string())
    for rules in (QUALITY, REPETITION, C4_RULES, replace(C4_RULES, bad_words=("hot",)), FINEWEB):
        expected = [plain_rules.first_failure(page, rules) for page in pages]
        assert heuristics.verdicts(column, rule_sets=(rules,))[1].to_pylist() == expected
        assert len(set(expected)) > 2

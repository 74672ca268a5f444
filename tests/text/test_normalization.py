"""The plain words, and the kernels' agreement with them for all of Unicode."""

from __future__ import annotations

import sys

import mmh3
import numpy as np
import pyarrow as pa
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.text import minhash, normalization, unicode_tables

KINDS = ("word", "whitespace", "plain")
# Every class that a table tells apart: cased, ignorable, both (U+02B0), the sigma, long lower
# cases, lower cases of another length, whitespace beyond ASCII, marks, numbers, four-byte letters.
NASTY = (
    "aBzΣσς'’ʰ:·\u00adİIıȺẞΩK\u0307é日本—-_.,!$1²½\x1c\x85\u00a0\u2028 \n\t\U0001f600\U00010400\x00"
)


def kernel_agrees(text: str, kind: str) -> bool:
    """Compare the kernel's words, joined by spaces, with the plain ones by their MurmurHash3."""
    expected = normalization.words(text, kind=kind)
    column = pa.array([text], type=pa.large_string())
    size = max(len(expected), 1)
    found = minhash.signatures(column, permutations=2, shingle=size, words=kind, seed=1)[0]
    oracle = MinHash(num_perm=2, seed=1, hashfunc=lambda value: mmh3.hash(value, signed=False))
    if expected:
        oracle.update(" ".join(expected).encode())
    return bool(np.array_equal(found, oracle.hashvalues))


def test_word_is_a_run_of_word_characters_of_the_lower_cased_text() -> None:
    assert normalization.words("It's A_1, naïve!", kind="word") == ["it", "s", "a_1", "naïve"]
    assert normalization.words("İx", kind="word") == ["i", "x"], "U+0307 is no word character"


def test_whitespace_word_keeps_its_punctuation() -> None:
    assert normalization.words(" The\u00a0END. \n", kind="whitespace") == ["the", "end."]


def test_plain_word_loses_punctuation_and_vanishes_when_nothing_is_left() -> None:
    text = "“State-of-the-art” — it costs $5,000… ¿no? ·"
    expected = ["stateoftheart", "it", "costs", "5000", "no"]
    assert normalization.words(text, kind="plain") == expected


def test_plain_punctuation_is_that_of_ascii_and_of_the_categories_p() -> None:
    assert all(normalization.is_punctuation(mark) for mark in "!$+<=>^`|~_—’。«")
    assert not any(normalization.is_punctuation(mark) for mark in "a1 €×\u0301")


def test_words_of_an_unknown_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="no kind of words is called 'words'; there are word, "):
        normalization.words("a", kind="words")
    with pytest.raises(ValueError, match="no kind of words"):
        unicode_tables.word_tables("words")


def test_versions_name_every_kind_and_the_unicode_version() -> None:
    assert tuple(normalization.WORDS_VERSIONS) == KINDS
    assert len(set(normalization.WORDS_VERSIONS.values())) == len(KINDS)
    assert all("-unicode-" in version for version in normalization.WORDS_VERSIONS.values())


def test_lower_case_takes_at_most_half_as_many_bytes_again() -> None:
    """The kernels' scratch buffer is made to this measure."""
    for code in range(sys.maxunicode + 1):
        if not 0xD800 <= code < 0xE000:
            character = chr(code)
            assert 2 * len(character.lower().encode()) <= 3 * len(character.encode()), hex(code)


def disagreements(codes: list[int], kind: str) -> list[str]:
    """Try each character inside a word, and on either side of a sigma."""
    wrong = []
    for block in range(0, len(codes), 8192):
        characters = [chr(code) for code in codes[block : block + 8192]]
        text = " ".join(f"A{c}b A{c}Σ{c} {c}Σ{c}B" for c in characters)
        if not kernel_agrees(text, kind):
            wrong += [c for c in characters if not kernel_agrees(f"A{c}b A{c}Σ{c} {c}Σ{c}B", kind)]
    return wrong


@pytest.mark.parametrize("kind", KINDS)
def test_kernel_agrees_on_every_code_point_that_may_be_special(kind: str) -> None:
    """All of the planes 0 and 1; beyond lie ideographs and private use, of which every 101st."""
    codes = [code for code in range(0x20000) if not 0xD800 <= code < 0xE000]
    codes += [*range(0x20000, sys.maxunicode + 1, 101), *range(0xE0000, 0xE0200)]
    assert disagreements(codes, kind) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_kernel_agrees_on_every_code_point(kind: str) -> None:
    codes = [code for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    assert disagreements(codes, kind) == []


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=300, deadline=None)
@given(text=st.one_of(st.text(alphabet=NASTY, max_size=40), st.text(max_size=40)))
def test_kernel_agrees_on_any_text(kind: str, text: str) -> None:
    assert kernel_agrees(text, kind)

"""Sets of word n-grams over Arrow buffers, against the standard library and xxhash."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.text import kernels, ngrams, normalization, unicode_tables

MASK = (1 << 64) - 1
BASE = 0x9E3779B97F4A7C15
WORDS = ["the", "The", "a", "Ω", "ΟΔΟΣ", "naïve,", "日本語", "—", "x_1", "İstanbul", "won't", "\n"]


def mixed(value: int) -> int:
    value = ((value ^ (value >> 33)) * 0xFF51AFD7ED558CCD) & MASK
    value = ((value ^ (value >> 33)) * 0xC4CEB9FE1A85EC53) & MASK
    return value ^ (value >> 33)


def plain_set(text: str, shingle: int, kind: str) -> list[int]:
    hashes = [xxhash.xxh64_intdigest(w.encode()) for w in normalization.words(text, kind=kind)]
    found = set()
    for start in range(len(hashes) - shingle + 1):
        total = 0
        for value in hashes[start : start + shingle]:
            total = (total * BASE + value) & MASK
        found.add(mixed(total))
    return sorted(found)


def sets(texts: pa.Array, *, shingle: int, words: str) -> list[list[int]]:
    offsets, hashes = ngrams.shingle_sets(texts, shingle=shingle, words=words)
    assert offsets.dtype == np.int64
    assert hashes.dtype == np.uint64
    bounds = offsets.tolist()
    return [hashes[a:b].tolist() for a, b in itertools.pairwise(bounds)]


def generated(seed: int, count: int) -> list[str]:
    draw = random.Random(seed)
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(0, 60))) for _ in range(count)]
    # Words of every length, so that each branch of XXH64 is taken.
    long_words = ["".join(draw.choices("abcé", k=length)) for length in range(1, 120)]
    return [*texts, " ".join(long_words)]


@pytest.mark.parametrize("kind", ["word", "whitespace", "plain"])
@pytest.mark.parametrize("shingle", [1, 2, 5, 13])
def test_shingle_sets_agree_with_the_plain_reference(kind: str, shingle: int) -> None:
    texts = generated(3, 40)
    column = pa.array(texts, type=pa.large_string())
    expected = [plain_set(text, shingle, kind) for text in texts]
    assert sets(column, shingle=shingle, words=kind) == expected
    assert any(expected)


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(st.text(max_size=30), max_size=4), shingle=st.integers(1, 4))
def test_shingle_sets_agree_on_any_text(texts: list[str], shingle: int) -> None:
    column = pa.array(texts, type=pa.string())
    expected = [plain_set(text, shingle, "word") for text in texts]
    assert sets(column, shingle=shingle, words="word") == expected


def test_shingle_sets_of_string_large_string_and_slices_are_the_same() -> None:
    texts = generated(4, 20)
    whole = pa.array(texts, type=pa.large_string())
    expected = sets(whole, shingle=2, words="word")
    assert sets(pa.array(texts, type=pa.string()), shingle=2, words="word") == expected
    assert sets(whole.slice(7, 9), shingle=2, words="word") == expected[7:16]
    assert sets(whole.cast(pa.string()).slice(7), shingle=2, words="word") == expected[7:]


def test_shingle_set_of_a_short_text_is_empty() -> None:
    texts = pa.array(
        ["", "one two", "... — !!!", "  ", "日本語の文章には空白がない", "one two three"]
    )
    found = sets(texts, shingle=3, words="word")
    assert [len(shingles) for shingles in found] == [0, 0, 0, 0, 0, 1]


def test_shingle_sets_of_no_texts_are_no_sets() -> None:
    for empty in (pa.array([], type=pa.string()), pa.array(["a"]).slice(1)):
        assert sets(empty, shingle=1, words="word") == []


def test_shingle_set_over_many_blocks_of_words_agrees() -> None:
    """The kernel normalises 1024 words at a time, and n-grams reach over the blocks' ends."""
    draw = random.Random(5)
    texts = [
        " ".join(str(draw.randrange(10**6)) for _ in range(n)) for n in (1023, 1024, 1025, 5000)
    ]
    expected = [plain_set(text, 13, "plain") for text in texts]
    assert sets(pa.array(texts), shingle=13, words="plain") == expected


def test_one_word_of_many_megabytes_is_one_word() -> None:
    text = "漢" * 3_000_000
    assert sets(pa.array([text]), shingle=1, words="word") == [plain_set(text, 1, "word")]


def test_text_buffers_share_the_memory_of_the_column() -> None:
    column = pa.array(["ab", "", "cdé"], type=pa.large_string())
    data, offsets = ngrams.text_buffers(column.slice(1))
    assert data.ctypes.data == column.buffers()[2].address
    assert not data.flags.writeable
    assert [bytes(data[a:b]) for a, b in itertools.pairwise(offsets)] == [
        b"",
        "cdé".encode(),
    ]


def test_text_buffers_refuse_what_is_no_column_of_text() -> None:
    with pytest.raises(ValueError, match="1 of 2 texts are null"):
        ngrams.text_buffers(pa.array(["a", None]))
    with pytest.raises(TypeError, match="not ChunkedArray"):
        ngrams.text_buffers(pa.chunked_array([["a"]]))
    with pytest.raises(TypeError, match="not Int64Array"):
        ngrams.text_buffers(pa.array([1]))


def test_shingle_of_no_words_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 word, not 0"):
        ngrams.shingle_sets(pa.array(["a"]), shingle=0, words="word")


def test_malformed_utf8_is_read_within_its_bounds() -> None:
    """Arrow promises valid UTF-8; without it, neighbours still do not touch each other's words."""
    tables = unicode_tables.word_tables("whitespace")
    for broken in (b"\xff", b"\x80\xbf", b"a\xe3\x81", b"\xf4\xff\xff\xff", b"\xf0\x9f", b"\xc3"):
        before = []
        for after in (b"one", b"\x82\xac"):
            data = np.frombuffer(broken + after, dtype=np.uint8)
            offsets = np.array([0, len(broken), len(data)], dtype=np.int64)
            bounds, hashes = kernels.ngram_hashes(
                data, offsets, tables.entries, tables.expansions, 1
            )
            before.append(hashes[: bounds[1]].tolist())
            if after == b"one":
                assert hashes[bounds[1] :].tolist() == plain_set("one", 1, "whitespace")
        assert before[0] == before[1], broken

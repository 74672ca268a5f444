"""Finding benchmark n-grams, against a plain search with the standard library."""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.text import contamination, normalization
from corpus.text.contamination import GramIndex

WORDS = ["the", "The", "a", "of", "Ω", "ΟΔΟΣ", "naïve,", "日本語", "—", "“x”", "İn", "won't"]


def plain_words(text: str) -> list[tuple[str, int, int]]:
    """Return each word with the bytes that it was written as."""
    # Neither lower-casing nor punctuation touches whitespace, so the two splits correspond.
    written = list(re.finditer(r"\S+", text))
    words = [normalization.words(run, kind="plain") for run in text.lower().split()]
    assert len(written) == len(words)
    starts = [len(text[: match.start()].encode()) for match in written]
    return [
        (word[0], start, start + len(match.group().encode()))
        for match, word, start in zip(written, words, starts, strict=True)
        if word
    ]


def plain_find(
    texts: Sequence[str], benchmarks: Mapping[str, Sequence[str]], ngram: int
) -> list[tuple[int, int, int, tuple[str, ...]]]:
    known = {
        gram
        for items in benchmarks.values()
        for item in items
        for gram in grams_of([word for word, _, _ in plain_words(item)], ngram)
    }
    hits = []
    for row, text in enumerate(texts):
        words = plain_words(text)
        for index, gram in enumerate(grams_of([word for word, _, _ in words], ngram)):
            if gram in known:
                hits.append((row, words[index][1], words[index + ngram - 1][2], gram))
    return hits


def grams_of(words: list[str], ngram: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + ngram]) for start in range(len(words) - ngram + 1)]


def make_index(items: Sequence[str], size: int, words: str = "plain") -> GramIndex:
    column = pa.array(items, type=pa.large_string())
    _, hashes = contamination.gram_hashes(column, size=size, words=words)
    return contamination.make_index(np.unique(hashes), size=size, words=words)


def assert_same(texts: Sequence[str], benchmarks: Mapping[str, Sequence[str]], ngram: int) -> int:
    """Compare with the plain search; return the number of hits."""
    index = make_index([item for items in benchmarks.values() for item in items], ngram)
    hits = contamination.find(pa.array(texts, type=pa.large_string()), index)
    expected = plain_find(texts, benchmarks, ngram)
    found = list(zip(hits.rows.tolist(), hits.starts.tolist(), hits.ends.tolist(), strict=True))
    assert found == [(row, start, end) for row, start, end, _ in expected]
    # Equal grams have equal indices and different ones different indices.
    pairs = set(zip(hits.grams.tolist(), (gram for *_, gram in expected), strict=True))
    assert len(pairs) == len({index for index, _ in pairs}) == len({gram for _, gram in pairs})
    return len(expected)


@pytest.mark.parametrize("ngram", [1, 2, 3, 13])
def test_find_agrees_with_the_plain_search_on_generated_text(ngram: int) -> None:
    draw = random.Random(ngram)
    benchmarks = {
        name: [" ".join(draw.choices(WORDS, k=ngram + draw.randint(-1, 9))) for _ in range(12)]
        for name in ("first", "second", "third")
    }
    pool = [item for items in benchmarks.values() for item in items]
    texts = []
    for _ in range(60):
        parts = draw.choices([*pool, "Something else. ", "\n\n", "…"], k=draw.randint(0, 6))
        texts.append(draw.choice([" ", "\n", " — "]).join(parts))
    assert assert_same(texts, benchmarks, ngram) > 50


@pytest.mark.real
def test_find_agrees_with_the_plain_search_on_real_text(real_data: Path) -> None:
    texts = [row["text"] for row in read(real_data / "neardup" / "ota_genai_eu.docs.jsonl.zst")]
    # Items out of some of the documents, so that there are hits.
    benchmarks = {
        "early": [" ".join(text.split()[40:90]) for text in texts[:20]],
        "late": [text.upper()[-900:] for text in texts[10:40]],
    }
    assert assert_same(texts[:120], benchmarks, 13) > 1000


def read(path: Path) -> list[dict[str, str]]:
    with path.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as stream:
        return [json.loads(line) for line in io.TextIOWrapper(stream, "utf-8")]


def test_find_disregards_case_punctuation_and_layout_and_reports_the_written_bytes() -> None:
    index = make_index(["It was the best of times."], 6)
    text = "Ä: “It\nwas — the BEST, of\ttimes!” he said"
    hits = contamination.find(pa.array(["nothing", text]), index)
    assert hits.rows.tolist() == [1]
    matched = text.encode()[hits.starts[0] : hits.ends[0]].decode()
    assert matched == "“It\nwas — the BEST, of\ttimes!”"


def test_words_of_the_published_grams_are_parted_by_punctuation() -> None:
    """A line of OpenAI's list has "i m going": there, an apostrophe was a space."""
    text = "Well—I’m going to go!"
    for words, item in (("word", "I m going to"), ("plain", "WellIm going to go")):
        assert len(contamination.find(pa.array([text]), make_index([item], 4, words))) == 1
    for words, item in (("plain", "I m going to"), ("word", "WellIm going to go")):
        assert len(contamination.find(pa.array([text]), make_index([item], 4, words))) == 0


@settings(max_examples=300, deadline=None)
@given(
    texts=st.lists(st.text(alphabet="aA .,'-_éÉΣσςİ漢\n\u2028\u00ad—", max_size=60), max_size=4),
    kind=st.sampled_from(["plain", "word"]),
    size=st.integers(1, 4),
)
def test_gram_hashes_are_equal_just_where_the_words_are(
    texts: list[str], kind: str, size: int
) -> None:
    bounds, hashes = contamination.gram_hashes(
        pa.array(texts, type=pa.large_string()), size=size, words=kind
    )
    grams = [grams_of(normalization.words(text, kind=kind), size) for text in texts]
    assert np.diff(bounds).tolist() == [len(own) for own in grams]
    pairs = set(zip(hashes.tolist(), (gram for own in grams for gram in own), strict=True))
    assert len(pairs) == len({digest for digest, _ in pairs}) == len({gram for _, gram in pairs})


def test_find_without_grams_or_texts_finds_nothing() -> None:
    nothing = make_index(["too short"], 13)
    assert len(nothing) == 0
    assert len(contamination.find(pa.array(["a text"]), nothing)) == 0
    assert contamination.count_documents(contamination.find(pa.array(["a"]), nothing), 0).size == 0
    some = make_index(["x y"], 2)
    empty = contamination.find(pa.array([], type=pa.string()), some)
    assert len(empty) == 0
    assert contamination.count_documents(empty, len(some)).tolist() == [0]


def test_find_in_a_slice_counts_rows_and_bytes_from_the_slice_and_the_text() -> None:
    index = make_index(["x y"], 2)
    texts = pa.array(["x y", "äa", "é x y"], type=pa.large_string()).slice(1)
    hits = contamination.find(texts, index)
    assert (hits.rows.tolist(), hits.starts.tolist(), hits.ends.tolist()) == ([1], [3], [6])


def test_find_keeps_every_hit_when_there_are_many() -> None:
    """More than the kernel first has room for, in one long document."""
    index = make_index(["go go"], 2)
    hits = contamination.find(pa.array(["go " * 20_001, "go", "go go"]), index)
    assert len(hits) == 20_001
    assert hits.starts[:-1].tolist() == list(range(0, 60_000, 3))
    assert hits.rows[-1] == 2


@pytest.mark.parametrize("size", [2, 13])
def test_find_goes_on_over_the_words_that_are_hashed_at_a_time(size: int) -> None:
    """1,024 words at a time: a gram may begin in one lot and end in the next."""
    words = [f"w{i}" for i in range(5000)]
    index = make_index([" ".join(words[at : at + size]) for at in range(1000, 1060)], size)
    hits = contamination.find(pa.array([" ".join(words), "w1000"]), index)
    text = " ".join(words)
    assert [text[a:b].split()[0] for a, b in zip(hits.starts, hits.ends, strict=True)] == [
        f"w{at}" for at in range(1000, 1060)
    ]


def test_index_finds_each_of_many_grams_and_takes_some_bytes_for_each() -> None:
    items = [f"a{i} b{i} c{i}" for i in range(40_000)]
    index = make_index(items, 3)
    hits = contamination.find(pa.array(["d " + " ".join(items)]), index)
    assert len(index) == 40_000
    assert set(hits.grams.tolist()) == set(range(40_000))
    assert sum(each.nbytes for each in (index.hashes, index.bits, index.buckets)) < 16 * len(index)


def test_count_documents_counts_a_document_once() -> None:
    index = make_index(["x y", "u v", "never seen"], 2)
    texts = ["x y x y", "u v", "y x", "x y u v u v", "x y"]
    hits = contamination.find(pa.array(texts), index)
    counts = contamination.count_documents(hits, len(index))
    assert sorted(counts.tolist()) == [0, 2, 3]
    assert counts[hits.grams[0]] == 3
    halves = [contamination.find(pa.array(part), index) for part in (texts[:2], texts[2:])]
    added = sum(contamination.count_documents(half, len(index)) for half in halves)
    np.testing.assert_array_equal(added, counts)
    counter = contamination.DocumentCounter(index)
    for part in (texts[:2], [], texts[2:]):
        counter.add(pa.array(part, pa.string()))
    np.testing.assert_array_equal(counter.counts, counts)


@pytest.mark.parametrize(
    ("lengths", "size"),
    [
        ([20] * 95 + [9] * 5, 9),  # the 5th of 100
        ([20] * 96 + [9] * 4, 13),
        ([3] * 100, 8),
        ([5, 100, 100], 8),
        ([12] * 3, 12),
        ([], 13),
    ],
)
def test_n_is_the_fifth_percentile_of_the_lengths_from_8_to_13(
    lengths: list[int], size: int
) -> None:
    assert contamination.gram_size(lengths) == size

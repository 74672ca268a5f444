"""Finding benchmark n-grams, against a plain search with the standard library."""

from __future__ import annotations

import io
import itertools
import json
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zstandard

from corpus.text import contamination, normalization

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


def assert_same(texts: Sequence[str], benchmarks: Mapping[str, Sequence[str]], ngram: int) -> int:
    """Compare with the plain search; return the number of hits."""
    grams = contamination.benchmark_grams(benchmarks, ngram=ngram)
    hits = contamination.find(pa.array(texts, type=pa.large_string()), grams)
    expected = plain_find(texts, benchmarks, ngram)
    found = list(zip(hits.rows.tolist(), hits.starts.tolist(), hits.ends.tolist(), strict=True))
    assert found == [(row, start, end) for row, start, end, _ in expected]
    # Equal grams have equal indices and different ones different indices.
    pairs = set(zip(hits.grams.tolist(), (gram for *_, gram in expected), strict=True))
    assert len(pairs) == len({index for index, _ in pairs}) == len({gram for _, gram in pairs})
    # Each gram names just those benchmarks that have it.
    for index, gram in pairs:
        members = grams.members[grams.offsets[index] : grams.offsets[index + 1]]
        assert [grams.names[member] for member in members] == [
            name
            for name, items in benchmarks.items()
            if any(gram in grams_of(normalization.words(i, kind="plain"), ngram) for i in items)
        ]
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
    grams = contamination.benchmark_grams({"b": ["It was the best of times."]}, ngram=6)
    text = "Ä: “It\nwas — the BEST, of\ttimes!” he said"
    hits = contamination.find(pa.array(["nothing", text]), grams)
    assert hits.rows.tolist() == [1]
    matched = text.encode()[hits.starts[0] : hits.ends[0]].decode()
    assert matched == "“It\nwas — the BEST, of\ttimes!”"


def test_grams_of_several_benchmarks_are_kept_once_with_each_of_them() -> None:
    benchmarks = {"x": ["a b c", "a b"], "y": ["B C d", "", "c"], "z": []}
    grams = contamination.benchmark_grams(benchmarks, ngram=2)
    assert len(grams) == 3, "a b, b c, c d"
    assert (np.diff(grams.hashes.astype(object)) > 0).all()
    members = [grams.members[a:b].tolist() for a, b in itertools.pairwise(grams.offsets)]
    assert sorted(members) == [[0], [0, 1], [1]]
    assert grams.names == ("x", "y", "z")
    assert grams.items.tolist() == [2, 3, 0]
    assert grams.too_short.tolist() == [0, 2, 0]


def test_find_without_grams_or_texts_finds_nothing() -> None:
    nothing = contamination.benchmark_grams({"b": ["too short"], "c": []}, ngram=13)
    assert len(nothing) == 0
    assert nothing.offsets.tolist() == [0]
    assert len(contamination.find(pa.array(["a text"]), nothing)) == 0
    assert contamination.count_documents(contamination.find(pa.array(["a"]), nothing), 0).size == 0
    some = contamination.benchmark_grams({"b": ["x y"]}, ngram=2)
    empty = contamination.find(pa.array([], type=pa.string()), some)
    assert len(empty) == 0
    assert contamination.count_documents(empty, len(some)).tolist() == [0]


def test_find_in_a_slice_counts_rows_and_bytes_from_the_slice_and_the_text() -> None:
    grams = contamination.benchmark_grams({"b": ["x y"]}, ngram=2)
    texts = pa.array(["x y", "äa", "é x y"], type=pa.large_string()).slice(1)
    hits = contamination.find(texts, grams)
    assert (hits.rows.tolist(), hits.starts.tolist(), hits.ends.tolist()) == ([1], [3], [6])


def test_find_keeps_every_hit_when_there_are_many() -> None:
    """More than the kernel first has room for, in one long document."""
    grams = contamination.benchmark_grams({"b": ["go go"]}, ngram=2)
    hits = contamination.find(pa.array(["go " * 20_001, "go", "go go"]), grams)
    assert len(hits) == 20_001
    assert hits.starts[:-1].tolist() == list(range(0, 60_000, 3))
    assert hits.rows[-1] == 2


def test_count_documents_counts_a_document_once() -> None:
    grams = contamination.benchmark_grams({"b": ["x y", "u v", "never seen"]}, ngram=2)
    texts = ["x y x y", "u v", "y x", "x y u v u v", "x y"]
    hits = contamination.find(pa.array(texts), grams)
    counts = contamination.count_documents(hits, len(grams))
    assert sorted(counts.tolist()) == [0, 2, 3]
    assert counts[hits.grams[0]] == 3
    halves = [contamination.find(pa.array(part), grams) for part in (texts[:2], texts[2:])]
    added = sum(contamination.count_documents(half, len(grams)) for half in halves)
    np.testing.assert_array_equal(added, counts)

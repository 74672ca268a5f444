"""Cutting grams out of documents, against a plain model that flags every character."""

from __future__ import annotations

import io
import itertools
import json
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.document import CUTS, DropReason
from corpus.text import contamination, cuts

PAPER = {"window": 200, "minimum": 200, "maximum_pieces": 10}
Model = tuple[DropReason | None, list[tuple[int, int]], int]


def runs(flags: list[bool], value: bool) -> list[tuple[int, int]]:
    bounds = [0, *(i for i in range(1, len(flags)) if flags[i] != flags[i - 1]), len(flags)]
    return [(a, b) for a, b in itertools.pairwise(bounds) if a < b and flags[a] == value]


def model(
    text: str, spans: list[tuple[int, int]], *, window: int, minimum: int, maximum_pieces: int
) -> Model:
    """Cut by flags: ``spans`` and what comes back are in characters."""
    flags = [False] * len(text)
    for start, end in spans:
        for at in range(max(start - window, 0), min(end + window, len(text))):
            flags[at] = True
    pieces = runs(flags, False)
    if len(pieces) > maximum_pieces:
        return DropReason.CONTAMINATED, runs(flags, True), len(pieces)
    if spans:
        for start, end in pieces:
            if end - start < minimum:
                flags[start:end] = [True] * (end - start)
    reason = DropReason.NOTHING_LEFT if spans and all(flags) else None
    return reason, runs(flags, True), len(pieces)


def to_bytes(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(len(text[:a].encode()), len(text[:b].encode())) for a, b in spans]


def make_grams(benchmarks: Mapping[str, Sequence[str]], ngram: int) -> contamination.BenchmarkGrams:
    """Return the grams of benchmarks, each of a set of its own."""
    columns = [pa.array(items, pa.large_string()) for items in benchmarks.values()]
    own = [contamination.gram_hashes(c, size=ngram, words="plain")[1] for c in columns]
    hashes = np.unique(np.concatenate([np.empty(0, np.uint64), *own]))
    members = [np.flatnonzero(flags) for flags in np.array([np.isin(hashes, o) for o in own]).T]
    return contamination.BenchmarkGrams(
        index=contamination.make_index(hashes, size=ngram, words="plain"),
        names=tuple(benchmarks),
        sets=np.arange(len(hashes), dtype=np.int32),
        offsets=np.cumsum([0, *map(len, members)], dtype=np.int64),
        members=np.concatenate([np.empty(0, np.int64), *members]),
    )


def cut(text: str, spans: list[tuple[int, int]], **chosen: int) -> Model:
    """Cut with the kernel; ``spans`` in characters, the cuts in bytes."""
    starts, ends = np.array(to_bytes(text, spans), dtype=np.int64).reshape(-1, 2).T
    rows = np.zeros(len(spans), dtype=np.int64)
    hits = contamination.Hits(rows=rows, starts=starts, ends=ends, grams=rows)
    ignored = np.zeros(1, dtype=np.bool_)
    found = cuts.cut_documents(pa.array([text]), hits, ONE_GRAM, ignored=ignored, **chosen)
    reason = found.reason[0].as_py()
    spans_found = [(span["start"], span["end"]) for span in found.cuts[0].as_py()]
    return DropReason(reason) if reason else None, spans_found, int(found.pieces[0])


ONE_GRAM = make_grams({"b": ["x y"]}, 2)


def in_bytes(text: str, result: Model) -> Model:
    return result[0], to_bytes(text, result[1]), result[2]


@settings(max_examples=600, deadline=None)
@given(
    text=st.text(alphabet="aé漢\U0001f600 ", min_size=1, max_size=80),
    numbers=st.lists(st.integers(0, 79), max_size=16),
    length=st.integers(1, 12),
    window=st.integers(0, 12),
    minimum=st.integers(0, 12),
    maximum_pieces=st.integers(1, 4),
)
def test_cut_agrees_with_the_model(
    text: str, numbers: list[int], length: int, window: int, minimum: int, maximum_pieces: int
) -> None:
    starts = sorted(number for number in numbers if number < len(text))
    spans = [(start, min(start + length, len(text))) for start in starts]
    chosen = {"window": window, "minimum": minimum, "maximum_pieces": maximum_pieces}
    assert cut(text, spans, **chosen) == in_bytes(text, model(text, spans, **chosen))


def test_cut_takes_the_window_on_each_side_of_the_gram() -> None:
    text = "é" * 500 + "G" * 60 + "漢" * 500
    assert cut(text, [(500, 560)], **PAPER) == (None, [(600, 1000 + 60 + 600)], 2)


def test_cut_discards_a_piece_of_199_characters_and_keeps_one_of_200() -> None:
    for length, kept in ((199, False), (200, True)):
        text = "漢" * length + "x" * 200 + "G" * 60 + "x" * 200 + "y" * 200
        reason, found, pieces = cut(text, [(length + 200, length + 260)], **PAPER)
        assert (reason, pieces) == (None, 2)
        assert found == [(3 * length if kept else 0, 3 * length + 460)]


def test_cut_drops_a_document_in_eleven_pieces_and_keeps_one_in_ten() -> None:
    for grams in (9, 10):
        text = ("a" * 400 + "G" * 50 + "b" * 400) * grams
        spans = [(850 * i + 400, 850 * i + 450) for i in range(grams)]
        reason, found, pieces = cut(text, spans, **PAPER)
        assert pieces == grams + 1
        assert reason == (DropReason.CONTAMINATED if grams == 10 else None)
        assert len(found) == grams


def test_cut_counts_the_pieces_before_short_ones_are_discarded() -> None:
    text = ("a" * 210 + "G" * 50 + "b" * 210) * 12
    spans = [(470 * i + 210, 470 * i + 260) for i in range(12)]
    reason, _, pieces = cut(text, spans, **PAPER)
    assert (reason, pieces) == (DropReason.CONTAMINATED, 13), "11 of the pieces have 20 characters"


def test_cut_drops_a_document_of_which_nothing_is_left() -> None:
    text = "é" * 350 + "G" * 60 + "é" * 399
    assert cut(text, [(350, 410)], **PAPER) == (DropReason.NOTHING_LEFT, [(0, 1558)], 2)
    assert cut("G" * 60, [(0, 60)], **PAPER) == (DropReason.NOTHING_LEFT, [(0, 60)], 0)


def test_cut_leaves_a_document_without_a_hit_alone_however_short() -> None:
    assert cut("short", [], **PAPER) == (None, [], 1)
    assert cut("", [], **PAPER) == (None, [], 0)


@pytest.mark.parametrize(("name", "least"), [("window", 0), ("minimum", 0), ("maximum_pieces", 1)])
def test_cut_refuses_a_setting_that_is_too_small(name: str, least: int) -> None:
    cut("text", [], **{**PAPER, name: least})
    with pytest.raises(ValueError, match=f"{name} is {least - 1}, less than {least}"):
        cut("text", [], **{**PAPER, name: least - 1})


def decontaminate(
    texts: pa.Array,
    benchmarks: dict[str, list[str]],
    *,
    ignored: set[str],
    ngram: int,
    **chosen: int,
) -> cuts.Decontamination:
    grams = make_grams(benchmarks, ngram)
    unheeded = make_grams({"ignored": sorted(ignored)}, ngram)
    flags = np.isin(grams.index.hashes, unheeded.index.hashes)
    hits = contamination.find(texts, grams.index)
    return cuts.cut_documents(texts, hits, grams, ignored=flags, **chosen)


def test_cut_documents_gives_columns_of_the_schema_row_by_row() -> None:
    texts = ["nothing here", "aa bb 漢字 x y 漢字 cc", "u v", "", "x y u v", "p q and p q, é"]
    benchmarks = {"first": ["x y", "p q"], "second": ["X Y", "u v"], "third": ["never seen"]}
    verdicts = decontaminate(
        pa.array(["skipped", *texts], type=pa.large_string()).slice(1),
        benchmarks,
        ignored={"p q"},
        ngram=2,
        window=1,
        minimum=2,
        maximum_pieces=10,
    )
    assert verdicts.kept.to_pylist() == [True, True, False, True, False, True]
    left = str(DropReason.NOTHING_LEFT)
    assert verdicts.reason.to_pylist() == [None, None, left, None, left, None]
    assert verdicts.reason.type == pa.string()
    assert verdicts.cuts.type == CUTS
    assert verdicts.cuts.to_pylist() == [
        [],
        [{"start": 12, "end": 17}],
        [{"start": 0, "end": 3}],
        [],
        [{"start": 0, "end": 7}],
        [],
    ]
    both = ["first", "second"]
    assert verdicts.benchmarks.to_pylist() == [[], both, ["second"], [], both, []]
    assert verdicts.benchmarks.type == pa.list_(pa.string())
    assert verdicts.pieces.tolist() == [1, 2, 0, 0, 0, 1]


def test_cut_documents_of_no_texts_and_no_grams_gives_empty_columns() -> None:
    chosen = {"ngram": 2, "window": 1, "minimum": 1, "maximum_pieces": 1}
    none = decontaminate(pa.array([], type=pa.string()), {"b": ["x y"]}, ignored=set(), **chosen)
    assert (len(none.kept), len(none.cuts), len(none.benchmarks)) == (0, 0, 0)
    clean = decontaminate(pa.array(["x y"]), {}, ignored=set(), **chosen)
    assert (clean.kept.to_pylist(), clean.cuts.to_pylist()) == ([True], [[]])
    assert clean.benchmarks.to_pylist() == [[]]


def test_cut_documents_refuses_hits_and_flags_of_other_texts_and_grams() -> None:
    grams = make_grams({"b": ["x y"]}, 2)
    hits = contamination.find(pa.array(["a", "x y"]), grams.index)
    none = np.zeros(1, dtype=np.bool_)
    for texts in (["x y"], ["a", "x"]):
        with pytest.raises(ValueError, match="found in other texts"):
            cuts.cut_documents(pa.array(texts), hits, grams, ignored=none, **PAPER)
    with pytest.raises(ValueError, match="2 flags for 1 grams"):
        cuts.cut_documents(
            pa.array(["a", "x y"]), hits, grams, ignored=np.zeros(2, dtype=np.bool_), **PAPER
        )


def assert_model(texts: list[str], benchmarks: dict[str, list[str]], **chosen: int) -> list[bool]:
    """Compare every document with the model, its hits taken from `find`; return who was kept."""
    grams = make_grams(benchmarks, 13)
    column = pa.array(texts, type=pa.large_string())
    hits = contamination.find(column, grams.index)
    ignored = contamination.count_documents(hits, len(grams)) > 10
    verdicts = cuts.cut_documents(column, hits, grams, ignored=ignored, **chosen)
    for row, text in enumerate(texts):
        mine = (hits.rows == row) & ~ignored[hits.grams]
        data = text.encode()
        spans = [
            (len(data[:a].decode()), len(data[:b].decode()))
            for a, b in zip(hits.starts[mine], hits.ends[mine], strict=True)
        ]
        reason, expected, pieces = in_bytes(text, model(text, spans, **chosen))
        found = [(span["start"], span["end"]) for span in verdicts.cuts[row].as_py()]
        assert (verdicts.reason[row].as_py(), found) == (reason, expected)
        assert verdicts.kept[row].as_py() == (reason is None)
        assert verdicts.pieces[row] == pieces
    return verdicts.kept.to_pylist()


def test_cut_documents_agrees_with_the_model_on_generated_text() -> None:
    draw = random.Random(11)
    vocabulary = ["word", "Ünïcode", "漢字", "the", "of,", "—", "\U0001f600x"]
    items = [" ".join(draw.choices(vocabulary, k=20)) + f" {number}" for number in range(600)]
    texts = []
    for _ in range(150):
        filler = [" ".join(draw.choices(vocabulary, k=draw.randint(1, 200))) for _ in range(14)]
        parts = [
            draw.choice([*filler, *draw.choices(items, k=4)]) for _ in range(draw.randint(1, 30))
        ]
        texts.append("\n".join(parts))
    kept = assert_model(texts, {"b": items}, window=200, minimum=200, maximum_pieces=4)
    assert 10 < sum(kept) < 140


@pytest.mark.real
def test_cut_documents_agrees_with_the_model_on_real_text(real_data: Path) -> None:
    path = real_data / "neardup" / "ota_genai_eu.docs.jsonl.zst"
    with path.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as stream:
        texts = [json.loads(line)["text"] for line in io.TextIOWrapper(stream, "utf-8")][::4]
    items = [" ".join(text.split()[at : at + 30]) for text in texts for at in (50, 400, 1200)]
    kept = assert_model(texts, {"b": items}, **PAPER)
    assert any(kept)
    assert not all(kept)


def test_cut_of_a_long_document_full_of_grams_takes_linear_time() -> None:
    """Four times the text must not take sixteen times as long."""

    def seconds(copies: int) -> float:
        text = ("x " * 13 + "unique filler between them. ") * copies
        column = pa.array([text])
        grams = make_grams({"b": ["x " * 13]}, 13)
        hits = contamination.find(column, grams.index)
        assert len(hits) == copies
        before = time.process_time()
        chosen = {"window": 10**9, "minimum": 200, "maximum_pieces": 10}
        cuts.cut_documents(column, hits, grams, ignored=np.zeros(1, dtype=np.bool_), **chosen)
        return time.process_time() - before

    seconds(10)
    small = min(seconds(4_000) for _ in range(3))
    assert min(seconds(16_000) for _ in range(3)) < 10 * small + 0.01

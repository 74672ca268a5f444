"""Lines: found, normalised, hashed, counted and cut as plain Python does it."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import xxhash
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from corpus.text import line_kernels, lines
from corpus.text.cut_texts import apply_cuts
from corpus.text.line_normalization import normalized
from tests.plain_lines import plain_cut

PIECES = [
    "a",
    "B",
    "Z1",
    "é",
    "É",
    "e\u0301",
    "ß",
    "Σ",
    "ς",
    "٣",
    "9",
    "—",
    "!",
    "\u00ad",
    "\ufeff",
]
PIECES += [" ", "  ", "\t", "\r", "\x0b", "\u2028", "\u00a0", "\x85", "\x00", "が", "कु", "한", "\n"]
PIECES += ["\n\n", "\r\n", "ﬁ", "İ", "🙂", "\U0010ffff", "word", "the same line"]
TEXTS = st.lists(st.sampled_from(PIECES) | st.characters(codec="utf-8"), max_size=25).map("".join)


def plain(text: str, unit: str) -> list[tuple[int, int, str | None]]:
    """Return (start, end, normalised), in bytes; None for a line of white space alone."""
    found: list[tuple[int, int, str | None]] = []
    start, joins = 0, False
    for line in text.split("\n"):
        end = start + len(line.encode())
        blank = not line or line.isspace()
        if start == len(text.encode()) and not line:
            break  # what is behind the last line feed is no line
        if unit == "paragraph" and blank:
            joins = False
        elif joins:
            found[-1] = (found[-1][0], end, None)
        else:
            found.append((start, end, None))
            joins = unit == "paragraph"
        start = end + 1
    data = text.encode()
    whole = []
    for start, end, _ in found:
        line = data[start:end].decode()
        blank = not line or line.isspace()
        whole.append((start, end, None if blank else normalized(line, kind="ccnet")))
    return whole


def told(found: lines.Lines, row: int) -> list[tuple[int, int, int, int]]:
    span = slice(found.bounds[row], found.bounds[row + 1])
    columns = (found.starts, found.ends, found.hashes, found.words)
    return list(zip(*(column[span].tolist() for column in columns), strict=True))


@pytest.mark.parametrize("unit", lines.UNITS)
@settings(deadline=None)
@given(st.lists(TEXTS, max_size=4), st.booleans())
@example(["", "\n", "a\n", "\na", "a\n\n\nb\n \n", "x\r\ny\r\n", "one\ntwo\n\nthree"], True)
def test_lines_are_those_of_plain_python(unit: str, texts: list[str], large: bool) -> None:
    column = pa.array(["skipped", *texts], pa.large_string() if large else pa.string())[1:]
    found = lines.find_lines(column, unit=unit, normalization="ccnet")
    for row, text in enumerate(texts):
        wanted = [
            (
                start,
                end,
                xxhash.xxh64_intdigest(line.encode()) if line else 0,
                -1 if line is None else len(line.split(" ")) if line else 0,
            )
            for start, end, line in plain(text, unit)
        ]
        assert told(found, row) == wanted


@pytest.mark.real
@pytest.mark.parametrize("unit", lines.UNITS)
def test_lines_of_real_pages_are_those_of_plain_python(unit: str, real_data: Path) -> None:
    path = real_data / "neardup" / "ota_genai_eu.docs.jsonl.zst"
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
        rows = [json.loads(line) for line in io.TextIOWrapper(stream, "utf-8")]
    texts = [row["text"] for row in rows][:10]
    found = lines.find_lines(pa.array(texts), unit=unit, normalization="ccnet")
    wanted = [line for text in texts for line in plain(text, unit)]
    assert list(zip(found.starts.tolist(), found.ends.tolist(), strict=True)) == [
        (start, end) for start, end, _ in wanted
    ]
    assert found.hashes.tolist() == [
        xxhash.xxh64_intdigest(line.encode()) if line else 0 for *_, line in wanted
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Contact us: 24/7!", "contact US 981"),
        ("  Élan\tvital ", "e\u0301lan VITAL"),
        ("STRASSE", "Straße"),
        ("ΟΔΟΣ", "οδος"),
        ("e\u00admail\x00", "E-Mail"),
        ("١٢", "34"),
        ("a \u2028 b\r", "a b"),
    ],
)
def test_lines_that_differ_in_what_does_not_count_are_one(one: str, other: str) -> None:
    found = lines.find_lines(pa.array([one, other]), unit="line", normalization="ccnet")
    assert found.hashes[0] == found.hashes[1] != 0
    exact = lines.find_lines(pa.array([one, other]), unit="line", normalization="exact")
    same = " ".join(one.split()) == " ".join(other.split())
    assert (exact.hashes[0] == exact.hashes[1]) == same


@pytest.mark.parametrize(
    ("one", "other"), [("कु", "कि"), ("が", "か"), ("two words", "twowords"), ("1", "11")]
)
def test_lines_that_differ_in_what_counts_are_two(one: str, other: str) -> None:
    found = lines.find_lines(pa.array([one, other]), unit="line", normalization="ccnet")
    assert found.hashes[0] != found.hashes[1]


@settings(deadline=None)
@given(TEXTS, st.lists(st.booleans(), min_size=30, max_size=30))
@example("a\nX\n\nY\nb", [False, True, False, True, False] + [False] * 25)
@example("a\n\nX\n\nY\n\nb\n", [False, False, True, False, True] + [False] * 25)
@example("X\n\nb\n\nX", [True, False, False, False, True] + [False] * 25)
@example("a\n\nX\n\n", [False, False, True] + [False] * 27)
def test_text_without_cut_lines_is_that_of_plain_python(text: str, flags: list[bool]) -> None:
    column = pa.array([text])
    found = lines.find_lines(column, unit="line", normalization="ccnet")
    flags = (flags * (len(found) // 30 + 1))[: len(found)]
    gone = np.array(flags, np.bool_) & (found.words >= 0)
    made = lines.cut_lines(column, found, gone)
    cuts = [{"start": a, "end": b} for a, b in made.cuts.tolist()]
    left = apply_cuts(text, cuts)
    assert left == (plain_cut(text, gone.tolist()) if gone.any() else text)
    assert made.left[0] == (len(left) if left.strip() or not len(found) else 0)
    data = text.encode()
    for cut in cuts:
        data[: cut["start"]].decode()  # at the boundary of a character
        assert cut["start"] == 0 or data[cut["start"] - 1] == 10 or cut["end"] == len(data)


def test_cut_paragraph_goes_with_the_blank_lines_behind_it() -> None:
    column = pa.array(["one\ntwo\n\nCUT\nme\n\n\nthree\n", "only\n\n cut "])
    found = lines.find_lines(column, unit="paragraph", normalization="exact")
    made = lines.cut_lines(column, found, np.array([False, True, False, False, True]))
    assert made.offsets.tolist() == [0, 1, 2]
    assert made.cuts.tolist() == [[9, 18], [4, 11]]
    assert made.left.tolist() == [len("one\ntwo\n\nthree\n"), 4]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5)), max_size=60), st.randoms())
def test_counts_of_lines_are_those_of_plain_python(pairs: list[tuple[int, int]], random) -> None:
    pairs.sort(key=lambda pair: pair[1])
    ranks = list(range(6))
    random.shuffle(ranks)
    keys = [key * 2**61 for key, _ in pairs]
    made = line_kernels.count_lines(
        np.array(keys, np.uint64), np.array([row for _, row in pairs], np.int32), np.array(ranks)
    )
    wanted = []
    for key in dict.fromkeys(keys):
        own = [row for one, (_, row) in zip(keys, pairs, strict=True) if one == key]
        wanted.append((key, min(own, key=ranks.__getitem__), len(set(own)), len(own)))
    assert list(zip(*(column.tolist() for column in made), strict=True)) == wanted


def test_paragraph_of_very_many_lines_is_hashed_once() -> None:
    """Else this would take minutes: the time would grow with the square of the lines."""
    text = "line of it\n" * 300_000
    found = lines.find_lines(pa.array([text]), unit="paragraph", normalization="ccnet")
    assert found.hashes.tolist() == [xxhash.xxh64_intdigest(" ".join(text.split()).encode())]


@pytest.mark.parametrize(("unit", "normalization"), [("sentence", "ccnet"), ("line", "none")])
def test_unit_or_normalisation_that_does_not_exist_is_refused(
    unit: str, normalization: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(unit if unit != "line" else normalization)):
        lines.find_lines(pa.array(["a"]), unit=unit, normalization=normalization)

"""Language identification: codes, shares, the bound on what is looked at, and hostile text."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zstandard

from corpus.document_writer import LANGUAGE_BYTES
from corpus.text import language

ENGLISH = "The ship left the harbour early in the morning, and nobody on the pier waved at it. "
GERMAN = "Das Schiff verließ am frühen Morgen den Hafen, und niemand am Kai winkte ihm nach. "
HEBREW = "הספינה עזבה את הנמל מוקדם בבוקר, ואיש על הרציף לא נופף לה לשלום. "
CHINESE = "輪船清晨離開了港口，碼頭上沒有人向它揮手告別。我們在這裡等了很久。"
NORWEGIAN = "Skipet forlot havnen tidlig om morgenen, og ingen på kaien vinket til det. "


def codes_of(*texts: str, maximum_bytes: int = 100_000) -> list[str]:
    codes, _ = language.identify(pa.array(texts), maximum_bytes=maximum_bytes)
    return list(codes.to_pylist())


def test_identify_returns_iso_639_1_codes() -> None:
    """CLD2 itself says iw for Hebrew and zh-Hant for Chinese in traditional characters."""
    found = codes_of(ENGLISH * 3, GERMAN * 3, HEBREW * 3, CHINESE * 3, NORWEGIAN * 3)
    assert found == ["en", "de", "he", "zh", "no"]


def test_identify_of_nothing_to_go_by_is_unknown_with_share_zero() -> None:
    codes, shares = language.identify(
        pa.array(["", " \n", "12345 67 89 " * 50, "\x00\x01", "⠁⠃⠉ " * 50]), maximum_bytes=1000
    )
    assert codes.to_pylist() == ["un"] * 5
    assert shares.tolist() == [0.0] * 5


def test_identify_gives_the_share_of_the_text_in_the_language() -> None:
    codes, shares = language.identify(
        pa.array([ENGLISH * 20, ENGLISH * 14 + GERMAN * 6]), maximum_bytes=100_000
    )
    assert codes.to_pylist() == ["en", "en"]
    assert shares.dtype == np.float32
    assert shares[0] > 0.98
    assert 0.6 < shares[1] < 0.8


def test_identify_looks_at_no_more_than_the_bound_in_four_pieces() -> None:
    """The pieces are at the ends, and a third and two thirds of the way between them."""
    size = len((GERMAN * 5).encode())
    parts = [GERMAN * 5, ENGLISH * 50, GERMAN * 5, ENGLISH * 50, GERMAN * 5, ENGLISH * 50]
    text = "".join(parts) + GERMAN * 5
    assert codes_of(text, maximum_bytes=1_000_000) == ["en"]
    at = [0, len("".join(parts[:2]).encode()), len("".join(parts[:4]).encode())]
    gap = (len(text.encode()) - size) // 3
    assert all(abs(start - gap * n) < size / 4 for n, start in enumerate(at))
    assert codes_of(text, maximum_bytes=4 * size) == ["de"]


def test_identify_of_a_long_text_is_not_that_of_its_frame() -> None:
    """A licence in front, as books have, does not decide."""
    assert codes_of(ENGLISH * 40 + GERMAN * 4000, maximum_bytes=8192) == ["de"]


@pytest.mark.parametrize(
    "refused", [*range(9), 0x0B, *range(0x0E, 0x20), 0x7F, 0x85, 0x9F, 0xFDD0, 0xFFFE, 0x10FFFF]
)
def test_identify_with_a_character_that_cld2_refuses_still_works(refused: int) -> None:
    assert codes_of(ENGLISH + chr(refused) + ENGLISH) == ["en"]


def test_identify_of_every_code_point_does_not_raise() -> None:
    points = [chr(p) for p in range(0x110000) if not 0xD800 <= p < 0xE000]
    texts = [ENGLISH + " ".join(points[i : i + 512]) for i in range(0, len(points), 512)]
    assert len(codes_of(*texts)) == len(texts)


def test_identify_of_bytes_that_are_not_utf8_ignores_them() -> None:
    data = b"\xff\xfe" + ENGLISH.encode() * 3 + b"\xc3"
    column = pa.Array.from_buffers(pa.string(), 1, pa.array([data], pa.binary()).buffers())
    codes, _ = language.identify(column, maximum_bytes=1000)
    assert codes.to_pylist() == ["en"]


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string()])
def test_identify_of_a_slice_equals_that_of_the_whole(type_: pa.DataType) -> None:
    column = pa.array([ENGLISH, GERMAN, HEBREW, "", NORWEGIAN], type_)
    codes, shares = language.identify(column, maximum_bytes=1000)
    sliced_codes, sliced_shares = language.identify(column[1:4], maximum_bytes=1000)
    assert sliced_codes.to_pylist() == codes.to_pylist()[1:4]
    np.testing.assert_array_equal(sliced_shares, shares[1:4])


def test_identify_with_nulls_or_without_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="null"):
        language.identify(pa.array(["a", None]), maximum_bytes=10)
    with pytest.raises(ValueError, match="maximum_bytes"):
        language.identify(pa.array(["a"]), maximum_bytes=0)


@pytest.fixture(scope="module")
def sentences(real_data: Path) -> dict[str, list[str]]:
    """Return sentences in 75 languages, Bokmål counted as Norwegian."""
    found: dict[str, list[str]] = defaultdict(list)
    with (real_data / "lang" / "sentences.jsonl.zst").open("rb") as file:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8"):
            row = json.loads(line)
            found[{"nb": "no"}.get(row["lang"], row["lang"])].append(row["text"])
    return found


@pytest.mark.real
@pytest.mark.parametrize(
    ("joined", "texts", "accuracy", "wrongly_english"),
    [(1, 15000, 0.9426, 81), (2, 7500, 0.9682, 21), (4, 3750, 0.9762, 7), (8, 1875, 0.9812, 0)],
)
def test_identify_of_real_sentences_keeps_its_accuracy(
    sentences: dict[str, list[str]], joined: int, texts: int, accuracy: float, wrongly_english: int
) -> None:
    """So many sentences a text; the figures are those measured, and in docs/stages/extract.md."""
    truth, given = [], []
    for code, ours in sentences.items():
        for i in range(0, len(ours), joined):
            truth.append(code)
            given.append(" ".join(ours[i : i + joined]))
    found = codes_of(*given, maximum_bytes=LANGUAGE_BYTES)
    assert len(given) == texts
    assert np.mean([a == b for a, b in zip(found, truth, strict=True)]) >= accuracy
    not_english = [a for a, b in zip(found, truth, strict=True) if b != "en"]
    assert not_english.count("en") <= wrongly_english

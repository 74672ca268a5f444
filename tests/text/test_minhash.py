"""MinHash signatures against datasketch, band keys, Jaccard and exact keys."""

from __future__ import annotations

import hashlib
import io
import json
import random
from pathlib import Path

import mmh3
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import zstandard
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.text import minhash, normalization
from corpus.text.ngrams import shingle_sets

WORDS = [
    "the",
    "The",
    "cat",
    "Ω",
    "ΟΔΟΣ",
    "naïve,",
    "日本語",
    "—",
    "x_1",
    "İstanbul",
    "won't",
    "42",
]


def oracle(
    text: str, *, permutations: int, shingle: int, words: str, seed: int
) -> npt.NDArray[np.uint32]:
    split = normalization.words(text, kind=words)
    sketch = MinHash(
        num_perm=permutations, seed=seed, hashfunc=lambda value: mmh3.hash(value, signed=False)
    )
    shingles = [split[i : i + shingle] for i in range(len(split) - shingle + 1)]
    if shingles:
        sketch.update_batch([" ".join(one).encode() for one in shingles])
    assert sketch.scheme == "affine32"
    return sketch.hashvalues


def generated(seed: int, count: int) -> list[str]:
    draw = random.Random(seed)
    long_words = ["".join(draw.choices("abcdé", k=length)) for length in range(1, 80)]
    return [
        " ".join(draw.choices([*WORDS, *long_words], k=draw.randint(0, 90))) for _ in range(count)
    ]


@pytest.mark.parametrize("kind", ["word", "whitespace", "plain"])
@pytest.mark.parametrize(
    ("permutations", "shingle", "seed"), [(128, 5, 1), (112, 1, 7), (1, 13, 0)]
)
def test_signatures_are_those_of_datasketch(
    kind: str, permutations: int, shingle: int, seed: int
) -> None:
    texts = generated(seed, 60)
    chosen = {"permutations": permutations, "shingle": shingle, "words": kind, "seed": seed}
    found = minhash.signatures(pa.array(texts, type=pa.large_string()), **chosen)
    assert found.dtype == np.uint32
    assert found.shape == (60, permutations)
    np.testing.assert_array_equal(found, [oracle(text, **chosen) for text in texts])
    assert len({row.tobytes() for row in found}) > 30


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=60), shingle=st.integers(1, 3))
def test_signature_of_any_text_is_that_of_datasketch(text: str, shingle: int) -> None:
    chosen = {"permutations": 16, "shingle": shingle, "words": "word", "seed": 3}
    found = minhash.signatures(pa.array([text]), **chosen)
    np.testing.assert_array_equal(found[0], oracle(text, **chosen))


@pytest.mark.real
def test_signatures_of_real_texts_are_those_of_datasketch(real_data: Path) -> None:
    texts = [row["text"] for row in read(real_data / "neardup" / "ota_dating.docs.jsonl.zst")[:150]]
    texts += [row["text"] for row in read(real_data / "lang" / "sentences.jsonl.zst")[::50]]
    assert len(texts) > 400
    chosen = {"permutations": 128, "shingle": 5, "words": "word", "seed": 1}
    found = minhash.signatures(pa.array(texts), **chosen)
    np.testing.assert_array_equal(found, [oracle(text, **chosen) for text in texts])


def read(path: Path) -> list[dict[str, str]]:
    with path.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as stream:
        return [json.loads(line) for line in io.TextIOWrapper(stream, "utf-8")]


def test_signatures_of_texts_over_many_blocks_of_words_are_those_of_datasketch() -> None:
    """The kernel normalises 1024 words at a time, and shingles reach over the blocks' ends."""
    draw = random.Random(9)
    texts = [" ".join(str(draw.randrange(10**6)) for _ in range(n)) for n in (1023, 1025, 3000)]
    chosen = {"permutations": 64, "shingle": 13, "words": "plain", "seed": 1}
    found = minhash.signatures(pa.array(texts), **chosen)
    np.testing.assert_array_equal(found, [oracle(text, **chosen) for text in texts])


@pytest.mark.parametrize("shingle", [1, 2, 13])
def test_signatures_of_texts_that_are_not_held_whole_are_those_of_datasketch(shingle: int) -> None:
    """The kernel lets go of words of which no shingle is left, some 64 kB at a time."""
    draw = random.Random(9)
    texts = [" ".join(str(draw.randrange(10**9)) for _ in range(n)) for n in (20_000, 7_000)]
    texts += ["ab" * 50_000 + " " + texts[1]]
    chosen = {"permutations": 16, "shingle": shingle, "words": "plain", "seed": 1}
    found = minhash.signatures(pa.array(texts), **chosen)
    np.testing.assert_array_equal(found, [oracle(text, **chosen) for text in texts])


def test_signatures_of_words_beyond_any_measure_are_those_of_datasketch() -> None:
    """Hashes are computed together for 64 KiB of words, and one by one where words are longer."""
    long = ["x" * 70_000, "yz" * 33_000, "ä" * 40_000]
    texts = [" ".join([*WORDS, *long, *WORDS]), " ".join(long), f"a b {long[0]} c d"]
    chosen = {"permutations": 16, "shingle": 3, "words": "whitespace", "seed": 1}
    found = minhash.signatures(pa.array(texts), **chosen)
    np.testing.assert_array_equal(found, [oracle(text, **chosen) for text in texts])


def test_counts_are_those_of_all_shingles() -> None:
    texts = pa.array(["a b c a b c a", "a b", "", "a b c " * 1000])
    chosen = {"permutations": 4, "shingle": 3, "words": "word", "seed": 1}
    found, counts = minhash.counted_signatures(texts, **chosen)
    assert counts.tolist() == [5, 0, 0, 2998]
    np.testing.assert_array_equal(found, minhash.signatures(texts, **chosen))


def test_signatures_of_a_slice_are_a_slice_of_the_signatures() -> None:
    texts = pa.array(generated(2, 30))
    chosen = {"permutations": 32, "shingle": 2, "words": "word", "seed": 1}
    whole = minhash.signatures(texts, **chosen)
    np.testing.assert_array_equal(minhash.signatures(texts.slice(11, 8), **chosen), whole[11:19])


def test_signature_of_a_text_without_a_shingle_is_that_of_the_empty_set() -> None:
    texts = pa.array(["", "only four words here", "?!"])
    found = minhash.signatures(texts, permutations=8, shingle=5, words="word", seed=1)
    assert (found == 2**32 - 1).all()
    assert MinHash(num_perm=8).is_empty()
    np.testing.assert_array_equal(found[0], MinHash(num_perm=8).hashvalues)


def test_signatures_of_no_texts_have_no_rows() -> None:
    empty = pa.array([], type=pa.large_string())
    found = minhash.signatures(empty, permutations=8, shingle=5, words="word", seed=1)
    assert found.shape == (0, 8)
    assert minhash.band_keys(found, bands=2, rows=4).shape == (0, 2)


def test_signature_estimates_the_jaccard_similarity() -> None:
    draw = random.Random(8)
    first = [str(draw.randrange(10**9)) for _ in range(2000)]
    texts = pa.array([" ".join(first), " ".join(first[:1500])])
    found = minhash.signatures(texts, permutations=1024, shingle=5, words="word", seed=1)
    offsets, hashes = shingle_sets(texts, shingle=5, words="word")
    exact = minhash.jaccard(hashes[: offsets[1]], hashes[offsets[1] :])
    assert exact == 1496 / 1996
    # Standard deviation sqrt(J (1 - J) / 1024), about 0.0135.
    assert abs(float((found[0] == found[1]).mean()) - exact) < 0.054


def test_band_keys_are_equal_where_the_bands_values_are() -> None:
    draw = np.random.default_rng(1)
    rows = draw.integers(0, 2**32, (50, 20), dtype=np.uint32)
    rows[1, :8] = rows[0, :8]
    rows[2, 4:12] = rows[0, 4:12]
    rows[3, 16:] = rows[0, 16:]  # behind the last band
    keys = minhash.band_keys(rows, bands=4, rows=4)
    assert keys.dtype == np.uint64
    assert (keys[1] == keys[0]).tolist() == [True, True, False, False]
    assert (keys[2] == keys[0]).tolist() == [False, True, True, False]
    assert not (keys[3] == keys[0]).any()


def test_band_keys_of_equal_values_differ_from_band_to_band() -> None:
    keys = minhash.band_keys(np.zeros((1, 128), dtype=np.uint32), bands=64, rows=2)
    assert len(set(keys[0].tolist())) == 64


def test_band_key_depends_on_the_order_of_the_values() -> None:
    keys = minhash.band_keys(np.array([[1, 2], [2, 1]], dtype=np.uint32), bands=1, rows=2)
    assert keys[0, 0] != keys[1, 0]


def test_band_keys_spread_over_all_their_bits() -> None:
    """Keys are partitioned by their first bits, also those of the smallest values."""
    values = np.arange(4096, dtype=np.uint32).reshape(-1, 1)
    keys = minhash.band_keys(values, bands=1, rows=1)[:, 0]
    assert len(np.unique(keys)) == 4096
    for shift in (0, 30, 60):
        share = np.bincount((keys >> np.uint64(shift)).astype(np.int64) & 15, minlength=16)
        assert share.min() > 180, "256 expected, standard deviation 15.5"


def test_band_keys_are_the_same_for_ever() -> None:
    """An index on disk holds them: a change needs another BAND_KEY_VERSION."""
    keys = minhash.band_keys(np.array([[1, 2, 3, 4]], dtype=np.uint32), bands=2, rows=2)
    assert minhash.BAND_KEY_VERSION == "fmix64-chain-1"
    mask = (1 << 64) - 1

    def mixed(value: int) -> int:
        value = ((value ^ (value >> 33)) * 0xFF51AFD7ED558CCD) & mask
        value = ((value ^ (value >> 33)) * 0xC4CEB9FE1A85EC53) & mask
        return value ^ (value >> 33)

    assert keys[0].tolist() == [mixed(mixed(mixed(1) ^ 1) ^ 2), mixed(mixed(mixed(2) ^ 3) ^ 4)]


@pytest.mark.parametrize(("bands", "rows"), [(5, 4), (0, 4), (4, 0), (-1, -1)])
def test_band_keys_that_need_more_values_than_there_are_are_refused(bands: int, rows: int) -> None:
    with pytest.raises(ValueError, match="cannot be taken from 16 permutations"):
        minhash.band_keys(np.zeros((1, 16), dtype=np.uint32), bands=bands, rows=rows)


@settings(max_examples=200, deadline=None)
@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_jaccard_is_that_of_the_sets(a: set[int], b: set[int]) -> None:
    expected = len(a & b) / len(a | b) if a | b else 0.0
    # Up to 40 · 2^58, above 2^63: a signed comparison would go wrong.
    left, right = (np.array(sorted(values), dtype=np.uint64) << np.uint64(58) for values in (a, b))
    assert minhash.jaccard(left, right) == expected


def test_exact_keys_are_the_blake2b_of_the_bytes() -> None:
    texts = ["", "a", "ä", "a", "日本" * 500]
    for column in (pa.array(texts), pa.array(["x", *texts], type=pa.large_string()).slice(1)):
        keys = minhash.exact_keys(column)
        assert keys.dtype == np.uint64
        expected = [hashlib.blake2b(text.encode(), digest_size=16).hexdigest() for text in texts]
        assert [f"{high:016x}{low:016x}" for high, low in keys.tolist()] == expected
    assert minhash.exact_keys(pa.array([], type=pa.string())).shape == (0, 2)

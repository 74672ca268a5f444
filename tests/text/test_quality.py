"""The quality score against scikit-learn, and the Pareto draw against NumPy and the closed form."""

from __future__ import annotations

import io
import json
import math
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression

from corpus.text import hashed_words, lower_case, quality
from corpus.text.quality import Features, LinearModel

NASTY = [
    "",
    "   \t\n ",
    "word",
    "The the THE tHe  the",
    "a b a b a b",
    " leading and trailing ",
    "İstanbul İİ I ı",
    "ΟΔΥΣΣΕΥΣ Σ ΑΣ ΣΑ ΑΣ. Σ' ΑΣ\u0301 ΑΣB Α\u00adΣ",
    "ςσΣ mixed ΑΣ\u00a0ΒΣ",
    "non\u00a0breaking\u3000ideographic\u2028line\u2029paragraph\u1680ogham\u200bzero",
    "\x1c\x1d\x1e\x1f\x85separators\x1cinside\x0bwords\x0cand\x00null",
    "ȺȾ grow ẞ ſ K Å Ω",
    "𐐀𐐨 𝐀 😀 👩\u200d👩\u200d👧 𞤀 𐲀",
    "漢字 かな 한국어 العربية עברית हिन्दी ไทย",
    "\ue000 \uffff \ufffe \U0010ffff",
    "x" * 100_000,
    "ab " * 10_000,
    "é" * 333 + " " + "ß" * 7,
]
ANY_TEXT = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("Σσςİ aA\n"))
)


def model_of(features: Features, *, seed: int = 0) -> LinearModel:
    rng = np.random.default_rng(seed)
    return LinearModel(features, rng.normal(size=features.count), 0.25)


def reference(texts: list[str], model: LinearModel) -> NDArray[np.float64]:
    features = model.features
    vectorizer = HashingVectorizer(
        tokenizer=str.split,
        token_pattern=None,
        lowercase=True,
        n_features=features.count,
        ngram_range=(1, features.ngrams),
        alternate_sign=False,
        norm=None if features.norm == "none" else "l2",
    )
    regression = LogisticRegression()
    regression.classes_ = np.array([0, 1])
    regression.coef_ = model.weights[np.newaxis]
    regression.intercept_ = np.array([model.intercept])
    return np.asarray(regression.predict_proba(vectorizer.transform(texts))[:, 1])


def assert_agrees(texts: list[str], model: LinearModel) -> None:
    scores = quality.scores(pa.array(texts, pa.string()), model)
    np.testing.assert_allclose(scores, reference(texts, model), rtol=0, atol=1e-12)


@pytest.mark.parametrize("norm", ["l2", "none"])
@pytest.mark.parametrize("ngrams", [1, 2])
@pytest.mark.parametrize("count", [1 << 18, 1 << 10, 1000, 7, 1])
def test_scores_of_nasty_texts_equal_scikit_learn(count: int, ngrams: int, norm: str) -> None:
    """Few buckets make collisions certain; odd numbers of them tell modulo from a mask."""
    assert_agrees(NASTY, model_of(Features(count, ngrams, norm)))


@settings(max_examples=150, deadline=None)
@given(st.lists(ANY_TEXT, max_size=8), st.sampled_from([1, 2]))
def test_scores_of_any_text_equal_scikit_learn(texts: list[str], ngrams: int) -> None:
    if texts:
        assert_agrees(texts, model_of(Features(4096, ngrams, "l2")))


def test_scores_of_every_code_point_equal_scikit_learn() -> None:
    """Each code point alone, between letters and between spaces, in blocks of 64."""
    points = [p for p in range(sys.maxunicode + 1) if not 0xD800 <= p < 0xE000]
    step = 64
    texts = [
        " ".join(f"a{chr(p)}b{chr(p)}" for p in points[i : i + step])
        for i in range(0, len(points), step)
    ]
    assert_agrees(texts, model_of(Features(1 << 18, 1, "l2")))


def test_scores_with_lower_case_of_lower_case_stay_the_same() -> None:
    """What the texts with a capital sigma rely on: the table leaves lower case as it is."""
    table = lower_case.lower_table()
    checked = 0
    for code in range(0x80, sys.maxunicode + 1):
        if table[code] <= lower_case.CAPITAL_SIGMA or 0xD800 <= code < 0xE000:
            continue
        lowered = int(table[code]).to_bytes(4, "little").rstrip(b"\0").decode()
        assert lowered == chr(code).lower()
        assert lowered.isascii() or table[ord(lowered)] == table[code]
        checked += 1
    assert checked > 1_100_000


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 31, 32, 33, 63, 64, 65])
def test_scores_at_every_edge_of_the_scratch_equal_scikit_learn(size: int) -> None:
    """Words and characters that straddle the blocks in which a text is read, and its end."""
    scratch = hashed_words.SCRATCH
    texts = []
    for word in ("Word", "Größe", "漢字", "\u2028\u2028x", "İ𐐀"):
        for length in (size, scratch - 40 + size, 2 * scratch - 40 + size):
            texts.append("y" * length + word + " end")
            texts.append(("ab " * length)[:length] + word)
    assert_agrees(texts, model_of(Features(1 << 12, 2, "l2")))


def test_scores_of_many_texts_are_those_of_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts of one text must not reach the next, also where the base of counts starts again."""
    rng = np.random.default_rng(5)
    texts = [" ".join(rng.choice(["a", "b", "c", "é"], rng.integers(1, 400))) for _ in range(300)]
    model = model_of(Features(64, 2, "l2"))
    alone = [quality.scores(pa.array([text]), model)[0] for text in texts]
    np.testing.assert_array_equal(quality.scores(pa.array(texts), model), alone)
    for largest in (0, 1, 20, 100):  # of 65,535: the rest is counted elsewhere
        monkeypatch.setattr(quality, "_LARGEST_COUNT", largest)
        np.testing.assert_array_equal(quality.scores(pa.array(texts), model), alone)


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string()])
def test_scores_of_a_slice_equal_those_of_the_whole(type_: pa.DataType) -> None:
    model = model_of(Features(1 << 12, 2, "l2"))
    column = pa.array(NASTY, type_)
    whole = quality.scores(column, model)
    for start in range(len(NASTY)):
        np.testing.assert_array_equal(
            quality.scores(column[start : start + 5], model), whole[start : start + 5]
        )
    assert quality.scores(column[:0], model).shape == (0,)
    assert quality.scores(pa.array([], type_), model).shape == (0,)
    assert quality.scores(pa.array([""], type_), model) == pytest.approx(1 / (1 + math.exp(-0.25)))


def test_scores_far_from_the_boundary_stay_from_zero_to_one() -> None:
    features = Features(4, 1, "none")
    texts = pa.array(["a b c d " * 1000])
    for weight, expected in ((1000.0, 1.0), (-1000.0, 0.0)):
        model = LinearModel(features, np.full(4, weight), 0.0)
        assert quality.scores(texts, model)[0] == expected


def test_scores_of_bytes_that_are_not_utf8_are_finite() -> None:
    """A Parquet file may lie about its text: no crash, and the same scores each time."""
    rng = np.random.default_rng(1)
    raw = [rng.integers(0, 256, size).astype(np.uint8).tobytes() for size in range(200)]
    raw += [b"\xf4", b"\xe2\x82", b"ok \xce", b"\xff\xce\xa3", b"\xed\xa0\x80 \xc0\x80"]
    column = pa.Array.from_buffers(pa.string(), len(raw), pa.array(raw, pa.binary()).buffers())
    model = model_of(Features(1 << 10, 2, "l2"))
    scores = quality.scores(column, model)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(scores, quality.scores(column, model))


def test_scores_with_nulls_or_another_type_are_refused() -> None:
    model = model_of(Features(8, 1, "l2"))
    with pytest.raises(ValueError, match="1 of 2 values are null"):
        quality.scores(pa.array(["a", None]), model)
    with pytest.raises(TypeError, match="int64"):
        quality.scores(pa.array([1, 2]), model)


@pytest.mark.parametrize(("count", "ngrams", "norm"), [(0, 1, "l2"), (8, 3, "l2"), (8, 1, "l1")])
def test_features_that_make_no_sense_are_refused(count: int, ngrams: int, norm: str) -> None:
    with pytest.raises(ValueError, match="it must be"):
        Features(count, ngrams, norm)


def test_model_with_wrong_weights_is_refused() -> None:
    features = Features(8, 1, "l2")
    for weights in (np.zeros(7), np.zeros(8, np.float32), np.full(8, np.nan)):
        with pytest.raises(ValueError, match="weight"):
            LinearModel(features, weights, 0.0)
    with pytest.raises(ValueError, match="finite"):
        LinearModel(features, np.zeros(8), math.inf)


@pytest.mark.real
def test_scores_of_real_pages_equal_scikit_learn(real_data: Path) -> None:
    texts = []
    for name in ("gold/main_text.jsonl.zst", "lang/sentences.jsonl.zst"):
        with (real_data / name).open("rb") as file:
            lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8")
            texts += [json.loads(line)["text"] for line in lines][::5]
    assert len(texts) > 3000
    for ngrams in (1, 2):
        assert_agrees(texts, model_of(Features(1 << 18, ngrams, "l2")))


# The draw.

SCORES = np.linspace(0, 1, 1001)


@pytest.mark.parametrize(
    ("alpha", "score", "probability", "digits"),
    [
        (9, 0.0, 0.0020, 4),
        (9, 0.25, 0.0065, 4),
        (9, 0.5, 0.026, 3),
        (9, 0.75, 0.134, 3),
        (9, 0.9, 0.424, 3),
        (9, 0.95, 0.645, 3),
        (9, 0.99, 0.914, 3),
        (9, 1.0, 1.0, 12),
        (3, 0.0, 0.125, 12),
        (3, 0.5, 0.296, 3),
        (3, 0.9, 0.751, 3),
    ],
)
def test_keep_probability_has_the_closed_form(
    alpha: float, score: float, probability: float, digits: int
) -> None:
    found = quality.keep_probability(np.array([score]), alpha=alpha)[0]
    assert round(float(found), digits) == probability


@pytest.mark.parametrize("alpha", [1.0, 3.0, 9.0])
def test_keep_probability_is_that_of_numpys_pareto(alpha: float) -> None:
    """The paper's own line, drawn 200,000 times; five standard deviations are allowed."""
    rng = np.random.default_rng(2020)
    drawn = rng.pareto(alpha, 200_000)
    for score in (0.0, 0.3, 0.5, 0.8, 0.95, 1.0):
        expected = float(quality.keep_probability(np.array([score]), alpha=alpha)[0])
        share = float((drawn > 1 - score).mean())
        assert abs(share - expected) <= 5 * math.sqrt(expected * (1 - expected) / 200_000) + 1e-12


def test_keep_with_hashed_draws_keeps_the_expected_share() -> None:
    draws = quality.draws(pa.array([f"document-{i}" for i in range(100_000)]), seed=7)
    for score in (0.0, 0.5, 0.9):
        kept = quality.keep(np.full(100_000, score), draws, alpha=9).mean()
        expected = (2 - score) ** -9
        assert abs(kept - expected) < 5 * math.sqrt(expected * (1 - expected) / 100_000)
    assert quality.keep(np.ones(100_000), draws, alpha=9).all()


def test_keep_is_nested_as_alpha_falls() -> None:
    rng = np.random.default_rng(3)
    scores = rng.random(20_000)
    draws = quality.draws(pa.array([str(i) for i in range(20_000)]), seed=1)
    before = quality.keep(scores, draws, alpha=12)
    assert before.sum() > 0
    for alpha in (9, 6, 3, 1, 0.5):
        kept = quality.keep(scores, draws, alpha=alpha)
        assert not (before & ~kept).any()
        assert kept.sum() > before.sum()
        before = kept


def test_draws_are_a_function_of_seed_and_id_alone() -> None:
    ids = [f"{i:032x}" for i in range(5000)]
    draws = quality.draws(pa.array(ids), seed=5)
    order = np.random.default_rng(0).permutation(len(ids))
    np.testing.assert_array_equal(
        quality.draws(pa.array([ids[i] for i in order]), seed=5), draws[order]
    )
    np.testing.assert_array_equal(quality.draws(pa.array(ids)[1234:1300], seed=5), draws[1234:1300])
    assert (quality.draws(pa.array(ids), seed=6) != draws).all()
    # Pinned, since a build of another day must draw the same.
    assert quality.draws(pa.array(["a", "é"]), seed=2020).tolist() == [
        0.5912509319294561,
        0.32828547505888683,
    ]


def test_draws_are_uniform() -> None:
    draws = quality.draws(pa.array([str(i) for i in range(100_000)]), seed=0)
    assert draws.min() >= 0
    assert draws.max() < 1
    counts = np.histogram(draws, 20, (0, 1))[0]
    assert ((counts - 5000) ** 2 / 5000).sum() < 43.8  # chi-squared, 19 degrees, p = 0.001


@pytest.mark.parametrize("alpha", [0.0, -1.0, math.nan, math.inf])
def test_keep_probability_with_impossible_alpha_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        quality.keep_probability(SCORES, alpha=alpha)


@pytest.mark.parametrize("score", [-0.01, 1.01, math.nan])
def test_keep_probability_with_impossible_score_is_refused(score: float) -> None:
    with pytest.raises(ValueError, match="score"):
        quality.keep_probability(np.array([0.5, score]), alpha=9)

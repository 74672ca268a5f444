"""The quality classifier: fitting, evaluation, the fit of alpha, and artefacts whole and broken."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import zstandard

from corpus import classifier
from corpus.classifier import training
from corpus.classifier.metrics import ALPHAS
from corpus.errors import InputError, StageError
from corpus.text import quality
from corpus.text.quality import Features, LinearModel

ROOT = Path(__file__).resolve().parent.parent.parent
FEATURES = Features(1 << 12, 1, "l2")
NOUNS = [f"noun{i}" for i in range(60)]
JUNK = [f"junk{i}" for i in range(60)]


def documents(count: int, *, seed: int, junk: float) -> list[pa.Array]:
    """Return documents of 20 to 80 words of which a share is junk, in two columns."""
    rng = np.random.default_rng(seed)
    texts = []
    for _ in range(count):
        words = rng.choice(NOUNS, rng.integers(20, 80))
        swap = rng.random(len(words)) < junk
        words[swap] = rng.choice(JUNK, int(swap.sum()))
        texts.append(" ".join(words))
    return [pa.array(texts[: count // 3]), pa.array(texts[count // 3 :], pa.large_string())]


def fit(**changes: Any) -> tuple[LinearModel, classifier.Metrics]:
    settings: dict[str, Any] = {
        "positives": documents(200, seed=1, junk=0.1),
        "negatives": documents(400, seed=2, junk=0.3),
        "features": FEATURES,
        "seed": 5,
        "inverse_regularisation": 1.0,
        "truncate_characters": None,
        "held_out": 0.2,
    }
    settings.update(changes)
    positives, negatives = settings.pop("positives"), settings.pop("negatives")
    return classifier.fit(positives, negatives, **settings)


def test_fit_separates_classes_and_accounts_for_every_document() -> None:
    model, metrics = fit()
    assert metrics.trained_on + metrics.positives + metrics.negatives == 600
    assert 20 <= metrics.positives <= 65
    assert 45 <= metrics.negatives <= 120
    assert metrics.roc_auc > 0.95
    assert metrics.average_precision > 0.9
    assert metrics.f1 > 0.8
    assert metrics.mean_positive_score > 0.5 > metrics.mean_negative_score
    assert metrics.warnings == ()
    clean, spoilt = documents(60, seed=9, junk=0.0)[1], documents(60, seed=9, junk=0.5)[1]
    assert quality.scores(clean, model).min() > quality.scores(spoilt, model).max()


def test_fit_equals_scikit_learns_own_pipeline() -> None:
    """The documents that are trained on are those whose draw is not under the share held out."""
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    positives, negatives = documents(90, seed=1, junk=0.1), documents(90, seed=2, junk=0.3)
    model, _ = fit(positives=positives, negatives=negatives, held_out=0.3)
    texts, labels = [], []
    for label, columns in ((1, positives), (0, negatives)):
        for column in columns:
            kept = quality.draws(column, seed=5) >= 0.3
            texts += column.filter(pa.array(kept)).to_pylist()
            labels += [label] * int(kept.sum())
    assert 0 < sum(labels) < len(labels) < 180
    pipeline = make_pipeline(
        HashingVectorizer(
            tokenizer=str.split, token_pattern=None, n_features=1 << 12, alternate_sign=False
        ),
        LogisticRegression(class_weight="balanced"),
    ).fit(texts, labels)
    unseen = documents(50, seed=3, junk=0.2)[1]
    np.testing.assert_allclose(
        quality.scores(unseen, model),
        pipeline.predict_proba(unseen.to_pylist())[:, 1],
        rtol=0,
        atol=1e-6,
    )


def test_fit_is_deterministic_and_follows_the_seed() -> None:
    first, second, other = fit()[0], fit()[0], fit(seed=6)[0]
    np.testing.assert_array_equal(first.weights, second.weights)
    assert first.intercept == second.intercept
    assert (first.weights != other.weights).any()


@pytest.mark.slow
def test_fit_does_not_depend_on_the_number_of_threads() -> None:
    code = (
        "import sys, hashlib; sys.path.insert(0, 'tests/classifier')\n"
        "import test_training as t\n"
        "from corpus.text.quality import Features\n"
        "m = t.fit(features=Features(1 << 18, 2, 'l2'))[0]\n"
        "print(hashlib.sha256(m.weights.tobytes()).hexdigest(), m.intercept)\n"
    )
    outputs = set()
    for threads in ("1", "2", "4"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, threads), "PYTHONPATH": str(ROOT)}
        run = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=True
        )
        outputs.add(run.stdout)
    assert len(outputs) == 1


def test_fit_on_the_head_of_documents_ignores_their_tails() -> None:
    positives = [
        pa.array([f"{t} {'junk1 ' * 200}" for t in c.to_pylist()])
        for c in documents(200, seed=1, junk=0.0)
    ]
    negatives = [
        pa.array([f"{t} {'junk1 ' * 200}" for t in c.to_pylist()])
        for c in documents(200, seed=2, junk=0.5)
    ]
    heads = [
        fit(positives=p, negatives=n, truncate_characters=100)[0]
        for p, n in (
            (positives, negatives),
            (documents(200, seed=1, junk=0.0), documents(200, seed=2, junk=0.5)),
        )
    ]
    assert heads[0].weights.any()
    # The split follows the whole text, so the two are trained on other documents but alike.
    texts = pa.array(["noun1 noun2 noun3", "junk2 junk3 junk4"])
    for model in heads:
        good, bad = quality.scores(texts, model)
        assert good > 0.5 > bad


@pytest.mark.parametrize("norm", ["l2", "none"])
@pytest.mark.parametrize("ngrams", [1, 2])
def test_fit_with_every_kind_of_features_separates_classes(ngrams: int, norm: str) -> None:
    model, metrics = fit(features=Features(1 << 14, ngrams, norm))
    assert model.features == Features(1 << 14, ngrams, norm)
    assert metrics.roc_auc > 0.9


@pytest.mark.parametrize(
    ("positives", "negatives", "message"),
    [
        ([], [pa.array(["a b"])], "no positive"),
        ([pa.array([], pa.string())], [pa.array(["a b"])], "no positive"),
        ([pa.array(["a"] * 50)], [pa.array(["b"])], "too few positive"),
        (documents(50, seed=1, junk=0.1), [], "no negative"),
    ],
)
def test_fit_without_a_class_names_it(
    positives: list[pa.Array], negatives: list[pa.Array], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        fit(positives=positives, negatives=negatives)


def test_fit_that_does_not_converge_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "MAXIMUM_ITERATIONS", 2)
    with pytest.raises(StageError, match="did not converge within 2 iterations"):
        fit()


# Evaluation.


def test_evaluate_of_known_scores_gives_known_numbers() -> None:
    """One word decides: log-odds of +2 and -2 give scores of 0.881 and 0.119."""
    features = Features(1 << 10, 1, "none")
    weights = np.zeros(1 << 10)
    model = LinearModel(features, weights, 0.0)
    for word, value in (("good", 2.0), ("bad", -2.0)):
        probe = [
            quality.scores(pa.array([word]), LinearModel(features, np.eye(1 << 10)[i], 0.0))[0]
            for i in range(1 << 10)
        ]
        weights[int(np.argmax(probe))] = value
    texts = pa.array(["good"] * 3 + ["bad"] + ["bad"] * 5 + ["good"])
    labels = np.array([True] * 4 + [False] * 6)
    metrics = classifier.evaluate(model, texts, labels)
    high, low = 1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))
    assert (metrics.positives, metrics.negatives, metrics.trained_on) == (4, 6, 0)
    # Of 24 pairs 15 are in order and 3 + 5 are ties.
    assert metrics.roc_auc == pytest.approx((15 + 8 / 2) / 24)
    assert metrics.f1 == pytest.approx(0.75)
    assert metrics.mean_positive_score == pytest.approx((3 * high + low) / 4)
    assert [b.documents for b in metrics.calibration] == [0, 6, 0, 0, 0, 0, 0, 0, 4, 0]
    # One of 4 positives and 5 of 6 negatives, with both classes counted the same.
    assert metrics.calibration[1].positive_share == pytest.approx((1 / 4) / (1 / 4 + 5 / 6))
    assert metrics.calibration_error == pytest.approx(
        abs(low * (1 / 4 + 5 / 6) - 1 / 4) / 2 + abs(high * (3 / 4 + 1 / 6) - 3 / 4) / 2
    )
    assert metrics.calibration[8].mean_score == pytest.approx(high)
    assert metrics.calibration[0].mean_score is None
    assert [k.alpha for k in metrics.keep_rates] == [float(a) for a in range(1, 13)]
    nine = metrics.keep_rates[8]
    assert nine.positives == pytest.approx((3 * (2 - high) ** -9 + (2 - low) ** -9) / 4)
    assert nine.negatives == pytest.approx(((2 - high) ** -9 + 5 * (2 - low) ** -9) / 6)
    assert [d.documents for d in metrics.length_deciles] == [1] * 10
    assert [d.longest_characters for d in metrics.length_deciles] == [3] * 6 + [4] * 4
    assert metrics.length_deciles[0].mean_score == pytest.approx(low)
    assert metrics.warnings == ()


def test_evaluate_of_nearly_constant_scores_warns() -> None:
    model = LinearModel(FEATURES, np.full(1 << 12, 1e-4), 0.0)
    metrics = classifier.evaluate(
        model, pa.array(["a b", "c", "d e f"]), np.array([True, False, True])
    )
    assert len(metrics.warnings) == 1
    assert "nearly constant" in metrics.warnings[0]
    assert "inverse_regularisation" in metrics.warnings[0]


@pytest.mark.parametrize("label", [True, False])
def test_evaluate_on_one_class_is_refused(label: bool) -> None:
    model = LinearModel(FEATURES, np.zeros(1 << 12), 0.0)
    with pytest.raises(InputError, match="one class"):
        classifier.evaluate(model, pa.array(["a", "b"]), np.array([label, label]))


# The fit of alpha.


@pytest.mark.parametrize("alpha", [1.0, 3.0, 9.0, 20.0])
def test_fit_alpha_finds_the_alpha_that_made_the_reference(alpha: float) -> None:
    """The reference is what that alpha keeps of another sample of the same crawl."""
    rng = np.random.default_rng(8)
    crawl, again = rng.beta(1, 2, 200_000), rng.beta(1, 2, 400_000)
    kept = again[quality.keep(again, rng.random(again.size), alpha=alpha)]
    assert kept.size > 2000
    assert classifier.fit_alpha(kept, crawl) == pytest.approx(alpha, rel=0.1)


def test_fit_alpha_does_not_depend_on_the_order_of_scores() -> None:
    rng = np.random.default_rng(1)
    crawl, reference = rng.beta(1, 2, 5000), rng.beta(5, 3, 500)
    alpha = classifier.fit_alpha(reference, crawl)
    assert alpha == classifier.fit_alpha(rng.permutation(reference), rng.permutation(crawl))
    assert alpha == round(alpha, 2)


def test_fit_alpha_is_no_worse_than_any_alpha_of_a_grid() -> None:
    rng = np.random.default_rng(2)
    crawl, reference = rng.beta(1, 3, 3000), rng.beta(6, 3, 700)

    def distance(alpha: float) -> float:
        points = np.linspace(0, 1, 20_001)
        weights = (2 - np.sort(crawl)) ** -alpha
        below = np.concatenate([[0], np.cumsum(weights)]) / weights.sum()
        kept = below[np.searchsorted(np.sort(crawl), points, side="right")]
        theirs = np.searchsorted(np.sort(reference), points, side="right") / reference.size
        return float(np.abs(kept - theirs).mean())

    found = distance(classifier.fit_alpha(reference, crawl))
    assert found <= min(distance(a) for a in np.arange(0.5, 40, 0.5)) + 1e-4


def test_fit_alpha_without_an_optimum_fails() -> None:
    rng = np.random.default_rng(3)
    low, high = rng.uniform(0.0, 0.3, 1000), rng.uniform(0.7, 1.0, 1000)
    with pytest.raises(InputError, match="as high as the reference"):
        classifier.fit_alpha(low, high)
    with pytest.raises(InputError, match="lower than the reference"):
        classifier.fit_alpha(high, low)
    with pytest.raises(InputError, match="without crawl documents"):
        classifier.fit_alpha(high, np.empty(0))
    with pytest.raises(InputError, match="without reference documents"):
        classifier.fit_alpha(np.empty(0), high)


# Artefacts.


@pytest.fixture(scope="module")
def trained() -> tuple[LinearModel, classifier.Metrics]:
    return fit()


def test_save_and_load_give_the_same_model_and_the_same_bytes(
    trained: tuple[LinearModel, classifier.Metrics], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, metrics = trained
    classifier.save(model, str(tmp_path / "a"), metrics)
    loaded = classifier.load(str(tmp_path / "a"))
    assert loaded.features == model.features
    assert loaded.intercept == model.intercept
    np.testing.assert_array_equal(loaded.weights, model.weights)
    texts = documents(30, seed=4, junk=0.2)[1]
    np.testing.assert_array_equal(quality.scores(texts, loaded), quality.scores(texts, model))
    now = time.time() + 400 * 86400
    monkeypatch.setattr(time, "time", lambda: now)
    classifier.save(loaded, str(tmp_path / "b"), metrics)
    for name in ("model.npz", "metrics.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["metrics.json", "model.npz"]


def test_save_writes_what_numpy_reads_and_readable_metrics(
    trained: tuple[LinearModel, classifier.Metrics], tmp_path: Path
) -> None:
    model, metrics = trained
    classifier.save(model, str(tmp_path), metrics)
    with np.load(tmp_path / "model.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["weights"], model.weights)
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written["features"] == {"count": 4096, "ngrams": 1, "norm": "l2"}
    assert written["metrics"]["roc_auc"] == metrics.roc_auc
    assert len(written["metrics"]["keep_rates"]) == len(ALPHAS)


def rewrite(path: Path, **arrays: Any) -> None:
    with np.load(path, allow_pickle=False) as old:
        content = {name: old[name] for name in old.files}
    content.update(arrays)
    np.savez_compressed(path, **{k: v for k, v in content.items() if v is not None})


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"features_version": np.array("other-2")}, "other features.*'other-2'.*lower-whitespace"),
        ({"weights": np.zeros(4095)}, "shape"),
        ({"weights": np.zeros((4096, 1))}, "shape"),
        ({"weights": np.zeros(4096)}, "32-bit"),
        ({"weights": np.full(4096, np.nan, np.float32)}, "finite"),
        ({"weights": np.full(4096, np.inf, np.float32)}, "finite"),
        ({"weights": None}, "weights"),
        ({"weights": np.array([{"a": 1}] * 4096, dtype=object)}, "weights"),
        ({"count": np.array(-1)}, "count"),
        ({"count": np.array(1 << 40)}, "count"),
        ({"ngrams": np.array(9)}, "ngrams"),
        ({"norm": np.array("l7")}, "norm"),
        ({"intercept": np.array(np.nan)}, "finite"),
    ],
)
def test_load_of_another_or_impossible_model_is_refused(
    trained: tuple[LinearModel, classifier.Metrics],
    tmp_path: Path,
    arrays: dict[str, Any],
    message: str,
) -> None:
    classifier.save(trained[0], str(tmp_path), trained[1])
    rewrite(tmp_path / "model.npz", **arrays)
    with pytest.raises(InputError, match=message) as caught:
        classifier.load(str(tmp_path))
    assert str(tmp_path / "model.npz") in str(caught.value)
    assert "filter: {classifier: {positives" in str(caught.value)


def test_load_from_an_empty_or_missing_folder_says_what_is_missing(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match=re.escape("model.npz: there is no classifier")):
            classifier.load(str(folder))


def test_load_of_a_damaged_file_is_refused_and_never_raises_otherwise(
    trained: tuple[LinearModel, classifier.Metrics], tmp_path: Path
) -> None:
    """Cut at every 997th byte, and 300 times with some bytes changed."""
    classifier.save(trained[0], str(tmp_path), trained[1])
    path = tmp_path / "model.npz"
    whole = path.read_bytes()
    for size in range(0, len(whole), 997):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match="cut short or damaged"):
            classifier.load(str(tmp_path))
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        data = bytearray(whole)
        # Half of the changes in the directory at the end, where the names and sizes are.
        low = rng.choice([0, len(whole) - 400])
        for at in rng.integers(low, len(whole), 3):
            data[at] = rng.integers(256)
        path.write_bytes(data)
        try:
            loaded = classifier.load(str(tmp_path))
        except InputError:
            refused += 1
        else:  # a byte that says nothing, such as a date
            np.testing.assert_array_equal(loaded.weights, trained[0].weights)
    assert refused > 200


def test_load_of_an_array_header_that_lies_sets_no_memory_aside(
    trained: tuple[LinearModel, classifier.Metrics], tmp_path: Path
) -> None:
    """A header that claims 2^26 weights with nothing behind it, and one that is no header."""
    classifier.save(trained[0], str(tmp_path), trained[1])
    path = tmp_path / "model.npz"
    rewrite(path, count=np.array(1 << 26))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 26,)}
    )
    for lie in (header.getvalue(), b"\x93NUMPY\x01\x00\x10\x00{'shape': ((((((", b"no"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name, lie if name == "weights.npy" else data)
        with pytest.raises(InputError, match="cut short or damaged"):
            classifier.load(str(tmp_path))


@pytest.mark.real
@pytest.mark.slow
def test_fit_on_real_pages_tells_news_from_the_crawl(real_data: Path, tmp_path: Path) -> None:
    """News articles against the plain text of unfiltered pages; an area of .986 was measured."""
    from warcio.archiveiterator import ArchiveIterator

    with (real_data / "webtext" / "news.jsonl.zst").open("rb") as file:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8")
        news = [json.loads(line)["text"] for line in lines][::3]
    pages = []
    for path in sorted((real_data / "commoncrawl").glob("crawl-data/*/segments/*/wet/*.gz")):
        with path.open("rb") as file:
            for record in ArchiveIterator(file):
                if record.rec_type == "conversion":
                    pages += [record.content_stream().read().decode()]
    assert len(pages) > 1000
    model, metrics = fit(
        positives=[pa.array(news)],
        negatives=[pa.array(pages)],
        features=Features(1 << 18, 1, "l2"),
        truncate_characters=10_000,
    )
    assert metrics.roc_auc > 0.975
    assert metrics.keep_rates[8].positives > 3 * metrics.keep_rates[8].negatives
    alpha = classifier.fit_alpha(
        quality.scores(pa.array(news), model), quality.scores(pa.array(pages), model)
    )
    assert 0.05 < alpha < 200
    classifier.save(model, str(tmp_path), metrics)
    assert (tmp_path / "model.npz").stat().st_size < 2_500_000

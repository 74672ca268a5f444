"""The forecast of what each alpha keeps, against what is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus import classifier
from corpus.classifier.alpha import fit_alpha
from corpus.errors import InputError
from corpus.look import calibration
from tests.made import make_recipe, rows, run, text, write_jsonl


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("sources")
    good = [{"id": f"g{i}", "text": text(f"g {i}")} for i in range(100)]
    crawl = []
    for i in range(400):
        words = text(f"c {i}").split()
        for at in range(0, len(words) * (i % 4 > 0), 2 + i % 9):
            words[at] = "buy"
        crawl.append({"id": f"c{i}", "text": " ".join(words)})
    return {
        "good": str(write_jsonl(folder / "good.jsonl", good)),
        "crawl": {
            "documents": str(write_jsonl(folder / "crawl.jsonl", crawl)),
            "filter": True,
        },
    }


TRAINING = {"positives": ["good"], "negatives": ["crawl"], "features": 4096}


@pytest.fixture(scope="module")
def trained(sources: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an output folder with a classifier, and scores of all documents."""
    output = tmp_path_factory.mktemp("output")
    run(make_recipe(sources, filter={"classifier": TRAINING, "alpha": 3}), output)
    return output


def model_in(output: Path) -> Path:
    return next(output.glob("classifier-*")) / "classifier" / "quality"


def test_forecast_is_the_mean_of_the_keep_probabilities(
    sources: dict[str, Any], trained: Path
) -> None:
    recipe = make_recipe(sources, filter={"classifier": TRAINING, "alpha": 3})
    build = run(recipe, trained)
    found = calibration.calibrate(recipe, build)
    scores = np.array([r["score"] for r in rows(build.stage("filter"), "verdict", "crawl")])
    assert found.documents == 400
    assert found.now == 3
    assert found.mean_score == pytest.approx(scores.mean(), abs=1e-5)
    for rate in found.rates:
        assert rate.share == pytest.approx(((2 - scores) ** -rate.alpha).mean(), abs=1e-4)
    shares = [rate.share for rate in found.rates]
    assert shares == sorted(shares, reverse=True)
    lines = list(calibration.describe(found))
    assert "400 filtered documents" in str(lines[0])


def test_alpha_is_fitted_to_the_quantiles_that_a_given_classifier_has(
    sources: dict[str, Any], trained: Path, tmp_path: Path
) -> None:
    folder = str(model_in(trained))
    recipe = make_recipe(sources, filter={"classifier": folder, "alpha": "fit"})
    build = run(recipe, tmp_path)
    verdicts = rows(build.stage("filter"), "verdict", "crawl")
    scores = np.array([row["score"] for row in verdicts])
    quantiles = classifier.load_record(folder)["metrics"]["positive_quantiles"]
    expected = fit_alpha(np.array(quantiles), scores)
    alpha = build.stage("filter").settings["alpha"]
    assert alpha == pytest.approx(expected, abs=0.02)
    assert calibration.calibrate(recipe, build).fitted == alpha
    kept = np.array([row["kept"] for row in verdicts])
    assert kept.sum() == pytest.approx(((2 - scores) ** -alpha).sum(), abs=45)


@pytest.mark.parametrize(
    "change",
    [
        {"metrics": {}},
        {"metrics": None},
        {"metrics": {"positive_quantiles": [0.5, 0.2]}},
        {"metrics": {"positive_quantiles": [0.5, 1.2]}},
        {"metrics": {"positive_quantiles": ["a"]}},
        {"metrics": {"positive_quantiles": [0, 10**400]}},
        {"metrics": {"positive_quantiles": [float("nan")]}},
    ],
)
def test_alpha_cannot_be_fitted_to_a_classifier_without_quantiles(
    sources: dict[str, Any], trained: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.npz").write_bytes((model_in(trained) / "model.npz").read_bytes())
    (folder / "metrics.json").write_text(json.dumps(change))
    recipe = make_recipe(sources, filter={"classifier": str(folder), "alpha": "fit"})
    with pytest.raises(InputError, match="alpha cannot be fitted to this classifier"):
        run(recipe, tmp_path / "output")


def test_build_without_scores_cannot_be_calibrated(sources: dict[str, Any], tmp_path: Path) -> None:
    recipe = make_recipe(sources, filter={})
    with pytest.raises(InputError, match="no scores"):
        calibration.calibrate(recipe, run(recipe, tmp_path))

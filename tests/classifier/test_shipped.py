"""The classifier that ships: whole, as its card says, and above its floors on real text."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from corpus import classifier
from corpus.classifier import card
from corpus.classifier.config import load_classifier_recipe
from corpus.classifier_folder import evaluate, read_probes, train
from corpus.config import load_recipe
from corpus.engine import LocalEngine
from corpus.progress import Silent
from corpus.text import quality

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "classifiers" / "quality"


@pytest.fixture(scope="module")
def record() -> dict[str, object]:
    return classifier.load_record(str(FOLDER))


def test_shipped_model_is_the_one_that_its_metrics_are_of(record: dict[str, object]) -> None:
    data = (FOLDER / "model.npz").read_bytes()
    assert record["model_sha256"] == hashlib.sha256(data).hexdigest()
    assert len(data) < 1_000_000
    model = classifier.load(str(FOLDER))
    assert record["features"] == {"count": 2**18, "ngrams": 1, "norm": "l2"}
    assert model.features.count == 2**18


def test_shipped_probes_have_the_scores_of_the_card_in_a_sensible_order(
    record: dict[str, object],
) -> None:
    model = classifier.load(str(FOLDER))
    texts = dict(read_probes(str(FOLDER)))
    scores = quality.scores(pa.array(list(texts.values())), model)
    found = dict(zip(texts, scores, strict=True))
    written = {probe["name"]: probe["score"] for probe in record["probes"]}  # type: ignore[attr-defined]
    assert found == pytest.approx(written, abs=1e-6)
    assert found["news story"] > 0.9
    assert 0.4 < found["encyclopaedia paragraph"] < found["news story"]
    assert 0.1 < found["how-to"] < found["encyclopaedia paragraph"]
    for junk in ("shop page", "spam page", "cookie wall", "stub", "page in German"):
        assert found[junk] < 0.05


def test_shipped_card_has_what_its_metrics_say(record: dict[str, object]) -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert card.markdown(record) in page
    assert card.renewed(page, record) == page


def test_shipped_files_hold_no_text_of_the_sources(record: dict[str, object]) -> None:
    """Every string in the metrics is short: a name, a digest, a word of a probe, a warning."""
    ours = " ".join(text.lower() for _, text in read_probes(str(FOLDER))).split()

    def strings(value: object) -> list[str]:
        if isinstance(value, dict):
            return [s for key, inner in value.items() for s in (key, *strings(inner))]
        if isinstance(value, list):
            return [s for inner in value for s in strings(inner)]
        return [value] if isinstance(value, str) else []

    assert max(map(len, strings(record))) <= 64
    for probe in record["probes"]:  # type: ignore[attr-defined]
        assert set(probe["raised_by"]) | set(probe["lowered_by"]) <= set(ours)


def test_recipes_that_name_the_shipped_classifier_find_it() -> None:
    recipe = load_recipe(str(ROOT / "pipelines" / "common-crawl" / "mix.yaml"))
    assert recipe.filter is not None
    assert isinstance(recipe.filter.classifier, str)
    assert Path(recipe.filter.classifier).resolve() == FOLDER


@pytest.mark.real
@pytest.mark.slow
def test_shipped_classifier_trained_again_is_the_same_and_holds_its_floors(
    real_data: Path, tmp_path: Path, record: dict[str, object]
) -> None:
    """Its recipe on the real texts: crawl, extract, sample, train, evaluate; some minutes."""
    folder = tmp_path / "quality"
    folder.mkdir()
    (folder / "data").symlink_to(real_data)
    for name in ("train.yaml", "probes.jsonl"):
        (folder / name).write_bytes((FOLDER / name).read_bytes())
    recipe = load_classifier_recipe(str(folder / "train.yaml"))
    output, engine = str(tmp_path / "output"), LocalEngine(2)
    text = (folder / "train.yaml").read_bytes()
    try:
        made = train(recipe, text, str(folder), output, engine, Silent)
        found = evaluate(recipe, str(FOLDER), output, engine, Silent)
    finally:
        engine.close()
    assert found.problems == ()
    assert found.record["held_out_sha256"] == record["held_out_sha256"] == made["held_out_sha256"]
    assert found.notes == ()
    shipped = record["metrics"]
    assert isinstance(shipped, dict)
    for name in ("roc_auc", "average_precision", "f1", "calibration_error"):
        assert found.record["metrics"][name] == pytest.approx(shipped[name], abs=1e-6)
        assert made["metrics"][name] == pytest.approx(shipped[name], abs=1e-3)


def test_shipped_recipe_is_a_recipe_and_floors_are_what_it_measured(
    record: dict[str, object],
) -> None:
    given = yaml.safe_load((FOLDER / "train.yaml").read_text())
    recipe = load_classifier_recipe(str(FOLDER / "train.yaml"))
    assert set(given["positives"]) == set(recipe.positives)
    floors, metrics = record["floors"], record["metrics"]
    assert isinstance(floors, dict)
    assert isinstance(metrics, dict)
    assert set(floors) == {"roc_auc", "average_precision", "f1"}
    for name, floor in floors.items():
        assert metrics[name] - 0.0056 < floor < metrics[name] - 0.0044
    quantiles = classifier.load_record(str(FOLDER))["metrics"]["positive_quantiles"]
    assert len(quantiles) == 1001
    assert json.dumps(sorted(quantiles)) == json.dumps(quantiles)

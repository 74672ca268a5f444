"""The probe: it foretells the build, keeps its constants alone, and does not outlive its recipe."""

from __future__ import annotations

import dataclasses
import json
import random
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from corpus import build as building
from corpus.config import Recipe
from corpus.engine import LocalEngine
from corpus.errors import IntegrityError, RecipeError, StageError
from corpus.planning import cost, forecast, inputs, show
from corpus.planning.constants import from_json
from corpus.planning.inputs import Extent
from corpus.planning.predict import predict
from corpus.planning.prediction import Prediction
from corpus.planning.probe import probe, read_probe
from corpus.planning.sources import Estimate
from corpus.progress import Silent
from corpus.storage import read_json
from tests.made import ENGINE, WORDS, make_recipe, write_jsonl

FILES, DOCUMENTS = 8, 240


def write_pages(folder: Path) -> None:
    """Write files of pages, of which one in eight is a copy of a page of any file."""
    draw = random.Random(3)
    texts: list[str] = []
    for number in range(FILES):
        rows = []
        for page in range(DOCUMENTS):
            if texts and draw.random() < 0.12:
                text = draw.choice(texts)
            else:
                text = " ".join(draw.choices(WORDS, k=draw.randrange(40, 160)))
                texts.append(text)
            rows.append({"id": f"{number}-{page}", "text": text})
        draw.shuffle(rows)
        write_jsonl(folder / f"pages-{number}.jsonl", rows)
    write_jsonl(folder / "essays.jsonl", [{"id": f"e{n}", "text": texts[n]} for n in range(10)])


def recipe_in(folder: Path, **plan: Any) -> Recipe:
    return make_recipe(
        {
            "essays": {"weight": 1, "documents": str(folder / "essays.jsonl")},
            "pages": {"weight": 3, "documents": str(folder / "pages-*.jsonl")},
        },
        tokens=100_000,
        dedup={"preset": "fineweb"},
        tokenize={"vocabulary": "gpt2"},
        mix={"sequence_length": 32, "max_epochs": 1000},
        plan={"sample_bytes": 200_000, "cores": 3, **plan},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    write_pages(folder)
    return folder


@pytest.fixture(scope="module")
def probed(folder: Path) -> Path:
    """Return the output folder of a probe."""
    output = folder / "output"
    probe(recipe_in(folder), str(output), ENGINE, Silent())
    return output


@pytest.fixture(scope="module")
def predicted(folder: Path, probed: Path) -> forecast.Forecast:
    made = forecast.forecast(recipe_in(folder), str(probed))
    assert made is not None
    return made


def test_a_probe_keeps_its_constants_and_leaves_nothing_else(probed: Path, folder: Path) -> None:
    assert [path.name for path in probed.iterdir()] == ["probe.json"]
    assert {p.name for p in folder.iterdir()} >= {"output", "essays.jsonl"}
    assert len(list(folder.iterdir())) == FILES + 2


def test_a_prediction_is_close_to_the_build(
    predicted: forecast.Forecast, folder: Path, tmp_path: Path
) -> None:
    made = predicted.prediction
    output = tmp_path / "real"
    real = building.build(recipe_in(folder), str(output), LocalEngine(0), Silent())
    tokens = real.stage("tokenize").measure("tokens")
    documents = real.stage("tokenize").counts().kept
    disk = cost.used_bytes(str(output))
    assert made.sources[1].sample < 0.5
    for foretold, real_number in ((made.documents, documents), (made.tokens, tokens)):
        assert foretold.error is not None
        assert abs(foretold.value - real_number) < foretold.error < 0.2 * real_number
    assert made.disk.value == pytest.approx(disk, rel=0.15)
    sources = {source.name: source for source in made.sources}
    # One that was taken whole is known, but for its copies in the others.
    assert sources["essays"].sample == 1
    assert sources["essays"].documents.value == real.stage("tokenize").counts("essays").kept
    assert sources["essays"].tokens.error == 0
    by_stage = {stage.stage: stage.documents for stage in made.stages}
    assert by_stage["extract"] == pytest.approx(real.stage("extract").counts().kept, rel=0.1)
    dropped = real.stage("dedup").counts().into - real.stage("dedup").counts().kept
    foretold = by_stage["extract"] - by_stage["dedup"]
    assert foretold == pytest.approx(dropped, rel=0.25)
    assert dropped > 100


def test_more_of_the_same_input_needs_no_new_probe(probed: Path, folder: Path) -> None:
    recipe = recipe_in(folder, inputs={"pages": 10**7})
    made = forecast.forecast(recipe, str(probed))
    assert made is not None
    pages = made.prediction.sources[1]
    assert (pages.bytes, pages.how) == (10**7, "given")
    # One in three or four is a copy by then; how many is not well known any more.
    assert 9_000 < pages.documents.value < 20_000
    assert pages.least < 0.95
    assert pages.most > 1.05
    assert any("duplicates cannot be told" in note for note in made.prediction.notes)


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"dedup": {"preset": "strict"}}, False),
        ({"seed": 12}, False),
        ({"extract": {"max_document_bytes": 5000}}, False),
        ({"tokens": 5000}, True),
        ({"plan": {"cores": 9}}, True),
        ({"tokenize": {"vocabulary": "gpt2", "encoder": "tiktoken"}}, True),
        ({"tokenize": {"vocabulary": "gpt2", "mask": ["email"]}}, False),
    ],
)
def test_another_recipe_needs_a_probe_of_its_own(
    change: dict[str, Any], kept: bool, probed: Path, folder: Path
) -> None:
    recipe = recipe_in(folder)
    value = recipe.model_dump(mode="json", exclude_none=True)
    other = Recipe.model_validate({**value, **change})
    assert (read_probe(other, str(probed)) is not None) == kept
    assert read_probe(recipe, str(probed)) is not None


def test_a_probe_that_is_no_probe_is_refused(probed: Path, folder: Path, tmp_path: Path) -> None:
    value = read_json(str(probed / "probe.json"))
    assert json.loads(json.dumps(from_json(value, where="x").to_json())) == value
    del value["sources"]["pages"]["units"]
    (tmp_path / "probe.json").write_text(json.dumps(value))
    with pytest.raises(IntegrityError, match="constants"):
        read_probe(recipe_in(folder), str(tmp_path))


def test_a_build_that_cannot_fit_is_refused_with_the_numbers(
    probed: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = forecast.forecast(recipe_in(folder), str(probed))
    assert made is not None
    forecast.check_fits(made, str(probed))
    usage = shutil.disk_usage(probed)._replace(free=150_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(StageError, match=r"needs [\d.]+ MB ± .* at its peak.* and 150 kB are free"):
        forecast.check_fits(made, str(probed))
    with pytest.raises(StageError, match="cannot fit"):
        forecast.check_build(recipe_in(folder), str(probed))
    # Without a probe of this very recipe nothing is known, and the build goes on.
    forecast.check_build(recipe_in(folder).model_copy(update={"seed": 99}), str(probed))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10**9))
    forecast.check_fits(made, str(probed))


def test_prices_make_a_bill(probed: Path, folder: Path) -> None:
    prices = {"currency": "EUR", "core_hour": 3600, "gb_month": 1000, "egress_gb": 7}
    recipe = recipe_in(folder, prices=prices, months=2)
    made = forecast.forecast(recipe, str(probed))
    assert made is not None
    assert made.bill is not None
    took = made.prediction
    assert made.bill.cores == pytest.approx(max(took.cpu.value, took.wall * 3))
    assert made.bill.disk == pytest.approx(took.disk.value / 1e9 * 1000 * 2)
    assert made.bill.transfer == 0
    assert made.bill.total == pytest.approx(made.bill.cores + made.bill.disk)
    without = forecast.forecast(recipe_in(folder), str(probed))
    assert without is not None
    assert without.bill is None


def test_the_json_of_a_forecast_has_every_number(predicted: forecast.Forecast) -> None:
    value = json.loads(json.dumps(forecast.to_json(predicted)))
    assert {"origin", "cores", "sources", "stages", "documents", "tokens", "disk", "peak"} <= set(
        value
    )
    assert {"cpu", "wall", "notes", "unknown", "bill", "free"} <= set(value)
    assert set(value["tokens"]) == {"value", "error"}
    stages = {stage["stage"]: stage for stage in value["stages"]}
    assert list(stages) == ["crawl", "extract", "dedup", "tokenize", "mix"]
    for stage in ("extract", "dedup", "tokenize"):
        assert stages[stage]["cpu"]["value"] > 0
        assert stages[stage]["memory"] > 10**6
        assert stages[stage]["written"] > 0
    assert stages["dedup"]["temporary"] > 0
    assert value["peak"] >= value["disk"]["value"] * 0.99


def test_a_person_reads_the_stages_the_errors_and_what_is_free(
    predicted: forecast.Forecast,
) -> None:
    from corpus import tables

    blocks = forecast.describe(predicted, {"essays": 1000, "pages": 3000})
    text = "\n".join(b if isinstance(b, str) else tables.plain(b) for b in blocks)
    for words in ("a probe of test, for 3 cores", "tokenize", "free:", "core time", "epochs"):
        assert words in text
    nothing = list(forecast.describe(None, {}))
    assert "--probe" in str(nothing[-1])


def told(made: Prediction) -> str:
    from corpus import tables

    blocks = show.describe(made, drawn={}, paid=None, free=None)
    return "\n".join(b if isinstance(b, str) else tables.plain(b) for b in blocks)


def test_one_core_is_one(predicted: forecast.Forecast) -> None:
    assert ", for 1 core; " in told(dataclasses.replace(predicted.prediction, cores=1))


def test_what_is_not_known_is_no_zero(predicted: forecast.Forecast) -> None:
    made, unknown = predicted.prediction, Estimate(0.0, None)
    sources = tuple(dataclasses.replace(one, tokens=unknown) for one in made.sources)
    text = told(dataclasses.replace(made, tokens=unknown, sources=sources))
    assert "\ntokens: not known; documents: " in text
    assert not re.search(r" 0 +not known", text)
    assert "documents: 12 (its error is not known)" in told(
        dataclasses.replace(made, documents=Estimate(12.0, None))
    )
    text = told(dataclasses.replace(made, sources=(), disk=Estimate(10.0, None), cpu=unknown))
    assert "tokens and documents: not known\ndisk: 10 B (its error is not known)" in text


def test_recipe_that_does_not_tokenize_has_no_number_of_tokens(
    predicted: forecast.Forecast,
) -> None:
    made = predicted.prediction
    stages = tuple(one for one in made.stages if one.stage not in ("tokenize", "mix"))
    none = Estimate(0.0, 0.0)
    sources = tuple(dataclasses.replace(one, tokens=none) for one in made.sources)
    text = told(dataclasses.replace(made, stages=stages, tokens=none, sources=sources))
    assert "tokens:" not in text
    assert not re.search(r" 0 +0%", text)


def test_more_cores_take_less_time_and_as_much_work(probed: Path, folder: Path) -> None:
    recipe = recipe_in(folder, inputs={"pages": 10**12})
    few = forecast.forecast(recipe_in(folder, inputs={"pages": 10**12}, cores=2), str(probed))
    many = forecast.forecast(recipe_in(folder, inputs={"pages": 10**12}, cores=64), str(probed))
    assert recipe.plan.cores == 3
    assert few is not None
    assert many is not None
    assert many.prediction.wall < few.prediction.wall
    assert many.prediction.cpu.value == pytest.approx(few.prediction.cpu.value, rel=0.05)


def test_a_source_of_unknown_size_is_named_and_not_guessed(probed: Path, folder: Path) -> None:
    recipe = recipe_in(folder)
    measured = read_probe(recipe, str(probed))
    assert measured is not None
    extents: dict[str, Extent | None] = {"essays": None, "pages": Extent(8, 1e6, "measured")}
    made = predict(recipe, measured, extents, cores=2)
    assert [source.name for source in made.sources] == ["pages"]
    assert "plan.inputs.essays" in made.unknown["essays"]


def test_a_probe_that_fails_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text("not JSON\n" * 20_000)
    recipe = make_recipe(
        {"a": str(tmp_path / "in" / "a.jsonl")},
        filter={"classifier": {"positives": ["a"], "negatives": ["a"]}},
        plan={"sample_bytes": 100_000},
    )
    before = temporary_folders()
    with pytest.raises(StageError):
        probe(recipe, str(tmp_path / "out"), ENGINE, Silent())
    assert not (tmp_path / "out").exists()
    assert temporary_folders() == before


def temporary_folders() -> set[str]:
    import tempfile

    return {path.name for path in Path(tempfile.gettempdir()).glob("corpus-probe-*")}


def test_a_source_that_only_an_index_knows_is_not_probed(tmp_path: Path) -> None:
    pages = {"domains": ["a.example"]}
    kind = {"snapshots": ["CC-MAIN-2026-47"], "pages": pages, "base_url": str(tmp_path)}
    recipe = make_recipe({"a": {"commoncrawl": kind}})
    with pytest.raises(RecipeError, match="no source"):
        probe(recipe, str(tmp_path / "out"), ENGINE, Silent())
    assert inputs.extents(recipe) == {"a": None}


def test_a_snapshot_has_its_usual_size_before_anything_is_asked() -> None:
    def extent(**crawl: Any) -> Extent | None:
        kind = {"snapshots": ["CC-MAIN-2026-47", "CC-MAIN-2026-43"], **crawl}
        return inputs.extents(make_recipe({"a": {"commoncrawl": kind}}))["a"]

    whole = extent()
    assert whole is not None
    assert (whole.files, whole.how, whole.fetched) == (128_000, "usual", True)
    assert whole.bytes == pytest.approx(132e12, rel=0.01)
    limited = extent(files=3, limit_bytes=1_000_000)
    assert limited == Extent(6, 6e6, "usual", True)
    wet = extent(kind="wet", files=10)
    assert wet is not None
    assert wet.bytes == pytest.approx(20 * 131e6)


@pytest.fixture(autouse=True)
def free_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be room, whatever the machine has left."""
    real = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real._replace(free=10**12))

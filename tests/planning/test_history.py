"""The constants of the last builds: kept beside nothing that is built, and used without a probe."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from corpus.build import Build, build
from corpus.cli import app
from corpus.config import Decontaminate, Recipe
from corpus.metering.meter import Meter
from corpus.planning import forecast, history
from corpus.progress import Silent
from tests.made import ENGINE, make_recipe, write_jsonl


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "corpusmill" / "builds"


def recipe_of(folder: Path, documents: int = 40) -> Recipe:
    rows = [
        {"id": f"{n}", "text": f"Text number {n * 7919} of {n}. " * 9} for n in range(documents)
    ]
    for number in range(4):
        write_jsonl(folder / f"{number}.jsonl", [{**r, "id": f"{number}{r['id']}"} for r in rows])
    return make_recipe({"a": str(folder / "*.jsonl")}, dedup={"scope": "within", "max_loss": 1})


def built(recipe: Recipe, output: Path) -> Build:
    meter = Meter(Silent(), str(output))
    made = build(recipe, str(output), ENGINE, meter)
    history.record(recipe, made, meter)
    return made


def test_the_last_build_is_what_a_plan_without_a_probe_goes_by(tmp_path: Path, cache: Path) -> None:
    recipe = recipe_of(tmp_path / "in")
    assert forecast.forecast(recipe, str(tmp_path / "out")) is None
    made = built(recipe, tmp_path / "out")
    assert len(list(cache.iterdir())) == 1
    foretold = forecast.forecast(recipe, str(tmp_path / "other"))
    assert foretold is not None
    assert f"the build of test in {tmp_path / 'out'}" in foretold.prediction.origin
    assert foretold.prediction.documents.value == made.stage("dedup").counts().kept
    assert foretold.prediction.documents.error == 0
    assert foretold.prediction.cpu.value > 0


def test_a_plan_of_more_input_goes_by_the_last_build_with_an_error(tmp_path: Path) -> None:
    built(recipe_of(tmp_path / "in"), tmp_path / "out")
    larger = recipe_of(tmp_path / "more", documents=100)
    foretold = forecast.forecast(larger, str(tmp_path / "other"))
    assert foretold is not None
    [stage] = [s for s in foretold.prediction.stages if s.stage == "extract"]
    assert stage.documents == pytest.approx(400, rel=0.1)
    assert foretold.prediction.documents.error is not None


def test_a_build_of_other_files_of_the_same_size_leaves_an_error(tmp_path: Path) -> None:
    built(recipe_of(tmp_path / "in"), tmp_path / "out")
    foretold = forecast.forecast(recipe_of(tmp_path / "others"), str(tmp_path / "other"))
    assert foretold is not None
    [source] = foretold.prediction.sources
    assert source.sample == 0
    assert source.disk.error


def test_a_build_that_was_stopped_early_comes_behind_one_that_knows_all_stages(
    tmp_path: Path,
) -> None:
    made = built(recipe_of(tmp_path / "in"), tmp_path / "out")
    stopped = recipe_of(tmp_path / "later").model_copy(update={"dedup": None})
    built(stopped, tmp_path / "stopped")
    foretold = forecast.forecast(recipe_of(tmp_path / "others"), str(tmp_path / "other"))
    assert foretold is not None
    assert made.output in foretold.prediction.origin


def test_a_stage_that_was_not_measured_is_not_said_to_drop_all(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path / "in")
    built(recipe, tmp_path / "out")
    items = write_jsonl(tmp_path / "items.jsonl", [{"text": "what is the highest of all hills"}])
    more = recipe.model_copy(update={"decontaminate": Decontaminate(benchmarks=(str(items),))})
    foretold = forecast.forecast(more, str(tmp_path / "other"))
    assert foretold is not None
    documents = {s.stage: s.documents for s in foretold.prediction.stages}
    assert documents["dedup"]
    assert documents["decontaminate"] is None
    assert any(n.startswith("decontaminate: not meas") for n in foretold.prediction.notes)


def test_a_build_that_takes_all_over_keeps_what_was_measured_when_it_was_made(
    tmp_path: Path, cache: Path
) -> None:
    recipe = recipe_of(tmp_path / "in")
    built(recipe, tmp_path / "out")
    [path] = cache.iterdir()
    before = path.read_bytes()
    built(recipe, tmp_path / "out")
    assert path.read_bytes() == before


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    recipe = recipe_of(tmp_path / "in")
    built(recipe, tmp_path / "out")
    assert history.last(recipe) is None


def test_the_oldest_builds_are_forgotten(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "KEPT", 2)
    recipe = recipe_of(tmp_path / "in", documents=3)
    for name in ("one", "two", "three"):
        built(recipe, tmp_path / name)
    assert len(list(cache.iterdir())) == 2


def test_the_command_line_probes_predicts_and_builds(tmp_path: Path) -> None:
    recipe_of(tmp_path / "in", documents=10)
    path = tmp_path / "mix.yaml"
    path.write_text(
        f"name: test\nseed: 11\nsources: {{a: {{documents: '{tmp_path}/in/*.jsonl'}}}}\n"
        "dedup: {max_loss: 1}\n"
    )
    words = ["-c", str(path), "-o", str(tmp_path / "out"), "--engine", "local", "--workers", "0"]
    done = CliRunner().invoke(app, ["plan", "--probe", *words])
    assert done.exit_code == 0, done.output
    assert "Predicted from a probe of test" in done.output
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["probe.json"]
    done = CliRunner().invoke(app, ["build", *words])
    assert done.exit_code == 0, done.output
    other = ["plan", "-c", str(path), "-o", str(tmp_path / "new")]
    done = CliRunner().invoke(app, [*other, "--constants", str(tmp_path / "out"), "--json"])
    assert done.exit_code == 0, done.output
    assert '"origin": "a probe of test"' in done.output
    done = CliRunner().invoke(app, [*other, "--constants", str(tmp_path / "none")])
    assert done.exit_code == 1
    done = CliRunner().invoke(app, [*other, "--constants", str(tmp_path), "--probe"])
    assert done.exit_code != 0

"""The verbs as they are typed: which build they find, what they print, how they exit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from corpus.errors import InputError, RecipeError
from corpus.verbs import builds, export, plan

VERBS = (builds.inspect, builds.explain, builds.check, plan.plan, export.export, builds.clean)
NAMES = tuple(verb.__name__ for verb in VERBS)


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    for verb in VERBS:
        made.command(verb.__name__)(verb)
    return made


def run(app: typer.Typer, *words: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, list(words), input=typed)


def printed(app: typer.Typer, *words: str) -> str:
    result = run(app, *words)
    assert result.exception is None, result.output
    return result.stdout


@pytest.mark.parametrize("name", NAMES)
def test_verb_help_has_an_example(app: typer.Typer, name: str) -> None:
    text = printed(app, name, "--help")
    assert f"Example: corpus {name}" in text
    assert "--json" in text
    assert "--output" in text


@pytest.mark.parametrize("name", ["inspect", "check", "plan", "clean"])
def test_verb_json_is_nothing_but_json(app: typer.Typer, finished_build: Path, name: str) -> None:
    config = str(finished_build.parent / "mix.yaml")
    json.loads(printed(app, name, "-c", config, "-o", str(finished_build), "--json"))


def test_verbs_find_the_build_by_the_name_in_the_recipe(
    app: typer.Typer, finished_build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "made").symlink_to(finished_build)
    (tmp_path / "mix.yaml").write_text((finished_build.parent / "mix.yaml").read_text())
    assert "essays" in printed(app, "inspect", "filter")
    assert "Essay 3" in printed(app, "explain", "https://essays.example/3")


def test_inspect_takes_a_stage_its_folder_or_that_of_the_build(
    app: typer.Typer, finished_build: Path
) -> None:
    [dedup] = finished_build.glob("dedup-*")
    by_name = printed(app, "inspect", "dedup", "-o", str(finished_build), "--json")
    assert printed(app, "inspect", f"{dedup}/", "--json") == by_name
    whole = json.loads(printed(app, "inspect", str(finished_build), "--json", "-n", "3"))
    assert whole["stage"] == "decontaminate"
    assert len(whole["rows"]) == 3


def test_inspect_of_a_misspelt_stage_names_the_nearest(app: typer.Typer) -> None:
    error = run(app, "inspect", "dedupe").exception
    assert isinstance(error, RecipeError)
    assert error.fix == "Did you mean dedup?"


def test_inspect_of_an_earlier_folder_is_refused(app: typer.Typer, finished_build: Path) -> None:
    error = run(app, "inspect", str(finished_build / "dedup-111111111111")).exception
    assert isinstance(error, InputError)
    assert "not part of the current build" in str(error)


def test_inspect_with_a_reason_needs_no_dropped(app: typer.Typer, finished_build: Path) -> None:
    words = ("inspect", "--reason", "quality", "-o", str(finished_build), "-n", "2")
    text = printed(app, *words)
    assert text.count("dropped: quality") == 2
    assert text == printed(app, *words, "--dropped")


def test_inspect_clusters_prints_them_largest_first(app: typer.Typer, finished_build: Path) -> None:
    text = printed(app, "inspect", "--clusters", "-o", str(finished_build), "-n", "1")
    assert "https://essays.example/0  (2 dropped for it)" in text


def test_check_exits_with_1_and_lists_every_problem(app: typer.Typer, copied_build: Path) -> None:
    assert run(app, "check", "-o", str(copied_build)).exit_code == 0
    damaged = sorted(copied_build.glob("filter-*/*/*.parquet"))[:2]
    for path in damaged:
        path.write_bytes(path.read_bytes() + b"x")
    result = run(app, "check", "-o", str(copied_build))
    assert result.exit_code == 1
    for path in damaged:
        assert str(path) in result.stdout
    assert "2 problems" in result.stdout


def test_clean_asks_before_it_removes(app: typer.Typer, copied_build: Path) -> None:
    [mix] = copied_build.glob("mix-*")
    old = copied_build / "mix-111111111111"
    mix_files = {path.name: path.read_bytes() for path in mix.iterdir()}
    old.mkdir()
    for name, data in mix_files.items():
        (old / name).write_bytes(data)
    words = ("clean", "-o", str(copied_build))
    result = run(app, *words, typed="n\n")
    assert "Remove mix-111111111111?" in result.output
    assert "Nothing was removed" in result.stdout
    assert old.exists()
    assert run(app, *words, "--json").exit_code == 0
    assert old.exists()
    removed = json.loads(printed(app, *words, "--yes", "--json"))["removed"]
    assert removed == ["mix-111111111111"]
    assert not old.exists()
    assert mix.exists()


def test_plan_takes_changes_of_the_recipe(app: typer.Typer, finished_build: Path) -> None:
    config = str(finished_build.parent / "mix.yaml")
    words = ("plan", "-c", config, "-o", str(finished_build), "--json", "--set", "filter.alpha=9")
    stages = {s["stage"]: s["state"] for s in json.loads(printed(app, *words))["stages"]}
    assert stages["extract"] == "built"
    assert stages["filter"] == "changed"


def test_export_prints_where_it_wrote(
    app: typer.Typer, finished_build: Path, tmp_path: Path
) -> None:
    to = str(tmp_path / "out")
    text = printed(app, "export", "--format", "jsonl", "--to", to, "-o", str(finished_build))
    assert text.endswith(f"4 files to {to}\n")


def test_verbs_load_neither_ray_nor_torch_and_nothing_heavy_for_help() -> None:
    code = (
        "import sys; import corpus.verbs.builds, corpus.verbs.export, corpus.verbs.plan; "
        "heavy = {'pyarrow', 'numpy', 'numba', 'ray', 'torch', 'pydantic'} & set(sys.modules); "
        "assert not heavy, heavy; "
        "import corpus.look.inspect, corpus.look.clusters, corpus.look.explain, "
        "corpus.look.check, corpus.planning.plan, corpus.planning.predict, "
        "corpus.export, corpus.clean; "
        "heavy = {'ray', 'torch', 'sklearn', 'trafilatura'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

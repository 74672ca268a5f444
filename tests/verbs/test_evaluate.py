"""The verb `corpus evaluate`: what a person and what a machine reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from corpus.cli import app
from tests.trainer.evaluation.rigged import bytes_tokenizer, write_lines, write_model


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    model = write_model(tmp_path / "model", bytes_tokenizer(tmp_path))
    rows = [{"goal": f"Go {n}.", "sol1": "One.", "sol2": "Two.", "label": n % 2} for n in range(4)]
    path = tmp_path / "evaluate.yaml"
    path.write_text(
        f"model: {model}\noutput: {tmp_path / 'out'}\nseed: 1\ndevice: cpu\n"
        f"tasks:\n  - {{task: piqa, path: {write_lines(tmp_path / 'piqa.jsonl', rows)}}}\n"
    )
    return path


def test_evaluate_prints_a_table_and_says_what_it_does_beside_it(recipe: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", "--config", str(recipe)])
    assert result.exit_code == 0, result.output
    head, row, model = result.stdout.splitlines()
    assert head.split()[:6] == ["task", "setting", "K", "n", "metric", "value"]
    assert row.split()[:5] == ["piqa", "zero-shot", "0", "4", "accuracy"]
    assert "step 1" in model
    assert "piqa.0-shot: accuracy" in result.stderr


def test_evaluate_prints_json_for_a_machine(recipe: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", "--config", str(recipe), "--json"])
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert printed == json.loads((recipe.parent / "out" / "results.json").read_text())
    assert result.stderr == ""


def test_evaluate_takes_the_report_of_a_build_as_an_option(recipe: Path) -> None:
    arguments = ["evaluate", "--config", str(recipe), "--decontaminated", str(recipe.parent)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert "no report on benchmarks" in str(result.exception)

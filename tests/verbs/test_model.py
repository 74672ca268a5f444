"""The verbs of `corpus model` as they are typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from corpus.cli import app
from corpus.errors import InputError, OutputError
from tests.trainer.interchange.conftest import write_run


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["model", *words])


@pytest.mark.parametrize("name", ["export", "import"])
def test_verb_help_has_an_example(name: str) -> None:
    text = run(name, "--help").stdout
    assert f"Example: corpus model {name}" in text
    assert "--json" in text


def test_a_run_is_exported_and_imported(tmp_path: Path) -> None:
    made = write_run(tmp_path / "run", window=5)

    exported = run("export", str(made), "--to", f"{tmp_path}/there/", "--json")
    imported = run("import", f"{tmp_path}/there", "--to", f"{tmp_path}/back")

    facts = json.loads(exported.stdout)
    assert (facts["carrier"], facts["folder"]) == ("GPTNeoForCausalLM", f"{tmp_path}/there")
    assert facts["difference"] < 1e-5
    assert "GPTNeoForCausalLM with 61,248 parameters" in imported.stdout
    assert (tmp_path / "back/checkpoints/step-00000000/checkpoint.json").exists()


def test_what_goes_wrong_is_an_error_for_a_person(tmp_path: Path) -> None:
    made = write_run(tmp_path / "run")
    assert isinstance(run("export", str(tmp_path), "--to", f"{tmp_path}/x").exception, InputError)
    assert isinstance(run("import", str(made), "--to", f"{tmp_path}/x").exception, InputError)
    run("export", str(made), "--to", f"{tmp_path}/there")
    again = run("export", str(made), "--to", f"{tmp_path}/there").exception
    assert isinstance(again, OutputError)
    assert "--force" in str(again)


def test_without_torch_the_error_says_how_to_install_it(tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from corpus.cli import main; main()"
    words = ["model", "export", str(tmp_path), "--to", f"{tmp_path}/x"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert "the trainer needs torch" in done.stderr
    assert "pip install 'corpusmill[train]'" in done.stderr

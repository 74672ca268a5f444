"""Where torch is not installed, every verb that needs it says so in the same way."""

from __future__ import annotations

import sys

import pytest
from typer.testing import CliRunner

from corpus.cli import app
from corpus.errors import StageError
from corpus.verbs.torch_needed import torch_needed

VERBS = (
    ("train",),
    ("evaluate",),
    ("finetune",),
    ("ablate",),
    ("model", "export", "run", "--to", "out"),
    ("model", "import", "folder", "--to", "out"),
)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_without_torch_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...]
) -> None:
    for name in [name for name in sys.modules if name.startswith(("corpus.trainer", "corpus.abl"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)

    run = CliRunner().invoke(app, verb)

    assert isinstance(run.exception, StageError)
    assert "needs torch, which is not installed" in str(run.exception)


def test_another_module_that_is_missing_is_a_defect() -> None:
    with pytest.raises(ModuleNotFoundError), torch_needed("the trainer"):
        raise ModuleNotFoundError("No module named 'x'", name="x")

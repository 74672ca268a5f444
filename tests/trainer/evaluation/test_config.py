"""The recipe of an evaluation: what is refused, and that all of it is said at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from corpus.errors import RecipeError
from corpus.trainer.evaluation.config import EvaluateConfig, load_evaluate_config

ROOT = Path(__file__).resolve().parents[3]
PIQA: dict[str, Any] = {"task": "piqa", "path": "piqa.jsonl"}
TEXT: dict[str, Any] = {"name": "text", "path": "text.jsonl"}


def of(**changes: Any) -> EvaluateConfig:
    settings = {"model": "m", "output": "o", "seed": 1, "tasks": [PIQA]}
    return EvaluateConfig.model_validate({**settings, **changes})


def test_few_is_k_of_table_h1() -> None:
    config = of(tasks=[{**PIQA, "train": "train.jsonl", "shots": [0, 1, "few"]}])
    assert [config.tasks[0].k(shots) for shots in config.tasks[0].shots] == [0, 1, 50]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"tasks": [{**PIQA, "task": "piqqa"}]}, "did you mean piqa"),
        ({"tasks": [{**PIQA, "shots": [5]}]}, "train has to be given"),
        ({"tasks": [{**PIQA, "shots": ["few"]}]}, "train has to be given"),
        ({"tasks": [{**PIQA, "shots": []}]}, "at least one number"),
        ({"tasks": [{**PIQA, "shots": [-1]}]}, "shots"),
        ({"tasks": [{**PIQA, "beams": 2}]}, "no answer is written"),
        ({"tasks": [{**PIQA, "generate": 5}]}, "either path or generate"),
        ({"tasks": [{"task": "piqa", "generate": 5}]}, "has to have a path"),
        ({"tasks": [{"task": "cbt", "path": "x", "train": "x", "shots": ["few"]}]}, "no K in"),
        ({"tasks": [PIQA, PIQA]}, "the same name twice"),
        ({"tasks": [{**PIQA, "name": "a/b"}]}, "that of a file"),
        ({"tasks": []}, "nothing to evaluate"),
        ({"lm": [{**TEXT, "mixture": "m"}]}, "either path or mixture"),
        ({"lm": [{**TEXT, "source": "s"}]}, "source of a mixture"),
        ({"lm": [{**TEXT, "detokenizer": "wikitex"}]}, "did you mean wikitext"),
        (
            {"lm": [{"name": "t", "mixture": "m", "detokenizer": "ptb"}]},
            "has not been cut into words",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        of(**changes)


def test_all_problems_are_said_at_once_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "evaluate.yaml"
    path.write_text(
        "model: m\noutput: o\nseeed: 1\ntasks:\n  - {task: hellaswg, path: x}\n"
        "  - {task: piqa, path: x, shots: [3]}\n"
    )
    with pytest.raises(RecipeError) as caught:
        load_evaluate_config(str(path))
    said = str(caught.value)
    assert "evaluate.yaml:3: seeed: there is no such key; did you mean seed?" in said
    assert "evaluate.yaml:5: tasks.0" in said
    assert "did you mean hellaswag?" in said
    assert "evaluate.yaml:6: tasks.1" in said
    assert "train has to be given" in said


def test_recipe_of_the_tiny_pipeline_loads() -> None:
    config = load_evaluate_config(str(ROOT / "pipelines" / "tiny" / "evaluate.yaml"))
    assert config.tasks
    assert config.lm

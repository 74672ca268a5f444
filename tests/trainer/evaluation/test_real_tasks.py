"""Every public file at hand is parsed and scored (marker `real`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from corpus.text import tokenizer
from corpus.trainer.evaluation.config import EvaluateConfig
from corpus.trainer.evaluation.jobs import read_examples
from corpus.trainer.evaluation.run import evaluate
from corpus.trainer.evaluation.tasks import TASKS
from tests.trainer.evaluation.rigged import write_model

pytestmark = pytest.mark.real

# Task, file, examples in it.
FILES = [
    ("arc", "arc_easy_test", 2376),
    ("arc", "arc_easy_train", 2251),
    ("arc", "arc_challenge_test", 1172),
    ("arc", "arc_challenge_train", 1119),
    ("boolq_without_passage", "boolq_test", 3270),
    ("copa", "copa_dev", 500),
    ("copa", "copa_test", 500),
    ("lambada", "lambada_test", 5153),
    ("openbookqa", "openbookqa_test", 500),
    ("openbookqa", "openbookqa_train", 4957),
    ("piqa", "piqa_valid", 1838),
    ("winogrande", "winogrande_valid", 1267),
]


def path_of(folder: Path, name: str) -> str:
    return str(folder / "benchmarks" / f"{name}.jsonl.zst")


@pytest.mark.parametrize(("task", "name", "number"), FILES)
def test_every_example_of_a_public_file_is_parsed(
    real_data: Path, task: str, name: str, number: int
) -> None:
    examples = list(read_examples(TASKS[task], [path_of(real_data, name)], with_prompt=False))
    assert len(examples) == number
    assert all(context and completion for one in examples for context, completion in one.pairs)
    if TASKS[task].kind == "choice":
        assert all(2 <= len(one.pairs) <= 5 for one in examples)
        assert len({one.gold for one in examples}) >= 2


def test_every_released_task_of_gpt3_is_parsed(real_data: Path) -> None:
    names = sorted(
        path.name.split(".")[0] for path in (real_data / "benchmarks/gpt3").glob("*.zst")
    )
    assert len(names) == 18
    assert set(names) <= set(TASKS)
    for name in names:
        path = path_of(real_data, f"gpt3/{name}")
        examples = list(read_examples(TASKS[name], [path], with_prompt=True))
        assert len(examples) in (2000, 10000)


@pytest.mark.slow
def test_a_random_model_is_scored_on_every_public_file(real_data: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", tokenizer.load("gpt2"), context=160)
    tasks: list[dict[str, Any]] = [
        {"task": task, "name": name, "path": path_of(real_data, name), "limit": 20}
        | {"train": path_of(real_data, name), "shots": [0, 2]}
        for task, name, _ in FILES
    ]
    released = ["gpt3/two_digit_addition", "gpt3/reversed_words"]
    tasks += [
        {"task": name.split("/")[1], "path": path_of(real_data, name), "limit": 3, "beams": 1}
        for name in released
    ]
    config = EvaluateConfig.model_validate(
        {"model": model, "output": str(tmp_path / "out"), "seed": 1, "device": "cpu"}
        | {"tasks": tasks}
    )
    results = evaluate(config, say=lambda line: None)
    numbers = {row["label"]: row["n"] for row in results["results"]}
    assert len(numbers) == 2 * len(FILES) + 2
    assert set(numbers.values()) == {20, 3}
    assert all(0 <= row["value"] <= 1 for row in results["results"] if "accuracy" in row["metric"])

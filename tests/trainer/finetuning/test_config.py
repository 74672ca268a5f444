"""The recipe of a fine-tuning: the paper's defaults, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from corpus.errors import RecipeError
from corpus.trainer.finetuning.config import FinetuneConfig, load_finetune_config

WHOLE = """
model: data/model
output: data/tuned
seed: 1
task:
  kind: classification
  train: train.jsonl
  validation: validation.jsonl
  fields: {text: text, label: label}
"""


def load(folder: Path, text: str, *overrides: str) -> FinetuneConfig:
    (folder / "finetune.yaml").write_text(text)
    return load_finetune_config(str(folder / "finetune.yaml"), overrides)


def test_the_defaults_are_those_of_the_paper(tmp_path: Path) -> None:
    """GPT-1, section 4.1 and the released code."""
    config = load(tmp_path, WHOLE)

    assert (config.epochs, config.batch_examples, config.lm_weight) == (3, 32, 0.5)
    assert (config.dropout, config.classifier_dropout) == (0.1, 0.1)
    optimizer = config.optimizer
    assert (optimizer.learning_rate, optimizer.warmup_share) == (6.25e-5, 0.002)
    assert (optimizer.beta1, optimizer.beta2, optimizer.epsilon) == (0.9, 0.999, 1e-8)
    assert (optimizer.weight_decay, optimizer.clip) == (0.01, 1.0)


def test_every_problem_is_said_at_once_with_its_line(tmp_path: Path) -> None:
    wrong = WHOLE.replace("seed: 1", "seed: -1").replace("kind:", "kinds:") + "epoch: 3\n"

    with pytest.raises(RecipeError) as caught:
        load(tmp_path, wrong)

    text = str(caught.value)
    assert "finetune.yaml:4: seed" in text
    assert "finetune.yaml:6: task.kinds: there is no such key; did you mean kind?" in text
    assert "task.kind: has to be given" in text
    assert "finetune.yaml:10: epoch: there is no such key; did you mean epochs?" in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fields": {"text": "t"}}, r"needs fields\.label"),
        ({"fields": {"first": "a", "text": "t", "label": "l"}}, r"has no fields\.first"),
        ({"kind": "entailment"}, r"needs fields\.first, fields\.second"),
        ({"kind": "multiple_choice", "fields": {"choices": ["a"], "answer": "b"}}, "two choices"),
        (
            {"kind": "multiple_choice", "fields": {"choices": "a", "answer": "b", "keys": "c"}},
            "answers: key and fields.keys go together",
        ),
        (
            {
                "kind": "multiple_choice",
                "fields": {"choices": "a", "answer": "b"},
                "metric": "matthews",
            },
            "choices are no classes",
        ),
        (
            {
                "kind": "multiple_choice",
                "fields": {"choices": "a", "answer": "b"},
                "labels": ["0", "1"],
            },
            "takes neither",
        ),
        ({"answers": "key"}, "go together"),
        ({"labels": ["a", "a"]}, "each once"),
        ({"target": "score", "labels": ["a", "b"]}, "scores have no labels"),
        ({"target": "score", "metric": "accuracy"}, "does not go with target: score"),
        ({"metric": "pearson"}, "does not go with target: class"),
    ],
)
def test_what_does_not_go_together_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    overrides = [
        f"task.{key}={str(value).replace(chr(39), chr(34))}" for key, value in changes.items()
    ]
    with pytest.raises(RecipeError, match=message):
        load(tmp_path, WHOLE, *overrides)

"""lm-evaluation-harness on a model of ours: the same numbers by its code and by ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from corpus.text.tokenizer import Tokenizer
from corpus.trainer.evaluation.config import EvaluateConfig
from corpus.trainer.evaluation.run import evaluate
from corpus.trainer.pretrained import open_model
from tests.trainer.evaluation.rigged import write_lines, write_model

pytest.importorskip("lm_eval")
# Its dependencies warn, and look for nodes of the network when they are imported.
pytestmark = pytest.mark.filterwarnings("ignore")


def items() -> list[dict[str, Any]]:
    return [
        {"goal": f"To do {n * 7}.", "sol1": f"Wait {n}.", "sol2": f"Run far {n}!", "label": n % 2}
        for n in range(30)
    ]


def test_scores_of_lm_eval_are_ours(
    encoder: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    from corpus.trainer.evaluation.lm_eval import CorpusLM

    model = write_model(tmp_path / "model", encoder, context=48)
    path = write_lines(tmp_path / "piqa.jsonl", items())
    text = write_lines(tmp_path / "text.jsonl", [{"text": "A short text."}, {"text": "Another."}])
    shared = "dataset_path: json\ntest_split: test\n"
    (tmp_path / "mine.yaml").write_text(
        f"task: mine\n{shared}dataset_kwargs: {{data_files: {{test: {path}}}}}\n"
        "output_type: multiple_choice\ndoc_to_text: '{{goal}}'\ndoc_to_target: label\n"
        "doc_to_choice: '{{[sol1, sol2]}}'\ntarget_delimiter: ' '\n"
        "metric_list: [{metric: acc}, {metric: acc_norm}]\n"
    )
    (tmp_path / "rolling.yaml").write_text(
        f"task: rolling\n{shared}dataset_kwargs: {{data_files: {{test: {text}}}}}\n"
        "output_type: loglikelihood_rolling\ndoc_to_text: ''\ndoc_to_target: '{{text}}'\n"
        "metric_list: [{metric: bits_per_byte}]\n"
    )
    theirs = simple_evaluate(
        model=CorpusLM(open_model(model)),
        tasks=["mine", "rolling"],
        task_manager=TaskManager(include_path=str(tmp_path), include_defaults=False),
        bootstrap_iters=0,
    )["results"]
    config = EvaluateConfig.model_validate(
        {
            "model": model,
            "output": str(tmp_path / "out"),
            "seed": 1,
            "device": "cpu",
            "tasks": [{"task": "piqa", "path": path}],
            "lm": [{"name": "text", "path": text}],
        }
    )
    ours = {
        (row["task"], row["metric"]): row["value"]
        for row in evaluate(config, say=lambda line: None)["results"]
    }
    assert theirs["mine"]["acc,none"] == pytest.approx(ours["piqa", "accuracy_by_sum"])
    assert theirs["mine"]["acc_norm,none"] == pytest.approx(ours["piqa", "accuracy_by_character"])
    assert theirs["rolling"]["bits_per_byte,none"] == pytest.approx(
        ours["text", "bits_per_byte"], abs=1e-5
    )

"""Every task with a layout of its own, from its file to its results."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus.errors import RecipeError
from corpus.text.tokenizer import Tokenizer
from corpus.trainer.evaluation import jobs, run
from corpus.trainer.evaluation.config import EvaluateConfig
from corpus.trainer.evaluation.example import Example
from corpus.trainer.evaluation.jobs import read_examples
from corpus.trainer.evaluation.judge import Judge
from corpus.trainer.evaluation.prompts import Prompts
from corpus.trainer.evaluation.requests import Request
from corpus.trainer.evaluation.scoring import Score
from corpus.trainer.evaluation.tasks import TASKS
from tests.trainer.evaluation import made_tasks
from tests.trainer.evaluation.rigged import write_model

# What the table shows of who knows all, and the examples that it is over.
KNOWN: dict[str, dict[str, tuple[float, int]]] = {
    "wic.jsonl": {"accuracy": (1, 8)},
    "wsc.jsonl": {"accuracy": (0.75, 8)},  # it writes the noun also where that is wrong
    "multirc.jsonl": {"accuracy": (1, 48), "exact_match": (1, 16), "f1a": (1, 48)},
    "multirc.parquet": {"accuracy": (1, 48), "exact_match": (1, 16), "f1a": (1, 48)},
    "record.jsonl": {"accuracy": (1, 16), "f1": (1, 16)},
    "squad.json": {"exact_match": (1, 8), "f1": (1, 8)},
    "squadv2.json": {"exact_match": (1, 16), "f1": (1, 16)},
    "drop.json": {"exact_match": (0.5, 16), "f1": (pytest.approx((1 + 0.33) / 2), 16)},
    "coqa.json": {"exact_match": (1, 16), "f1": (1, 16)},
    "quac.json": {"f1": (1, 16)},
    "quac.parquet": {"f1": (1, 16)},
    "wmt.parquet": {"bleu": (pytest.approx(100), 8), "bleu_intl": (pytest.approx(100), 8)},
    "winograd.jsonl": {"accuracy": (1, 8)},
    "sat.jsonl": {"accuracy": (1, 8)},
}


class Knowing:
    """Stands for the model: it is sure of what it knows, and thinks little of anything else."""

    def __init__(self, examples: Iterable[Example], encoder: Tokenizer) -> None:
        self.examples, self.encoder = tuple(examples), encoder
        self.context = 1024

    def text(self, tokens: Any) -> str:
        return self.encoder.decode(np.asarray(tokens))

    def __call__(self, requests: Sequence[Request]) -> list[Score]:
        known = tuple(one.solved for one in self.examples)
        sizes = [len(one.tokens) - one.first for one in requests]
        return [
            Score(0.0 if self.text(one.tokens).endswith(known) else -9.0 * n, n, True, True, 0)
            for one, n in zip(requests, sizes, strict=True)
        ]

    def write(self, tokens: Sequence[int]) -> str:
        text = self.text(tokens)
        (answer,) = {one.pairs[0][1] for one in self.examples if text.endswith(one.pairs[0][0])}
        return f"{answer}\n\nQ: What else?"


@pytest.mark.parametrize("name", KNOWN)
def test_who_knows_the_answers_gets_all_points(
    encoder: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    task = made_tasks.FILES[name][0]
    if task.startswith("wmt"):
        pytest.importorskip("sacrebleu")
    path = made_tasks.write(tmp_path, name)
    known = Knowing(
        (
            one
            for with_prompt in (False, True)
            for one in read_examples(TASKS[task], [path], with_prompt=with_prompt)
        ),
        encoder,
    )
    monkeypatch.setattr(jobs, "Scorer", lambda *_: known)
    monkeypatch.setattr(Judge, "_write", lambda _, tokens: known.write(tokens))
    results = run.evaluate(
        EvaluateConfig.model_validate(
            {"model": write_model(tmp_path / "model", encoder, context=1024), "seed": 1}
            | {"output": str(tmp_path / "out"), "device": "cpu"}
            | {"tasks": [{"task": task, "path": path, "train": path, "shots": [0, 1]}]}
        ),
        say=lambda line: None,
    )
    for shots in (0, 1):
        rows = [row for row in results["results"] if row["label"] == f"{task}.{shots}-shot"]
        shown = {row["metric"]: (row["value"], row["n"]) for row in rows if row["shown"]}
        assert shown == KNOWN[name]
        assert {row["k_mean"] for row in rows} == {shots}
        signed = {row["metric"] for row in rows if "signature" in row}
        assert signed == ({"bleu", "bleu_intl"} if task.startswith("wmt") else set())


@pytest.mark.parametrize("name", ["multirc.jsonl", "coqa.json", "quac.json"])
def test_prompt_has_nothing_of_the_question_or_conversation_itself(
    tmp_path: Path, encoder: Tokenizer, name: str
) -> None:
    task = TASKS[made_tasks.FILES[name][0]]
    path = made_tasks.write(tmp_path, name)
    pool = list(read_examples(task, [path], with_prompt=True, solved=True))
    prompts = Prompts(
        name="task",
        seed=1,
        pool=pool,
        shots=len(pool),
        delimiter="\n\n",
        instruction="",
        tokenizer=encoder,
        room=1,
        same=task.same_examples,
    )
    for example in read_examples(task, [path], with_prompt=True):
        drawn = prompts.drawn(example)
        assert len(drawn) == len(pool) - 1
        assert all(pool[number].about != example.about for number in drawn)


def test_superglue_shows_the_same_examples_to_all_where_the_paper_does(
    encoder: Tokenizer, tmp_path: Path
) -> None:
    path = made_tasks.write(tmp_path, "wsc.jsonl")
    examples = list(read_examples(TASKS["wsc"], [path], with_prompt=True))
    pool = [
        replace(one, pairs=((f"other {one.pairs[0][0]}", one.pairs[0][1]),))
        for one in read_examples(TASKS["wsc"], [path], with_prompt=True, solved=True)
    ]
    assert len(pool) == 6  # of a wrong noun nobody knows which would be right
    drawn = {
        same: {
            tuple(Prompts("wsc", 1, pool, 2, "", "", encoder, 1, same=same).drawn(one))
            for one in examples
        }
        for same in (True, False)
    }
    assert len(drawn[True]) == 1
    assert len(drawn[False]) > 1
    assert [name for name, task in TASKS.items() if task.same_examples] == ["multirc", "wsc"]


def test_every_task_has_k_of_table_h1_but_those_that_it_has_not() -> None:
    given = {"coqa": 5, "drop": 20, "multirc": 32, "quac": 5, "record": 32, "sat_analogies": 20}
    given |= {
        "squadv2": 16,
        "wic": 32,
        "wsc": 32,
        "wmt14_fr_en": 64,
        "wmt16_en_ro": 64,
        "winograd": 7,
    }
    assert {name: TASKS[name].few for name in given} == given
    without = {name for name, task in TASKS.items() if task.few is None}
    assert without == {"boolq_without_passage", "cbt", "squad"}


def test_translation_without_its_library_is_refused_before_anything_is_computed(
    encoder: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    path = made_tasks.write(tmp_path, "wmt.parquet")
    config = EvaluateConfig.model_validate(
        {"model": write_model(tmp_path / "model", encoder, context=512), "seed": 1}
        | {"output": str(tmp_path / "out"), "tasks": [{"task": "wmt16_de_en", "path": path}]}
    )
    with pytest.raises(RecipeError, match="which is not installed") as caught:
        run.evaluate(config, say=lambda line: None)
    assert caught.value.where == "tasks.0.task"

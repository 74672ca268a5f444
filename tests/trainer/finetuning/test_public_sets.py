"""Files of public sets, as they are published, to examples and inputs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from corpus.text import tokenizer
from corpus.trainer.finetuning.config import TaskConfig
from corpus.trainer.finetuning.examples import label_names, read, targets
from corpus.trainer.finetuning.inputs import SpecialTokens, inputs, pack

pytestmark = pytest.mark.real


def task(kind: str, fields: dict[str, Any], **changes: Any) -> TaskConfig:
    settings = {"kind": kind, "train": "", "validation": "", "fields": fields}
    return TaskConfig.model_validate(settings | changes)


COPA = {"context": "premise", "question": "asks_for", "choices": ["choice1", "choice2"]}


@pytest.mark.parametrize(
    ("path", "wanted", "counts"),
    [
        (
            "benchmarks/copa_dev.jsonl.zst",
            task("multiple_choice", {**COPA, "answer": "label"}, answers="number"),
            {0: 250, 1: 250},
        ),
        (
            "benchmarks/piqa_valid.jsonl.zst",
            task(
                "multiple_choice",
                {"question": "goal", "choices": ["sol1", "sol2"], "answer": "label"},
            ),
            {0: 910, 1: 928},
        ),
        (
            "spam/spamassassin.jsonl.zst",
            task("classification", {"text": "raw", "label": "label"}),
            {0: 2500, 1: 500},
        ),
    ],
)
def test_a_published_set_becomes_inputs_of_the_models_context(
    real_data: Path, path: str, wanted: TaskConfig, counts: dict[int, int]
) -> None:
    split = read(wanted, str(real_data / path))
    labels = label_names(wanted, split)

    found = targets(wanted, split, labels)

    assert dict(Counter(found.tolist())) == counts
    assert labels == ([] if wanted.kind == "multiple_choice" else ["ham", "spam"])
    encoder = tokenizer.load("gpt2")
    special = SpecialTokens.behind(encoder.vocabulary_size)
    some = split.examples[:200]
    packed = pack(inputs(some, kind=wanted.kind, tokenizer=encoder, special=special, context=128))
    assert len(packed) == 200
    for number, example in enumerate(some):
        rows = packed.sequences(number)
        assert len(rows) == max(1, len(example.choices))
        for row in rows:
            assert (row[0], row[-1]) == (special.start, special.extract)
            assert len(row) <= 128
        written = encoder.decode(rows[0][1:-1][rows[0][1:-1] != special.delimiter])
        assert written.startswith(example.texts[0][:40])

"""Splits as the model takes them: scores on a scale, and a digest of what is learnt from."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from corpus.text.tokenizer import Tokenizer
from corpus.trainer.finetuning.config import TaskConfig
from corpus.trainer.finetuning.data import Scale, Split, make_split
from corpus.trainer.finetuning.examples import Example, Examples
from corpus.trainer.finetuning.inputs import SpecialTokens


def split(encoder: Tokenizer, *, last: str = "xyz", context: int = 8) -> Split:
    fields = {"text": "t", "label": "l"}
    task = TaskConfig.model_validate(
        {"kind": "classification", "train": "", "validation": "", "fields": fields}
    )
    made = tuple(
        Example(f"a:{n}", (text,), (), label)
        for n, (text, label) in enumerate([("ab", "no"), ("abcdefgh", "yes"), (last, "no")])
    )
    return make_split(
        "train",
        task,
        Examples(made, 4),
        labels=["no", "yes"],
        tokenizer=encoder,
        special=SpecialTokens.behind(257),
        context=context,
    )


def test_scores_are_learnt_with_mean_0_and_variance_1_and_come_back() -> None:
    scores = np.array([1.0, 2.0, 5.0, 4.5])
    scale = Scale.of(scores)

    scaled = scale.scaled(scores)

    assert scaled.dtype == np.float32
    assert (scaled.mean(), scaled.std()) == pytest.approx((0, 1), abs=1e-6)
    assert scale.unscaled(scaled) == pytest.approx(scores, abs=1e-6)
    assert Scale.of(np.array([3.0, 3.0])).scaled(np.array([3.0, 4.0])).tolist() == [0, 1]


def test_a_split_counts_what_was_cut_and_left_out_and_warns(
    encoder: Tokenizer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        made = split(encoder)

    assert made.counts() == {"examples": 3, "ignored": 4, "cut_examples": 1, "cut_tokens": 2}
    assert made.targets.tolist() == [0, 1, 0]
    assert "1 of 3 examples are too long" in caplog.text


def test_the_digest_is_of_tokens_and_targets_and_of_nothing_else(encoder: Tokenizer) -> None:
    one = split(encoder)

    assert replace(one, name="test", wheres=("b:1", "b:2", "b:3")).digest() == one.digest()
    assert split(encoder, last="xyy").digest() != one.digest()
    assert replace(one, targets=np.array([0, 1, 1])).digest() != one.digest()

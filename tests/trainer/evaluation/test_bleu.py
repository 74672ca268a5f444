"""BLEU against sacrebleu's own corpus score, its error, and what is said without sacrebleu."""

from __future__ import annotations

import math
import random
import sys

import pytest

from corpus.errors import RecipeError
from corpus.trainer.evaluation import bleu

WORDS = ["the", "cat", "sat.", "Ärger", "3.5", "it's", "(on)", "“mat”", "—", "東京"]


def sentences(seed: int) -> tuple[list[str], list[str]]:
    draw = random.Random(seed)
    truth = [" ".join(draw.choices(WORDS, k=draw.randint(0, 12))) for _ in range(20)]
    made = [
        one if draw.random() < 0.5 else " ".join(draw.choices(WORDS, k=draw.randint(0, 12)))
        for one in truth
    ]
    return made, truth


@pytest.mark.parametrize("name", bleu.TOKENIZATIONS)
def test_added_counts_come_to_the_score_of_the_corpus(name: str) -> None:
    metrics = pytest.importorskip("sacrebleu.metrics")
    for seed in range(5):
        made, truth = sentences(seed)
        rows = [bleu.counts(name, one, [other]) for one, other in zip(made, truth, strict=True)]
        whole = metrics.BLEU(tokenize=bleu.TOKENIZATIONS[name])
        value, error = bleu.of_corpus(rows)
        assert value == pytest.approx(whole.corpus_score(made, [truth]).score)
        assert error is not None
        assert 0 < error < 20
        assert bleu.signature(name) == str(whole.get_signature())


def test_tokenizations_differ_where_they_should() -> None:
    pytest.importorskip("sacrebleu")
    # 13a leaves quotation marks of other languages on their word.
    rows = {name: bleu.counts(name, "a b c d “e”", ["a b c d e"]) for name in bleu.TOKENIZATIONS}
    assert rows["bleu"][:2] == [5, 5]
    assert rows["bleu_intl"][:2] == [7, 5]


def test_score_of_few_counts_is_that_of_the_definition() -> None:
    pytest.importorskip("sacrebleu")
    # Three of four words, one of three pairs, then smoothing: 1/2 and 1/4 of one n-gram.
    row = bleu.counts("bleu", "the cat sat down", ["the cat is down there"])
    assert row == [4, 5, 3, 1, 0, 0, 4, 3, 2, 1]
    precisions = (3 / 4, 1 / 3, 1 / (2 * 2), 1 / (4 * 1))
    expected = 100 * math.exp(1 - 5 / 4) * math.prod(precisions) ** (1 / 4)
    assert bleu.of_corpus([row]) == (pytest.approx(expected), None)
    assert bleu.of_corpus([bleu.counts("bleu", "", ["a b"])]) == (0.0, None)


def test_missing_library_is_an_error_that_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(RecipeError, match="which is not installed") as caught:
        bleu.require("tasks.0.task")
    assert "corpusmill[translation]" in str(caught.value)

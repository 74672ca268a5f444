"""Log-likelihoods against a plain softmax, and that batches, padding and blocks change nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from corpus.trainer.evaluation import scoring
from corpus.trainer.evaluation.requests import Request
from corpus.trainer.evaluation.scoring import Score, next_log_probabilities
from corpus.trainer.model import GPT
from corpus.trainer.presets import Architecture
from tests.trainer.evaluation.rigged import scorer, uniform


@pytest.fixture
def model() -> GPT:
    shape = Architecture(n_layer=2, n_head=4, d_model=32, context=16, vocabulary_size=61)
    model = GPT.create(shape, dropout=0.0, seed=7).eval()
    with torch.no_grad():
        model.wte.weight.mul_(20)  # so that the logits are far apart
    return model


def requests(number: int, *, most: int = 17, seed: int = 1) -> list[Request]:
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(number):
        size = int(generator.integers(2, most + 1))
        tokens = generator.integers(0, 61, size)
        found.append(Request(tokens, int(generator.integers(1, size))))
    return found


@torch.no_grad()
def plain(model: GPT, request: Request) -> tuple[float, bool]:
    """Return log P of the tokens that count, and whether all are the likeliest, in float64."""
    logits = model(torch.from_numpy(request.tokens[None, :-1]))[0].double()
    probabilities = torch.exp(logits) / torch.exp(logits).sum(dim=1, keepdim=True)
    total, greedy = 0.0, True
    for place in range(request.first, len(request.tokens)):
        token = int(request.tokens[place])
        total += float(torch.log(probabilities[place - 1, token]))
        greedy &= int(probabilities[place - 1].argmax()) == token
    return total, greedy


def test_scores_are_those_of_a_plain_softmax(model: GPT) -> None:
    asked = requests(40)
    # One whose tokens are all the likeliest ones.
    tokens = [5]
    for _ in range(6):
        tokens.append(int(model(torch.tensor([tokens]))[0, -1].argmax()))
    asked.append(Request(np.array(tokens), 1))
    for one, score in zip(asked, scorer(model)(asked), strict=True):
        value, greedy = plain(model, one)
        assert score.log_probability == pytest.approx(value, abs=1e-4)
        assert score.greedy == greedy
        assert score.tokens == len(one.tokens) - one.first
        assert score.cut == 0
    assert score.greedy
    assert score.last_greedy


def values(scores: list[Score]) -> list[float]:
    return [score.log_probability for score in scores]


@pytest.mark.parametrize("batch_tokens", [1, 40, 100_000])
def test_scores_do_not_depend_on_batches_and_padding(model: GPT, batch_tokens: int) -> None:
    asked = requests(30)
    alone = [value for one in asked for value in values(scorer(model)([one]))]
    assert_allclose(values(scorer(model, batch_tokens=batch_tokens)(asked)), alone, atol=1e-5)


def test_scores_do_not_depend_on_blocks_of_logits(
    model: GPT, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = requests(10)
    whole = values(scorer(model)(asked))
    monkeypatch.setattr(scoring, "_MOST_LOGITS", 3 * 61)
    assert_allclose(values(scorer(model)(asked)), whole, atol=1e-6)


@pytest.mark.parametrize("batch_tokens", [1, 30, 4096])
def test_common_beginning_is_computed_once_and_changes_nothing(
    model: GPT, monkeypatch: pytest.MonkeyPatch, batch_tokens: int
) -> None:
    """Groups of choices behind a prompt, with others between them that begin otherwise."""
    asked = []
    for number, one in enumerate(requests(6, seed=2)):
        prompt = np.random.default_rng(number).integers(0, 61, 9)
        asked += [
            Request(np.concatenate([prompt, [choice, 5, number], one.tokens[:choice]]), 9 + skip)
            for choice, skip in ((1, 0), (2, 1), (3, 0))
        ]
        asked.append(one)
    alone = [value for one in asked for value in values(scorer(model)([one]))]
    shown: list[int] = []
    hidden = model.hidden

    def counted(tokens: torch.Tensor, **more: Any) -> torch.Tensor:
        shown.append(tokens.numel())
        return hidden(tokens, **more)

    monkeypatch.setattr(model, "hidden", counted)
    scorer(model, batch_tokens=batch_tokens)(asked)
    apart, shown = sum(shown), []
    monkeypatch.setattr(scoring, "_LEAST_SHARED", 6)
    together = values(scorer(model, batch_tokens=batch_tokens)(asked))
    assert_allclose(together, alone, atol=1e-5)
    # Of the 18 prompts of 8 tokens, 6 are computed.
    assert sum(shown) <= apart - 12 * 8 or batch_tokens < 4096


def test_context_that_does_not_fit_is_cut_on_the_left_and_counted(model: GPT) -> None:
    tokens = np.arange(30) % 61
    long, short = scorer(model)([Request(tokens, 26), Request(tokens[13:], 13)])
    assert long.cut == 13
    assert short.cut == 0
    assert long.log_probability == pytest.approx(short.log_probability, abs=1e-5)


def test_document_longer_than_the_context_is_scored_in_windows(model: GPT) -> None:
    tokens = np.random.default_rng(3).integers(0, 61, 50)
    (score,) = scorer(model, stride=4)([Request(tokens, 1)])
    expected, done = 0.0, 1
    while done < 50:
        end = min(50, 17 if done == 1 else done + 4)
        begin = max(0, end - 17)
        value, _ = plain(model, Request(tokens[begin:end], done - begin))
        expected, done = expected + value, end
    assert score.tokens == 49
    assert score.log_probability == pytest.approx(expected, abs=1e-3)


def test_uniform_model_gives_each_token_one_over_the_vocabulary() -> None:
    tokens = np.arange(700) % 257
    (score,) = scorer(uniform())([Request(tokens, 1)])
    assert score.log_probability == pytest.approx(-699 * np.log(257), rel=1e-6)
    assert score.per_token == pytest.approx(-np.log(257), rel=1e-6)


def test_next_log_probabilities_are_those_of_the_last_place(model: GPT) -> None:
    rows = [[1, 2, 3], [4, 5, 6]]
    found = next_log_probabilities(model, rows)
    expected = torch.log_softmax(model(torch.tensor(rows))[:, -1].detach(), dim=1)
    assert_allclose(found.numpy(), expected.numpy(), atol=1e-5)

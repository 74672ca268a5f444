"""Heads and the language model's part: against plain loops, and what must not change them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from corpus.trainer.finetuning.batch import Batch, collate
from corpus.trainer.finetuning.config import Kind
from corpus.trainer.finetuning.inputs import Input, Packed, pack
from corpus.trainer.finetuning.model import FinetunedGPT
from corpus.trainer.finetuning.objective import optimizer_step, task_loss
from corpus.trainer.model import GPT
from corpus.trainer.optimizer import adamw, decay_groups, set_learning_rate
from corpus.trainer.presets import Architecture

START, DELIMITER, EXTRACT = 61, 62, 63  # behind the vocabulary of `shape`
ROWS = {"classification": [1], "entailment": [1], "similarity": [2], "multiple_choice": [3, 2, 4]}


def finetuned(model: GPT, kind: Kind, *, outputs: int = 1, dropout: float = 0.0) -> FinetunedGPT:
    return FinetunedGPT.start(
        model, kind=kind, outputs=outputs, dropout=dropout, classifier_dropout=dropout, seed=5
    )


def packed_rows(kind: Kind, examples: int, *, seed: int = 1) -> Packed:
    """Return inputs of random tokens and lengths."""
    draw = np.random.default_rng(seed)
    made = []
    for number in range(examples):
        rows = []
        for _ in range(ROWS[kind][number % len(ROWS[kind])]):
            text = draw.integers(0, 61, size=draw.integers(1, 13))
            rows.append(np.array([START, *text, EXTRACT], dtype=np.int32))
        made.append(Input(tuple(rows), 0))
    return pack(iter(made))


def outputs(model: FinetunedGPT, batch: Batch) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        return model.outputs(model.hidden(batch.tokens), batch)


def alone(model: FinetunedGPT, row: Sequence[int]) -> torch.Tensor:
    """Return the final state of one sequence without any padding."""
    model.eval()
    with torch.no_grad():
        return model.hidden(torch.tensor(np.array(row))[None].long())[0, -1]


@pytest.mark.parametrize("kind", ["classification", "entailment"])
def test_the_head_sees_the_state_at_the_extract_token(model: GPT, kind: Kind) -> None:
    tuned, packed = finetuned(model, kind, outputs=4), packed_rows(kind, 5)

    found = outputs(tuned, collate(packed, range(5)))

    for number in range(5):
        expected = tuned.head(alone(tuned, packed.sequences(number)[0]))
        torch.testing.assert_close(found[number], expected, rtol=0, atol=1e-6)


def test_the_states_of_both_orders_are_added(model: GPT) -> None:
    tuned, packed = finetuned(model, "similarity", outputs=3), packed_rows("similarity", 3)

    found = outputs(tuned, collate(packed, range(3)))

    for number in range(3):
        one, other = (alone(tuned, row) for row in packed.sequences(number))
        torch.testing.assert_close(found[number], tuned.head(one + other), rtol=0, atol=1e-6)


def test_similarity_is_symmetric_in_its_texts(model: GPT) -> None:
    tuned = finetuned(model, "similarity", outputs=3)
    one, other = [START, 5, 6, 7, DELIMITER, 8, EXTRACT], [START, 8, DELIMITER, 5, 6, 7, EXTRACT]
    rows = [np.array(row, dtype=np.int32) for row in (one, other)]

    a, b = (
        outputs(tuned, collate(pack(iter([Input(tuple(order), 0)])), [0]))
        for order in (rows, rows[::-1])
    )

    torch.testing.assert_close(a, b, rtol=0, atol=1e-6)
    assert not torch.equal(alone(tuned, one), alone(tuned, other))


def test_choices_are_scored_alone_and_compared_with_those_of_their_example(model: GPT) -> None:
    tuned, packed = finetuned(model, "multiple_choice"), packed_rows("multiple_choice", 3)

    found = outputs(tuned, collate(packed, range(3)))

    assert found.shape == (3, 4)
    for number in range(3):
        scores = [tuned.head(alone(tuned, row)).item() for row in packed.sequences(number)]
        torch.testing.assert_close(
            found[number, : len(scores)], torch.tensor(scores), rtol=0, atol=1e-6
        )
        assert torch.isneginf(found[number, len(scores) :]).all()
        loss = task_loss(found[number : number + 1], torch.tensor([1]))
        expected = -torch.log_softmax(torch.tensor(scores), 0)[1]
        torch.testing.assert_close(loss, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", list(ROWS))
def test_padding_changes_neither_outputs_nor_losses(model: GPT, kind: Kind) -> None:
    tuned, packed = finetuned(model, kind, outputs=1), packed_rows(kind, 4)
    tight, wide = (collate(packed, range(4), length=length) for length in (None, 16))
    wide = Batch(  # other tokens than zeros, too
        torch.where(torch.arange(16) < wide.lengths[:, None], wide.tokens, EXTRACT),
        wide.lengths,
        wide.owners,
        wide.places,
        wide.examples,
    )
    assert tight.tokens.shape[1] < 16

    torch.testing.assert_close(outputs(tuned, tight), outputs(tuned, wide), rtol=0, atol=1e-6)
    losses = [tuned.language_loss(tuned.hidden(batch.tokens), batch) for batch in (tight, wide)]
    torch.testing.assert_close(*losses, rtol=0, atol=1e-6)


def test_the_language_loss_is_that_of_each_sequence_by_itself(model: GPT) -> None:
    tuned, packed = finetuned(model, "multiple_choice"), packed_rows("multiple_choice", 4)
    batch = collate(packed, range(4))

    found = tuned.language_loss(tuned.hidden(batch.tokens), batch)

    expected = []
    for number in range(4):
        for row in packed.sequences(number):
            tokens = torch.tensor(row)[None].long()
            logits = tuned(tokens)[0]
            losses = [
                -torch.log_softmax(logits[t], 0)[tokens[0, t + 1]] for t in range(len(row) - 1)
            ]
            expected.append(torch.stack(losses).mean())
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-5)
    assert logits.shape[-1] == 64  # the new tokens are predicted too


def test_pretrained_weights_are_kept_and_the_new_ones_are_drawn_by_the_seed(model: GPT) -> None:
    one, same = (finetuned(model, "classification", outputs=50) for _ in range(2))
    other = FinetunedGPT.start(
        model, kind="classification", outputs=50, dropout=0, classifier_dropout=0, seed=6
    )
    weights = dict(one.named_parameters())
    for name, parameter in model.named_parameters():
        assert torch.equal(weights[name][: len(parameter)], parameter), name
    assert weights["wte.weight"].shape == (64, 32)
    new = torch.cat([weights["wte.weight"][61:].flatten(), weights["head.weight"].flatten()])
    assert new.std().item() == pytest.approx(0.02, rel=0.1)
    assert not weights["head.bias"].any()
    assert torch.equal(one.head.weight, same.head.weight)
    assert not torch.equal(one.head.weight, other.head.weight)
    assert one.special.start == START
    assert one.special.extract == EXTRACT


def test_random_weights_are_of_the_same_shape_and_none_is_kept(model: GPT) -> None:
    tuned = FinetunedGPT.start(
        model,
        kind="classification",
        outputs=2,
        dropout=0,
        classifier_dropout=0,
        seed=5,
        keep_weights=False,
    )
    assert not torch.equal(tuned.wte.weight[:61], model.wte.weight)
    assert tuned.shape.n_layer == model.shape.n_layer


def test_starting_leaves_the_random_state_of_the_caller(model: GPT) -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()

    finetuned(model, "classification", outputs=2)

    assert torch.equal(state, torch.get_rng_state())


def test_every_weight_is_trained_and_matrices_are_decayed(model: GPT) -> None:
    tuned = finetuned(model, "classification", outputs=2)
    batch = collate(packed_rows("classification", 4), range(4))
    hidden = tuned.hidden(batch.tokens)
    loss = task_loss(tuned.outputs(hidden, batch), torch.tensor([0, 1, 0, 1]))

    (loss + 0.5 * tuned.language_loss(hidden, batch).mean()).backward()

    for name, parameter in tuned.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    decayed, plain = decay_groups(tuned)
    assert "head.weight" in decayed
    assert "head.bias" in plain


def test_the_classifiers_dropout_drops_the_same_units_of_all_choices(model: GPT) -> None:
    tuned = finetuned(model, "multiple_choice", dropout=0.5)
    row = np.array([START, 1, 2, EXTRACT], dtype=np.int32)
    batch = collate(pack(iter([Input((row, row, row), 0)] * 2)), [0, 1])
    tuned.train()
    torch.manual_seed(3)
    states = torch.ones(6, 4, 32)

    scores = tuned.outputs(states, batch)

    assert torch.equal(scores[:, 0], scores[:, 1])
    assert torch.equal(scores[:, 0], scores[:, 2])
    assert not torch.equal(scores[0], scores[1])


@pytest.mark.parametrize("kind", [*ROWS, "score"])
def test_each_head_learns_one_batch_by_heart(model: GPT, kind: Kind) -> None:
    """With lambda 0, since the texts are random and cannot be predicted."""
    form: Kind = "similarity" if kind == "score" else kind
    tuned = finetuned(model, form, outputs=3 if kind in ("classification", "entailment") else 1)
    packed = packed_rows(form, 6)
    if kind == "score":
        wanted = torch.tensor([0.5, -1.0, 2.0, 0.0, 1.0, -0.5])
    elif kind == "similarity":
        tuned = finetuned(model, form, outputs=2)
        wanted = torch.tensor([0, 1, 1, 0, 1, 0])
    else:
        wanted = torch.tensor([1, 0, 2 if kind != "multiple_choice" else 3, 1, 1, 0])
    optimizer = adamw(tuned, weight_decay=0.0, beta1=0.9, beta2=0.999, epsilon=1e-8)
    set_learning_rate(optimizer, 3e-3)
    parts = [(collate(packed, range(6)), wanted)]

    losses = [
        float(optimizer_step(tuned, optimizer, parts, lm_weight=0.0, clip=1.0).task)
        for _ in range(150)
    ]

    assert losses[0] > 0.5
    assert losses[-1] < 0.01


def test_texts_of_many_lengths_compile_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, where FlexAttention would be compiled for each length."""
    monkeypatch.setattr("corpus.trainer.model.takes_flex", lambda *_: True)
    shape = Architecture(2, 4, 32, 16, 61, window=4)
    pretrained = GPT.create(shape, dropout=0.0, seed=1)
    tuned = finetuned(pretrained, "classification")
    tokens = torch.arange(10)[None]

    def blocks(model: GPT) -> list[bool]:
        made = model.train()._patterns(tokens, 0, None, cached=False)
        return [seen.blocks is not None for seen in made]

    assert blocks(pretrained) == [False, True]
    assert blocks(tuned) == [False, False]

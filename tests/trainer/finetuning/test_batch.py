"""The order of the examples, and batches that hold each of them once an epoch."""

from __future__ import annotations

import numpy as np
import torch

from corpus.trainer.finetuning.batch import TrainingBatches, by_length, collate, order
from tests.trainer.finetuning.test_model import packed_rows


def test_the_order_is_a_permutation_by_seed_and_epoch() -> None:
    orders = [order(seed, epoch, 100) for seed in (1, 2) for epoch in (0, 1)]

    for one in orders:
        assert sorted(one.tolist()) == list(range(100))
    assert len({tuple(one.tolist()) for one in orders}) == 4
    assert np.array_equal(order(1, 1, 100), orders[1])


def test_each_example_is_trained_on_once_an_epoch_from_any_step() -> None:
    packed = packed_rows("classification", 11)
    wanted = np.arange(11)

    def batches() -> TrainingBatches:
        return TrainingBatches(packed, wanted, seed=3, size=4, micro_batch=3)

    device = torch.device("cpu")
    whole = batches()
    steps = [[t.tolist() for _, t in whole.parts(step, device)] for step in range(1, 7)]

    assert whole.steps_an_epoch == 3
    assert [[len(part) for part in step] for step in steps[:3]] == [[3, 1], [3, 1], [3]]
    for epoch in (steps[:3], steps[3:]):
        numbers = [number for step in epoch for part in step for number in part]
        assert sorted(numbers) == list(range(11))
    assert steps[:3] != steps[3:]
    assert [t.tolist() for _, t in batches().parts(5, device)] == steps[4]
    (batch, targets), *_ = whole.parts(2, device)
    for row, number in enumerate(targets.tolist()):
        (expected,) = packed.sequences(number)
        assert batch.tokens[row, : batch.lengths[row]].tolist() == expected.tolist()


def test_a_batch_says_whose_each_sequence_is() -> None:
    packed = packed_rows("multiple_choice", 3)

    batch = collate(packed, [2, 0])

    assert batch.owners.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert batch.places.tolist() == [0, 1, 2, 3, 0, 1, 2]
    assert batch.examples == 2
    assert batch.tokens.shape == (7, int(batch.lengths.max()))


def test_examples_of_like_length_are_evaluated_together() -> None:
    packed = packed_rows("classification", 20)

    groups = [group.tolist() for group in by_length(packed, 6)]

    assert sorted(number for group in groups for number in group) == list(range(20))
    lengths = [packed.lengths()[number] for group in groups for number in group]
    assert lengths == sorted(lengths)

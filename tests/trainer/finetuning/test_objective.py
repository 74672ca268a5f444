"""L3 = L2 + lambda * L1, however the batch is cut up, and the learning rate's way."""

from __future__ import annotations

import math

import pytest
import torch

from corpus.trainer.finetuning.batch import collate
from corpus.trainer.finetuning.objective import Losses, learning_rate, optimizer_step, task_loss
from corpus.trainer.model import GPT
from corpus.trainer.optimizer import adamw, set_learning_rate
from tests.trainer.finetuning.test_model import finetuned, packed_rows


def step(model: GPT, *, cuts: list[int], lm_weight: float) -> tuple[Losses, torch.Tensor]:
    tuned, packed = finetuned(model, "multiple_choice"), packed_rows("multiple_choice", 6)
    optimizer = adamw(tuned, weight_decay=0.01, beta1=0.9, beta2=0.999, epsilon=1e-8)
    set_learning_rate(optimizer, 1e-3)
    wanted = torch.tensor([2, 1, 0, 0, 0, 3])
    bounds = list(zip([0, *cuts], [*cuts, 6], strict=True))
    parts = [(collate(packed, range(a, b)), wanted[a:b]) for a, b in bounds]
    losses = optimizer_step(tuned, optimizer, parts, lm_weight=lm_weight, clip=1.0)
    # The bias of the choices' head has no gradient but what is rounded off, which Adam blows up.
    moved = [weights.detach() for name, weights in tuned.named_parameters() if name != "head.bias"]
    return losses, torch.cat([weights.flatten() for weights in moved])


def test_the_objective_is_the_task_and_lambda_times_the_language(model: GPT) -> None:
    with_language, _ = step(model, cuts=[], lm_weight=0.5)
    without, _ = step(model, cuts=[], lm_weight=0.0)

    tuned, packed = finetuned(model, "multiple_choice"), packed_rows("multiple_choice", 6)
    batch = collate(packed, range(6))
    hidden = tuned.hidden(batch.tokens)
    task = task_loss(tuned.outputs(hidden, batch), torch.tensor([2, 1, 0, 0, 0, 3]))
    language = tuned.language_loss(hidden, batch).mean()
    assert float(with_language.total) == pytest.approx(
        float((task + 0.5 * language).detach()), abs=1e-5
    )
    assert (
        float(without.total) == float(without.task) == pytest.approx(float(task.detach()), abs=1e-6)
    )
    assert float(without.language) == 0
    assert float(with_language.language) == pytest.approx(float(language.detach()), abs=1e-5)
    for loss, found in ((task + 0.5 * language, with_language), (task, without)):
        gradients = torch.autograd.grad(loss, list(tuned.parameters()), retain_graph=True)
        norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
        assert float(found.norm) == pytest.approx(float(norm), rel=1e-4)


@pytest.mark.parametrize("cuts", [[3], [1, 5], [1, 2, 3, 4, 5]])
def test_a_step_is_the_same_in_any_micro_batches(model: GPT, cuts: list[int]) -> None:
    """Also where the parts have different numbers of sequences and of tokens."""
    whole, weights = step(model, cuts=[], lm_weight=0.5)
    parts, others = step(model, cuts=cuts, lm_weight=0.5)

    for name in ("total", "task", "language", "norm"):
        assert float(getattr(parts, name)) == pytest.approx(float(getattr(whole, name)), rel=1e-5)
    # One step of Adam moves each weight by about the rate, whatever is rounded off.
    assert (weights - others).abs().max() < 1e-3 / 20


def test_the_rate_rises_over_the_warm_up_and_falls_to_0() -> None:
    rates = [learning_rate(s, steps=1000, highest=2.0, warmup_share=0.002) for s in range(1, 1001)]

    assert rates[0] == pytest.approx(2.0 * 1 / 2 * 1.0)
    assert rates[1] == pytest.approx(2.0 * (1 - 1 / 1000))
    assert rates[499] == pytest.approx(2.0 * (1 - 499 / 1000))
    assert rates[-1] == pytest.approx(2.0 / 1000)
    assert max(rates) == rates[1]
    # As the released code's schedule of x = t / t_total, but for the warm-up's own steps.
    for t in range(3, 1000):
        assert rates[t] == pytest.approx(2.0 * (1 - t / 1000))


def test_a_short_run_starts_at_the_highest_rate() -> None:
    rates = [learning_rate(s, steps=9, highest=1.0, warmup_share=0.002) for s in range(1, 10)]

    assert rates == pytest.approx([1 - n / 9 for n in range(9)])
    assert learning_rate(1, steps=9, highest=1.0, warmup_share=0.0) == 1.0


def test_a_score_has_the_squared_error() -> None:
    loss = task_loss(torch.tensor([[1.0], [3.0]]), torch.tensor([0.0, 1.0]))

    assert float(loss) == (1 + 4) / 2
    assert float(task_loss(torch.zeros(1, 4), torch.tensor([2]))) == pytest.approx(math.log(4))

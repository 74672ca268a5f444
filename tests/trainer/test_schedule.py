"""The schedule: the ramp of Appendix B against its formula, and GPT-1's and GPT-3's runs."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.config import load_recipe
from corpus.errors import RecipeError
from corpus.trainer.config import TrainConfig, load_train_config
from corpus.trainer.optimizer import learning_rate
from corpus.trainer.schedule import Schedule, schedule


def planned(sequence_length: int, **changes: Any) -> Schedule:
    settings: dict[str, Any] = {
        "mixture": "m",
        "output": "o",
        "seed": 1,
        "model": {"n_layer": 1, "n_head": 1, "d_model": 8, "context": sequence_length},
        "optimizer": {"learning_rate": 1e-3, "warmup_tokens": 0},
    }
    return schedule(TrainConfig.model_validate(settings | changes), sequence_length)


def by_formula(first: int, full: int, over: int, length: int, steps: int) -> list[int]:
    """The batch of each step, one after the other."""
    batches, tokens = [], 0
    for _ in range(steps):
        linear = first + (full - first) * tokens / over
        batches.append(full if tokens >= over else int(linear / first + 1e-12) * first)
        tokens += batches[-1] * length
    return batches


@given(st.integers(1, 6), st.integers(1, 40), st.integers(1, 5000), st.sampled_from([1, 16, 100]))
def test_a_ramp_is_the_line_of_the_paper_in_whole_first_batches(
    first: int, more: int, over: int, length: int
) -> None:
    full = first + more
    plan = planned(
        length,
        steps=200,
        batch_sequences=full,
        ramp={"from_tokens": first * length, "over_tokens": over},
    )

    expected = by_formula(first, full, over, length, 200)

    ends = [plan.tokens_after(step) // length for step in range(201)]
    assert [b - a for a, b in itertools.pairwise(ends)] == expected
    assert [plan.batch_at(position) for position in ends[:-1]] == expected
    assert plan.tokens == ends[-1] * length
    again = planned(
        length,
        tokens=ends[150] * length,
        batch_sequences=full,
        ramp={"from_tokens": first * length, "over_tokens": over},
    )
    assert again.steps == 150


def test_gpt3_small_ramps_as_the_paper_says() -> None:
    changes = {
        "model": {"preset": "gpt3-small"},
        "optimizer": {},
        "ramp": {"over_tokens": 4_000_000_000},
        "tokens": 300_000_000_000,
    }

    plan = planned(2048, **changes)

    assert plan.batch_at(0) * 2048 == 32_768
    half = plan.batch_at(2_000_000_000 // 2048) * 2048
    assert half == pytest.approx((32_768 + 524_288) / 2, abs=32_768)
    assert plan.batch_at(4_000_000_000 // 2048 + 256) == 256
    assert all(stage.batch_sequences % 16 == 0 for stage in plan.stages)
    assert 0 <= plan.tokens - 300_000_000_000 < plan.batch_tokens


def test_gpt1_warms_up_over_2000_updates_and_ends_at_nothing() -> None:
    """Section 4.1: max 2.5e-4, "increased linearly from zero over the first 2000 updates and
    annealed to 0 using a cosine schedule", batches of 64 sequences of 512."""
    steps = 10_000
    rates = {"warmup_tokens": 2000 * 64 * 512, "final_share": 0.0}
    plan = planned(512, model={"preset": "gpt1"}, optimizer=rates, steps=steps)

    def rate(step: int) -> float:
        return learning_rate(
            plan.tokens_after(step),
            highest=plan.learning_rate,
            lowest=plan.final_learning_rate,
            warmup_tokens=plan.warmup_tokens,
            cosine_tokens=plan.cosine_tokens,
        )

    assert rate(1) == pytest.approx(2.5e-4 / 2000)
    assert rate(2000) == pytest.approx(2.5e-4)
    assert rate(6000) == pytest.approx(1.25e-4)
    assert rate(steps) == 0
    assert rate(steps - 1) > 0


TO_NOTHING = {"learning_rate": 1e-3, "warmup_tokens": 0, "final_share": 0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ramp": {"from_tokens": 99, "over_tokens": 10}}, "a ramp from 0 sequences to 8"),
        ({"ramp": {"from_tokens": 800, "over_tokens": 10}}, "a ramp from 8 sequences to 8"),
        (
            {"optimizer": {**TO_NOTHING, "cosine_tokens": 6933}},
            r"the learning rate is 0 from 6,933 tokens on, and the run has 8,000.*"
            r"cosine_tokens: 8000",
        ),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        planned(100, steps=10, batch_sequences=8, **changes)


@pytest.mark.parametrize("name", ["tiny", "gpt3"])
def test_the_recipes_of_the_repository_have_a_schedule(name: str) -> None:
    path = Path(__file__).parents[2] / "pipelines" / name
    config = load_train_config(str(path / "train.yaml"))
    length = load_recipe(str(path / "mix.yaml")).mix.sequence_length

    plan = schedule(config, length)

    assert plan.tokens >= (config.tokens or 0)
    assert (len(plan.stages) > 1) == (name == "gpt3")

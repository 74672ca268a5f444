"""A run in numbers: how many steps, how large each batch, how high the learning rate.

In: a recipe and the mixture's sequence length. Out: a `Schedule`, in which everything is a function
of the step or of the position in the data, so that a run that goes on is on it at once. No torch.

The batch may begin small (GPT-3 Appendix B): "we increase the batch size linearly from a small
value (32k tokens) to the full value over the first 4-12 billion tokens of training, depending on
the model size". Here a step that begins after t tokens has `from + (full - from) * t / over`
tokens, rounded down to whole multiples of the first batch: where a number of processes divides the
first batch and the full one, it divides all of them.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass

from corpus.errors import RecipeError
from corpus.trainer.config import TrainConfig
from corpus.trainer.presets import PRESETS

# Of its 300 billion tokens GPT-3 decays over 260, and goes on at a tenth. Where nothing is left to
# go on at (GPT-1 anneals to 0) the cosine takes the whole run.
COSINE_SHARE = (260, 300)


@dataclass(frozen=True, slots=True)
class Stage:
    """Consecutive steps whose batches have the same size.

    Attributes:
        step: Steps before the first one of these.
        position: Sequences before them.
        batch_sequences: Sequences of each.
    """

    step: int
    position: int
    batch_sequences: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """A run in numbers, after all that depends on the mixture and the preset has been filled in.

    Attributes:
        steps: Optimizer steps.
        sequence_length: Tokens of a sequence.
        batch_sequences: Sequences of a full batch.
        stages: The ramp, and last the full batch; without a ramp that alone.
        learning_rate: Highest learning rate.
        final_learning_rate: From `cosine_tokens` on.
        warmup_tokens: Tokens of the linear rise.
        cosine_tokens: Tokens, from the start of training, at which the cosine ends.
    """

    steps: int
    sequence_length: int
    batch_sequences: int
    stages: tuple[Stage, ...]
    learning_rate: float
    final_learning_rate: float
    warmup_tokens: int
    cosine_tokens: int

    @property
    def batch_tokens(self) -> int:
        """Tokens of a full batch."""
        return self.batch_sequences * self.sequence_length

    @property
    def tokens(self) -> int:
        """Tokens of the whole run."""
        return self.tokens_after(self.steps)

    def batch_at(self, position: int) -> int:
        """Return the sequences of the batch that begins at a position."""
        at = bisect.bisect_right(self.stages, position, key=lambda stage: stage.position) - 1
        return self.stages[at].batch_sequences

    def tokens_after(self, step: int) -> int:
        """Return the tokens seen when `step` steps are done."""
        return _position_after(self.stages, step) * self.sequence_length


def schedule(config: TrainConfig, sequence_length: int) -> Schedule:
    """Return the numbers of a run.

    Raises:
        RecipeError: A batch under one sequence, a ramp that does not rise, a warm-up that outlasts
            the run, a cosine that ends before the warm-up, or one that leaves steps without a rate.
    """
    preset = PRESETS[config.model.preset] if config.model.preset else None
    wanted = config.batch_tokens or (preset.batch_tokens if preset else 0)
    full = config.batch_sequences or wanted // sequence_length
    if full < 1:
        raise RecipeError(
            f"{wanted} tokens are less than one sequence of {sequence_length}",
            where="batch_tokens",
            fix=f"Give at least {sequence_length}",
        )
    stages = _stages(config, full, sequence_length)
    steps = config.steps or _steps_for(stages, -(-(config.tokens or 0) // sequence_length))
    total = _position_after(stages, steps) * sequence_length
    settings = config.optimizer
    rate = settings.learning_rate or (preset.learning_rate if preset else None)
    assert rate is not None  # checked by TrainConfig
    decayed = total * COSINE_SHARE[0] // COSINE_SHARE[1] if settings.final_share else total
    cosine = settings.cosine_tokens or decayed
    _check_rates(settings.warmup_tokens, cosine, total, lowest=rate * settings.final_share)
    return Schedule(
        steps=steps,
        sequence_length=sequence_length,
        batch_sequences=full,
        stages=stages,
        learning_rate=rate,
        final_learning_rate=rate * settings.final_share,
        warmup_tokens=settings.warmup_tokens,
        cosine_tokens=cosine,
    )


def _check_rates(warmup: int, cosine: int, total: int, *, lowest: float) -> None:
    if warmup >= min(total, cosine):
        raise RecipeError(
            f"a warm-up of {warmup:,} tokens does not end before "
            + (f"the run does, at {total:,}" if warmup >= total else f"the cosine, at {cosine:,}"),
            where="optimizer.warmup_tokens",
            fix=f"Set it to a small part of the run, for example {total // 100}",
        )
    if lowest == 0 and cosine < total:
        raise RecipeError(
            f"the learning rate is 0 from {cosine:,} tokens on, and the run has {total:,}",
            where="optimizer.cosine_tokens",
            why="optimizer.final_share is 0, and the steps behind the cosine would change nothing",
            fix=f"Set optimizer.cosine_tokens: {total}",
        )


def _stages(config: TrainConfig, full: int, sequence_length: int) -> tuple[Stage, ...]:
    """Return the stages of the ramp up to a full batch, in sequences."""
    ramp = config.ramp
    if ramp is None:
        return (Stage(0, 0, full),)
    first, over = ramp.from_tokens // sequence_length, ramp.over_tokens
    if not 1 <= first < full:
        raise RecipeError(
            f"a ramp from {first} sequences to {full} does not rise",
            where="ramp.from_tokens",
            why=f"{ramp.from_tokens:,} tokens are {first} sequences of {sequence_length}, and a "
            f"full batch is {full}",
            fix="Start from fewer tokens, at least one sequence, or leave the ramp out",
        )
    stages: list[Stage] = []
    step = position = 0
    end = -(-over // sequence_length)  # the first position behind the ramp
    while position < end:
        multiple = 1 + (full - first) * position * sequence_length // (first * over)
        # Where the next multiple begins, and the full batch at last.
        rise = -(-multiple * first * over // ((full - first) * sequence_length))
        batch = multiple * first
        stages.append(Stage(step, position, batch))
        count = -(-(min(rise, end) - position) // batch)
        step, position = step + count, position + count * batch
    return (*stages, Stage(step, position, full))


def _position_after(stages: tuple[Stage, ...], step: int) -> int:
    at = bisect.bisect_right(stages, step, key=lambda stage: stage.step) - 1
    stage = stages[at]
    return stage.position + (step - stage.step) * stage.batch_sequences


def _steps_for(stages: tuple[Stage, ...], sequences: int) -> int:
    """Return the steps after which at least so many sequences have been seen."""
    at = bisect.bisect_left(stages, sequences, key=lambda stage: stage.position) - 1
    stage = stages[max(at, 0)]
    return stage.step + -(-(sequences - stage.position) // stage.batch_sequences)

"""Planning a mixture: measured shards and the recipe's weights in, Table 2.2 and a `Mixture` out.

Weights are the authority (GPT-3, section 2.2): a source is repeated as often as its weight and the
length of the run ask for, and a mix that would repeat one too often is refused with the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corpus import storage
from corpus.errors import InputError, StageError
from corpus.mix.mixture import (
    LARGEST_BLOCK,
    Mixture,
    MixtureSource,
    ShardEntry,
    Vocabulary,
    windows,
)
from corpus.mix.order import Order


@dataclass(frozen=True)
class MixtureRow:
    """What a training run takes from one source.

    Attributes:
        name: The recipe's name.
        requested: The recipe's weight.
        weight: The weight divided by the sum of all.
        tokens: Training tokens that there are.
        windows: Training sequences in one epoch.
        sequences: Sequences that the run takes.
        tokens_drawn: Tokens that the run takes.
        epochs: Sequences that it takes, divided by those of one epoch.
    """

    name: str
    requested: float
    weight: float
    tokens: int
    windows: int
    sequences: int
    tokens_drawn: int
    epochs: float


@dataclass(frozen=True)
class Ingredient:
    """A source to be mixed: its name, the recipe's weight, its shards."""

    name: str
    weight: float
    shards: Sequence[ShardEntry]
    validation: Sequence[ShardEntry]


def compose(
    ingredients: Sequence[Ingredient],
    *,
    seed: int,
    tokens: int,
    sequence_length: int,
    block: int,
    max_epochs: float,
    vocabulary: Vocabulary,
    dtype: str,
) -> Mixture:
    """Plan a mixture for a run of so many tokens.

    Weights are normalised (those of Table 2.2 sum to 1.01). Blocks are made as large as asked, but
    such that they divide the run almost evenly, so that shares are met at its end too; and large
    enough for one sequence of the least source.

    Raises:
        InputError: A source cannot be mixed: no tokens, no weight, or far too little of it.
        StageError: A source would be repeated more than `max_epochs` times.
    """
    for part in ingredients:
        if not (math.isfinite(part.weight) and part.weight > 0):
            raise InputError(
                f"the weight {part.weight} is not a positive number", where=f"sources.{part.name}"
            )
    total = math.fsum(part.weight for part in ingredients)
    horizon = tokens // sequence_length
    block = _even_block([part.weight for part in ingredients], horizon, block)
    sources = []
    for part in ingredients:
        own = sum(shard.tokens for shard in part.shards)
        sources.append(
            MixtureSource(
                part.name,
                requested=part.weight,
                weight=part.weight / total,
                tokens=own,
                windows=windows(own, sequence_length),
                shards=tuple(part.shards),
                validation=tuple(part.validation),
            )
        )
    mixture = Mixture(seed, sequence_length, block, horizon, dtype, vocabulary, tuple(sources))
    for row in table(mixture):
        if row.epochs > max_epochs:
            raise StageError(
                f"the mix takes {row.epochs:,.1f} epochs of it, over mix.max_epochs {max_epochs:g}",
                where=f"sources.{row.name}",
                why=f"A weight of {row.weight:.3g} of {tokens:,} tokens takes "
                f"{row.tokens_drawn:,} tokens of the {row.tokens:,} that it has",
                fix="Lower its weight or tokens, give it more input, or raise mix.max_epochs",
            )
    return mixture


def _even_block(weights: Sequence[float], horizon: int, block: int) -> int:
    """Return about `block`, so that blocks divide the run and hold a sequence of each source."""
    if not horizon:
        return block
    block = math.ceil(horizon / math.ceil(horizon / block))
    least = min(weights, default=1.0) / (math.fsum(weights) or 1.0)
    return min(max(block, math.ceil(1 / least) + 1), LARGEST_BLOCK)


def sequences_drawn(
    weights: Mapping[str, float], *, seed: int, horizon: int, block: int
) -> list[int]:
    """Return how many sequences a run takes of each source, as `table` counts them.

    Args:
        weights: The recipe's weight of each source, positive.
        seed: The recipe's.
        horizon: Sequences of the run.
        block: The recipe's `mix.block`.
    """
    total = math.fsum(weights.values())
    order = Order(
        seed,
        _even_block(list(weights.values()), horizon, block),
        names=tuple(weights),
        weights=tuple(weight / total for weight in weights.values()),
        windows=(1,) * len(weights),  # has no say in the shares
    )
    return order.drawn(horizon)


def table(mixture: Mixture) -> tuple[MixtureRow, ...]:
    """Return Table 2.2 for a mixture: what its run takes from each source."""
    return tuple(
        MixtureRow(
            source.name,
            source.requested,
            source.weight,
            source.tokens,
            source.windows,
            sequences=count,
            tokens_drawn=count * mixture.sequence_length,
            epochs=count / source.windows,
        )
        for source, count in zip(mixture.sources, mixture.order.drawn(mixture.horizon), strict=True)
    )


def blend(mixture: Mixture, *, folder: str, validation: bool = False) -> str:
    """Return the mixture as Megatron's `--data-path`: weight, prefix, weight, prefix, ...

    A source's weight is shared by its shards in proportion to their tokens; shards without tokens
    are left out. Megatron normalises the weights.

    Args:
        mixture: The mixture.
        folder: What the shards' paths are relative to; "" leaves them as they are.
        validation: Name the held-out shards instead of the training shards.

    Raises:
        InputError: A path has white space, which separates the words of a blend.
    """
    words = []
    for source in mixture.sources:
        shards = source.validation if validation else source.shards
        total = sum(shard.tokens for shard in shards)
        for shard in shards:
            prefix = storage.join(folder, shard.prefix) if folder else shard.prefix
            if len(prefix.split()) != 1:
                raise InputError(
                    "a path with white space cannot stand in a Megatron blend",
                    where=prefix,
                    fix="Choose an output folder without spaces",
                )
            if shard.tokens:
                words += [repr(source.weight * shard.tokens / total), prefix]
    return " ".join(words)

"""The mixture: the rows of Table 2.2 of GPT-3, and all else that a loader needs.

Weights are the authority: a weight is the share of the training sequences that come from a source,
quantities are measured, epochs follow (section 2.2). The order is that of corpus.mix.order.

A window of a source is T + 1 tokens of its shards read as one stream: window w is tokens w*T to
w*T + T, both included, so that each token but the first is predicted once. The rest at the end of
a stream, fewer than T tokens, is not trained on.

In: the rows of Table 2.2. Out: `mixture.json`, and (source, epoch, window) of positions.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from corpus.errors import InputError, IntegrityError
from corpus.mix.order import Order

FORMAT = 1
LARGEST_BLOCK = 1 << 20  # the order of a block is held in memory, 12 bytes a sequence


@dataclass(frozen=True)
class ShardEntry:
    """One token shard.

    Attributes:
        path: Its `.bin`, relative to the folder of `mixture.json`.
        tokens: Number of tokens.
        sha256: Digest of the `.bin`.
    """

    path: str
    tokens: int
    sha256: str

    @property
    def prefix(self) -> str:
        """The path without `.bin`."""
        return self.path.removesuffix(".bin")


@dataclass(frozen=True)
class Vocabulary:
    """What the ids mean: what `tokenizer.load` takes, and what identifies its result."""

    name: str
    size: int
    digest: str
    end_of_text: int


@dataclass(frozen=True)
class MixtureSource:
    """One row of Table 2.2.

    Attributes:
        name: The recipe's name.
        requested: The recipe's weight.
        weight: The weight divided by the sum of all.
        tokens: Training tokens.
        windows: Training sequences in one epoch.
        shards: Training shards, in the order in which they are one stream.
        validation: Held-out shards, read in order and never mixed.
    """

    name: str
    requested: float
    weight: float
    tokens: int
    windows: int
    shards: tuple[ShardEntry, ...]
    validation: tuple[ShardEntry, ...]


@dataclass(frozen=True)
class Mixture:
    """All that a loader needs.

    Attributes:
        seed: Of every random order.
        sequence_length: T, inputs of one sequence.
        block: Sequences a block.
        horizon: Sequences of the planned run. The order goes on behind it.
        dtype: "uint16" or "int32", of the ids in the shards.
        vocabulary: What the ids mean.
        sources: In the recipe's order.

    Raises:
        InputError: A number makes no sense, or a source cannot be mixed.
    """

    seed: int
    sequence_length: int
    block: int
    horizon: int
    dtype: str
    vocabulary: Vocabulary
    sources: tuple[MixtureSource, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 1 << 64:
            raise InputError(f"the seed {self.seed} is not between 0 and 2^64", where="seed")
        if min(self.sequence_length, self.horizon) < 1:
            raise InputError(
                f"a run of {self.horizon} sequences of {self.sequence_length} tokens is empty",
                where="tokens",
                fix="Raise tokens, or lower mix.sequence_length",
            )
        if not 1 <= self.block <= LARGEST_BLOCK:
            raise InputError(
                f"a block of {self.block:,} sequences is not between 1 and {LARGEST_BLOCK:,}",
                where="mix.block",
            )
        names = [source.name for source in self.sources]
        if not names or len(set(names)) != len(names):
            raise InputError(f"the sources {names} are none, or not distinct", where="sources")
        for source in self.sources:
            self._check(source)

    def _check(self, source: MixtureSource) -> None:
        where = f"sources.{source.name}"
        if not (math.isfinite(source.weight) and 0 < source.weight <= 1):
            raise InputError(f"its weight {source.weight} is not between 0 and 1", where=where)
        if source.tokens != sum(shard.tokens for shard in source.shards):
            raise InputError(f"its {source.tokens:,} tokens are not its shards' sum", where=where)
        if source.tokens >= 1 << 62:
            raise InputError(f"its {source.tokens:,} tokens are over 2^62", where=where)
        if source.windows != windows(source.tokens, self.sequence_length):
            raise InputError(f"its {source.windows:,} windows do not fit its tokens", where=where)
        if not source.windows:
            raise InputError(
                f"its {source.tokens:,} tokens are less than one sequence",
                where=where,
                why=f"A sequence takes {self.sequence_length:,} + 1 tokens",
                fix="Give it more input, leave out its weight, or lower mix.sequence_length",
            )
        # With less than one sequence a block, rounding could take a sequence back from a source.
        if source.weight * self.block < 1:
            raise InputError(
                f"its share of a block of {self.block:,} sequences is less than one sequence",
                where=where,
                why=f"Its weight is {source.weight:.3g} of the sum of all weights",
                fix=f"Raise its weight to {1 / LARGEST_BLOCK:.1g} of the sum, or leave it out",
            )

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the content: what tells this order of sequences from any other."""
        text = json.dumps(self._content(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def _content(self) -> dict[str, Any]:
        return {"format": FORMAT, **asdict(self)}

    def to_json(self) -> dict[str, Any]:
        """Return the content of `mixture.json`."""
        return self._content() | {"fingerprint": self.fingerprint}

    @staticmethod
    def from_json(content: Any, *, where: str) -> Mixture:
        """Read the content of `mixture.json`.

        Args:
            content: The parsed JSON.
            where: Its path, for errors.

        Raises:
            InputError: It is no mixture, or one of another format.
            IntegrityError: It has been changed since it was written.
        """
        try:
            if content["format"] != FORMAT:
                raise InputError(
                    f"this mixture has format {content['format']}, and {FORMAT} is read here",
                    where=where,
                    fix="Run corpus mix again",
                )
            fields = {name: content[name] for name in _FIELDS}
            fields["vocabulary"] = Vocabulary(**content["vocabulary"])
            fields["sources"] = tuple(_source(source) for source in content["sources"])
            mixture = Mixture(**fields)
            fingerprint = content["fingerprint"]
            changed = fingerprint != mixture.fingerprint
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                "this is not a mixture", where=where, why=repr(error), fix="Run corpus mix again"
            ) from error
        if changed:
            raise IntegrityError(
                "the mixture has been changed since it was written",
                where=where,
                why=f"Its fingerprint is {mixture.fingerprint}, and it says {fingerprint}",
                fix="Run corpus mix again",
            )
        return mixture

    def validation_windows(self) -> tuple[int, ...]:
        """Return per source the number of held-out sequences; their order is that of the shards."""
        held = (sum(shard.tokens for shard in source.validation) for source in self.sources)
        return tuple(windows(tokens, self.sequence_length) for tokens in held)

    @functools.cached_property
    def order(self) -> Order:
        """The order of the training sequences."""
        return Order(
            self.seed,
            self.block,
            names=tuple(source.name for source in self.sources),
            weights=tuple(source.weight for source in self.sources),
            windows=tuple(source.windows for source in self.sources),
        )

    def locate(
        self, positions: npt.NDArray[np.integer[Any]]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Return index of the source, epoch and window at each position (`Order.locate`)."""
        return self.order.locate(positions)


_FIELDS = tuple(Mixture.__dataclass_fields__)


def _source(content: dict[str, Any]) -> MixtureSource:
    shards, validation = (
        tuple(ShardEntry(**shard) for shard in content[name]) for name in ("shards", "validation")
    )
    return MixtureSource(**{**content, "shards": shards, "validation": validation})


def windows(tokens: int, sequence_length: int) -> int:
    """Return the number of sequences of T + 1 tokens, overlapping by one, in a stream."""
    return max(tokens - 1, 0) // sequence_length

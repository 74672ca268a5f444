"""A prediction: what is said of each source, of each stage, and of the whole.

Plain data, made by `corpus.planning.predict` and printed by `corpus.planning.show`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from corpus.planning.sources import Estimate


@dataclass(frozen=True)
class SourcePrediction:
    """What is predicted of one source.

    Attributes:
        name: The recipe's name.
        measured: The source whose constants were used.
        files: Input files.
        bytes: Their size.
        how: How that is known: "measured", "given", "usual".
        fetched: Bytes of it that are copied to the output folder.
        sample: Share of the input that the constants were measured on; 0 if that was other input.
        kept: Documents after each stage.
        least: The least part of its documents and tokens that dedup may leave, for all that is
            known of its duplicates; the errors are of the sample alone.
        most: The largest.
        documents: Documents kept to the end.
        tokens: Training tokens.
        disk: Bytes of its files.
    """

    name: str
    measured: str
    files: int
    bytes: float
    how: str
    fetched: float
    sample: float
    kept: Mapping[str, float]
    least: float
    most: float
    documents: Estimate
    tokens: Estimate
    disk: Estimate


@dataclass(frozen=True)
class StagePrediction:
    """What is predicted of one stage.

    Attributes:
        stage: Its name.
        documents: Documents that it keeps; None of `crawl` and `mix`, or when not measured.
        written: Bytes that it leaves on the disk.
        temporary: Bytes that go when it is complete.
        cpu: Seconds of processor time.
        wall: Seconds on the cores that there are.
        memory: The most bytes that a worker holds.
    """

    stage: str
    documents: float | None
    written: float
    temporary: float
    cpu: Estimate
    wall: float
    memory: float


@dataclass(frozen=True)
class Prediction:
    """What a build takes.

    Attributes:
        origin: Where the constants are from.
        cores: Processor cores that the times are of.
        sources: Of those sources that can be predicted.
        unknown: Why others cannot, by source.
        stages: In order.
        documents: Kept to the end.
        tokens: For training.
        disk: Bytes when the build is complete.
        peak: The most bytes on the disk at a time.
        cpu: Seconds of processor time.
        wall: Seconds, on cores as busy with other work as when the constants were measured.
        slowdown: How many times as long that is as on cores that do nothing else.
        notes: What a reader has to know.
    """

    origin: str
    cores: int
    sources: tuple[SourcePrediction, ...]
    unknown: Mapping[str, str]
    stages: tuple[StagePrediction, ...]
    documents: Estimate
    tokens: Estimate
    disk: Estimate
    peak: float
    cpu: Estimate
    wall: float
    slowdown: float = 1.0
    notes: tuple[str, ...] = ()

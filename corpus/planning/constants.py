"""What was measured of a build: the constants that a prediction is made from, and their file.

In: a complete build and what its meter has heard. Out: `Constants`: for each source its sampling
units (input files, with what became of their documents), and for each step what its tasks have
cost. All of it is plain JSON, so that a probe and earlier builds can be kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from corpus.errors import IntegrityError
from corpus.metering.meter import Key, Sums, from_plain, plain

LAYOUT = 1  # of the file


@dataclass(frozen=True)
class Unit:
    """One input file, or a piece of one, and what became of it.

    Attributes:
        bytes: Of the source's input that it stands for.
        into: Rows that went into each stage.
        kept: Rows that each stage kept.
        tokens: Training tokens.
        validation: Validation tokens.
        text_bytes: Bytes of the text that was tokenised.
        disk: Bytes of the files that grow with the rows, but for what a file has without any.
        sample_disk: Bytes of the sample that the classifier is trained on, which has a bound.
        token_disk: Bytes of token shards.
        foreign: Documents that dedup dropped for one of another source, by that source.
        clusters: Kept documents with their duplicates, a cluster each, that this unit has some of.
        alone: Those that lie in this unit alone.
        pairs: Those in this unit and one more.
        triples: Those in this unit and two more.
    """

    bytes: float
    into: Mapping[str, int] = field(default_factory=dict)
    kept: Mapping[str, int] = field(default_factory=dict)
    tokens: int = 0
    validation: int = 0
    text_bytes: int = 0
    disk: int = 0
    sample_disk: int = 0
    token_disk: int = 0
    foreign: Mapping[str, int] = field(default_factory=dict)
    clusters: int = 0
    alone: int = 0
    pairs: int = 0
    triples: int = 0


@dataclass(frozen=True)
class SourceConstants:
    """What was measured of one source.

    Attributes:
        form: What its files are: those of another form cost something else.
        files: Input files that there are of it in all.
        bytes: Their size.
        share: Share of them that was measured.
        units: What was measured.
        distinct: Documents kept by dedup, with their duplicates in the source a cluster each.
        parts: Files of documents that each unit makes, on average.
    """

    form: str
    files: int
    bytes: float
    share: float
    units: tuple[Unit, ...]
    distinct: int = 0
    parts: float = 1.0

    @property
    def measured_bytes(self) -> float:
        """Bytes of the units."""
        return sum(unit.bytes for unit in self.units)


@dataclass(frozen=True)
class Constants:
    """What was measured of a build.

    Attributes:
        origin: Where from, for a person.
        fingerprint: Of the recipe, without what changes nothing that is measured.
        sections: Of the settings of each stage, by section of the recipe.
        sources: By name.
        steps: What the tasks of each step have cost, by step, source, and whether its files go.
        driver: Seconds of processor time of the process that leads the build: to start, and beyond
            that for each task.
        fixed_disk: Bytes of files that do not grow with the input.
        part_bytes: Of the files of each part, whatever is in them.
        rate: Bytes a second that were fetched; None when nothing was.
        slowdown: How many times as long it took as on cores that do nothing else.
        notes: What a reader of the prediction has to know.
    """

    origin: str
    fingerprint: str
    sections: Mapping[str, str]
    sources: Mapping[str, SourceConstants]
    steps: Mapping[Key, Sums]
    driver: tuple[float, float] = (0.0, 0.0)
    fixed_disk: int = 0
    part_bytes: float = 0.0
    rate: float | None = None
    slowdown: float = 1.0
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        named = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        sources = {name: dataclasses.asdict(source) for name, source in self.sources.items()}
        return {"layout": LAYOUT, **named, "sources": sources, "steps": plain(self.steps)}


def from_json(value: Any, *, where: str) -> Constants:
    """Return what `Constants.to_json` made plain.

    Raises:
        IntegrityError: It is something else, or of another version of the program.
    """
    try:
        if value["layout"] != LAYOUT:
            raise KeyError("layout")
        rest = {key: entry for key, entry in value.items() if key != "layout"}
        sources = {
            name: SourceConstants(
                **{**own, "units": tuple(Unit(**unit) for unit in own["units"])},
            )
            for name, own in value["sources"].items()
        }
        steps = from_plain(value["steps"])
        start, each = value["driver"]
        notes = tuple(value["notes"])
        changed = {"sources": sources, "steps": steps, "driver": (start, each), "notes": notes}
        return Constants(**{**rest, **changed})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise IntegrityError(
            "these are not the constants of a build, or of another version of the program",
            where=where,
            why=f"{type(error).__name__}: {error}",
            fix="Delete the file and run corpus plan --probe",
        ) from error

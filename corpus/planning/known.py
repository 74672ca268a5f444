"""The sources of a recipe that something is known of, at their full size.

In: a recipe, constants, and how large the inputs are. Out: for each source the constants that hold
for it, those of its name or else of its form, and what there is of it at its size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from corpus.clean import BETWEEN
from corpus.config import ClassifierTraining, Recipe
from corpus.document_writer import FILE_BYTES
from corpus.planning.constants import Constants, SourceConstants
from corpus.planning.inputs import Extent, form
from corpus.planning.sources import Amounts, amounts
from corpus.sources import multistream


@dataclass(frozen=True)
class Known:
    """What is known of a source at its full size.

    Attributes:
        name: The source that was measured.
        constants: What was.
        extent: How large its input is.
        factor: How many times as large as what was measured.
        amounts: What there is of it at that size.
        measured: What there was of it when it was measured.
    """

    name: str
    constants: SourceConstants
    extent: Extent
    factor: float
    amounts: Amounts
    measured: Amounts

    @property
    def fetched(self) -> float:
        """Bytes of the input that are copied to the output folder."""
        return self.extent.bytes if self.extent.fetched else 0.0

    @property
    def change(self) -> float:
        """The share of documents that dedup keeps, in parts of what it kept of the sample."""
        now, then = self.amounts, self.measured
        if not then.kept.get("dedup") or not now.into.get("dedup"):
            return 1.0
        share = now.kept["dedup"] / now.into["dedup"]
        return share / (then.kept["dedup"] / then.into["dedup"])


def known_sources(
    recipe: Recipe, constants: Constants, extents: Mapping[str, Extent | None]
) -> tuple[dict[str, Known], dict[str, str]]:
    """Return the sources that can be predicted, and why the others cannot."""
    found: dict[str, tuple[str, Extent, float]] = {}
    unknown: dict[str, str] = {}
    for name, source in recipe.sources.items():
        extent = extents.get(name)
        like = _like(constants, name, form(source))
        if like is None:
            unknown[name] = f"nothing was measured of {form(source)} files"
        elif extent is None:
            unknown[name] = f"the size of its input is not known: plan.inputs.{name} may say it"
        elif extent.bytes and not constants.sources[like].measured_bytes:
            unknown[name] = "nothing of it was measured"
        else:
            size = constants.sources[like].measured_bytes
            found[name] = (like, extent, extent.bytes / size if extent.bytes else 1.0)
    by_like = {like: factor for like, _, factor in found.values()}
    bound = _sample_bound(recipe, constants)
    known: dict[str, Known] = {}
    for name, (like, extent, factor) in found.items():
        own = constants.sources[like]
        whole = amounts(own, factor, foreign=by_like, sample_bound=bound)
        known[name] = Known(like, own, extent, factor, whole, amounts(own, 1.0, foreign={}))
    return known, unknown


def _like(constants: Constants, name: str, kind: str) -> str | None:
    """Return the source whose constants hold for another: of its name, or else of its form."""
    own = constants.sources.get(name)
    if own is not None and own.form == kind:
        return name
    return next((n for n, source in constants.sources.items() if source.form == kind), None)


def _sample_bound(recipe: Recipe, constants: Constants) -> float:
    """Return how many times as large the sample can become that the classifier is trained on."""
    training = recipe.filter.classifier if recipe.filter else None
    if not isinstance(training, ClassifierTraining):
        return math.inf
    kept = [sum(u.kept.get("extract", 0) for u in s.units) for s in constants.sources.values()]
    return training.documents / max([1, *kept])


def files(own: Known) -> float:
    """Return how many files, or stretches of a dump, there are of a source to read."""
    if own.constants.form == "wikipedia":
        return max(float(own.extent.files), own.extent.bytes / multistream.SIZE)
    return float(own.extent.files)


def parts(own: Known) -> float:
    """Return how many files of documents a source has at its full size."""
    return max(files(own), own.amounts.text_bytes / FILE_BYTES)


def growth(known: Mapping[str, Known], step: str, source: str, *, temporary: bool) -> float:
    """Return how many times as large a step is as it was measured, of a source or of all.

    Args:
        known: The sources of the recipe.
        step: Name of the step.
        source: Name of the source, or what stands for all of them.
        temporary: Whether the step's files go with its stage.
    """
    owners = measured_as(known, source)
    if owners:
        later = stage_of(step, temporary=temporary) in ("decontaminate", "tokenize")
        return sum(own.factor * (own.change if later else 1.0) for own in owners)
    if stage_of(step, temporary=temporary) == "dedup":
        before = sum(own.measured.into.get("dedup", 0.0) for own in known.values())
        after = sum(own.amounts.into.get("dedup", 0.0) for own in known.values())
        return after / before if before else 1.0
    return 1.0


def measured_as(known: Mapping[str, Known], source: str) -> list[Known]:
    """Return the sources that the constants of a measured one are used for."""
    return [own for own in known.values() if own.name == source]


def stage_of(step: str, *, temporary: bool) -> str:
    """Return the stage that a step is of."""
    # Steps whose files go are those of the exchange of dedup.
    return "dedup" if temporary else BETWEEN.get(step, step)

"""The forecast of a recipe: its prediction, what it costs, and whether it fits.

In: a recipe and its output folder, where a probe may have left its constants. Out: a `Forecast`
from the best constants that there are: those of a probe, or of the last builds on this machine.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from corpus import storage
from corpus.config import Recipe
from corpus.errors import InputError
from corpus.planning import cost, history, show
from corpus.planning.constants import Constants, from_json
from corpus.planning.cost import Bill
from corpus.planning.inputs import Extent, extents
from corpus.planning.predict import predict
from corpus.planning.prediction import Prediction
from corpus.planning.probe import PROBE, read_probe, recipe_fingerprint
from corpus.tables import Block


@dataclass(frozen=True)
class Forecast:
    """A prediction with what it costs.

    Attributes:
        prediction: The prediction.
        bill: Money; None without prices.
        free: Free bytes where the output goes; None of a store.
    """

    prediction: Prediction
    bill: Bill | None
    free: int | None


def forecast(
    recipe: Recipe, output: str, *, constants: str | None = None, workers: int | None = None
) -> Forecast | None:
    """Return the forecast of a recipe, or None when nothing like it was ever measured here.

    Args:
        recipe: The recipe.
        output: Its output folder.
        constants: Another output folder, whose probe is used.
        workers: Tasks at a time, where the recipe does not say how many cores there are.

    Raises:
        InputError: There is no probe in the other folder.
        IntegrityError: A probe is damaged.
    """
    measured = _constants(recipe, output, constants)
    if measured is None:
        return None
    cores = recipe.plan.cores or workers or len(os.sched_getaffinity(0))
    # Cores that the recipe names are a cluster's: what else this machine does is not theirs.
    slowdown = 1.0 if recipe.plan.cores else measured.slowdown
    found = _extents(recipe, measured)
    prediction = predict(recipe, measured, found, cores=cores, slowdown=slowdown)
    bill = cost.bill(prediction, recipe.plan)
    return Forecast(prediction, bill, cost.free_bytes(output))


def check_fits(made: Forecast, output: str) -> None:
    """Refuse what cannot fit on the disk.

    Raises:
        StageError: It cannot.
    """
    cost.check_fits(made.prediction, output)


def check_build(recipe: Recipe, output: str) -> None:
    """Refuse a build of which a probe of this very recipe says that it cannot fit on the disk.

    Raises:
        StageError: It cannot.
        IntegrityError: The probe is damaged.
    """
    measured = read_probe(recipe, output)
    if measured is not None:
        prediction = predict(recipe, measured, _extents(recipe, measured), cores=1)
        cost.check_fits(prediction, output)


def describe(made: Forecast | None, drawn: Mapping[str, int | None]) -> Iterator[Block]:
    """Yield what a person reads.

    Args:
        made: The forecast.
        drawn: Tokens that the training run takes of each source.
    """
    yield ""
    if made is None:
        yield "What it takes is not predicted: nothing like it was built here. --probe measures it."
        return
    yield from show.describe(made.prediction, drawn=drawn, paid=made.bill, free=made.free)


def to_json(made: Forecast | None) -> dict[str, Any] | None:
    """Return a forecast as plain JSON."""
    if made is None:
        return None
    value = dataclasses.asdict(made)
    if made.bill is not None:
        value["bill"]["total"] = made.bill.total
    return {**value.pop("prediction"), **value}


def _constants(recipe: Recipe, output: str, other: str | None) -> Constants | None:
    if other is None:
        return read_probe(recipe, output) or history.last(recipe)
    path = storage.join(other.rstrip("/"), PROBE)
    if not storage.exists(path):
        raise InputError(
            "there is no probe in this folder",
            where=other,
            fix="Name the output folder of a recipe that corpus plan --probe was run with",
        )
    return from_json(storage.read_json(path), where=path)


def _extents(recipe: Recipe, measured: Constants) -> dict[str, Extent | None]:
    """Return how large the inputs are: as they are now, or else as the probe has found them."""
    found = dict(extents(recipe))
    if measured.fingerprint != recipe_fingerprint(recipe):
        return found  # of other files
    for name, source in recipe.sources.items():
        extent, known = found[name], measured.sources.get(name)
        if known is None or not known.bytes or name in recipe.plan.inputs:
            continue
        if extent is None:
            found[name] = Extent(known.files, known.bytes, "measured")
        elif extent.how == "usual":
            kind = source.commoncrawl
            files = known.files if kind is not None and kind.files is None else extent.files
            found[name] = Extent(
                files, files * known.bytes / known.files, "measured", extent.fetched
            )
    return found

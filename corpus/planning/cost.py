"""What a build costs in money, and whether it fits on the disk.

In: a prediction, prices of the recipe, and the free space where the output goes. Out: a `Bill`, and
an error with the numbers when the build cannot fit.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from corpus import storage
from corpus.config import Planning
from corpus.errors import StageError
from corpus.planning.prediction import Prediction
from corpus.tables import size

_HOUR = 3600.0
_GB = 1e9


@dataclass(frozen=True)
class Bill:
    """Money, in one currency.

    Attributes:
        currency: Its name.
        cores: For processor time: cores are paid for as long as the build takes.
        disk: For the output, as long as it is kept.
        transfer: For the input that is fetched.
    """

    currency: str
    cores: float
    disk: float
    transfer: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.cores + self.disk + self.transfer


def bill(prediction: Prediction, planning: Planning) -> Bill | None:
    """Return what a build costs, or None when the recipe has no prices."""
    prices = planning.prices
    if prices is None:
        return None
    fetched = sum(source.fetched for source in prediction.sources)
    # Cores that wait for the last task are paid for too.
    hours = max(prediction.cpu.value, prediction.wall * prediction.cores) / _HOUR
    return Bill(
        currency=prices.currency,
        cores=hours * prices.core_hour,
        disk=prediction.disk.value / _GB * prices.gb_month * planning.months,
        transfer=fetched / _GB * prices.egress_gb,
    )


def free_bytes(output: str) -> int | None:
    """Return the free space where an output folder is or will be; None of a store."""
    if storage.is_remote(output):
        return None
    folder = Path(output.removeprefix("file://")).absolute()
    while not folder.is_dir():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def used_bytes(output: str) -> int:
    """Return the bytes in an output folder already, which are part of what a build needs."""
    if storage.is_remote(output):
        return 0
    folder = Path(output.removeprefix("file://"))
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def check_fits(prediction: Prediction, output: str) -> None:
    """Refuse a build that cannot fit on the disk, even if all errors are on its side.

    Raises:
        StageError: It cannot, with the numbers.
    """
    free = free_bytes(output)
    if free is None:
        return
    there = used_bytes(output)
    least = prediction.peak - (prediction.disk.error or 0.0) - there
    if least <= free:
        return
    error = prediction.disk.error
    within = "" if error is None else f" ± {size(int(error))}"
    built = f", of which {size(there)} are there" if there else ""
    raise StageError(
        f"the build cannot fit on the disk: it needs {size(int(prediction.peak))}{within} at its "
        f"peak{built}, and {size(free)} are free",
        where=output,
        why=f"Predicted from {prediction.origin}",
        fix="Free some space, choose another folder with --output, or take less input",
    )

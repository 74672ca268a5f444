"""The section `plan`: what a build may cost."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from corpus.settings import Settings


class Prices(Settings):
    """What machines, disks and networks cost, in one currency."""

    currency: str = "USD"
    """Name of the currency."""
    core_hour: Annotated[float, Field(ge=0)] = 0.0
    """An hour of one processor core."""
    gb_month: Annotated[float, Field(ge=0)] = 0.0
    """A month of 10^9 bytes of disk."""
    egress_gb: Annotated[float, Field(ge=0)] = 0.0
    """The transfer of 10^9 bytes of input to where the build runs."""


class Planning(Settings):
    """What `corpus plan` reckons with; nothing of it changes what is built."""

    prices: Prices | None = None
    """Prices; without them no money is shown."""
    months: Annotated[float, Field(gt=0)] = 1.0
    """Months that the disk is paid for."""
    cores: Annotated[int, Field(ge=1)] | None = None
    """Cores of the cluster; those of this machine, or `--workers`, by default."""
    sample_bytes: Annotated[int, Field(ge=100_000)] = 64_000_000
    """Bytes of each source that `--probe` builds at most."""
    inputs: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """Bytes of the input of sources by name, where they cannot be looked at: not there yet, say."""

"""The recipe of an ablation: `ablate.yaml` to a frozen model. Every default stands here.

How a model is trained and evaluated is not told anew: the recipe names a `train.yaml` and an
`evaluate.yaml`, which can be run by themselves. Paths are relative to the working directory, as
those of the two are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field, model_validator

from corpus.settings import Settings, load_settings

Seed = Annotated[int, Field(ge=0, lt=2**63)]
Name = Annotated[str, Field(pattern=r"^[\w.-]+$")]


class AblateConfig(Settings):
    """All of `ablate.yaml`."""

    output: str
    """Folder for the models, their results, and the comparison. What is there is not made again."""
    builds: Mapping[Name, str]
    """By the name that the comparison calls it: the output folder of a build, or `mixture.json`."""
    baseline: str | None = None
    """The build that the others are compared with; the first by default."""
    train: str
    """A `train.yaml`. Its mixture, output and seed are replaced; all else holds for every model."""
    evaluate: str
    """An `evaluate.yaml`. Its model and output are replaced. Name text that no build has trained
    on; builds of one seed and one share of validation hold out the same documents."""
    seeds: tuple[Seed, ...] = (1, 2, 3)
    """Seeds of the weights, a model of each build for every one. Three is the fewest that give an
    interval worth the name."""

    @model_validator(mode="after")
    def _comparable(self) -> AblateConfig:
        if len(self.builds) < 2:
            raise ValueError("builds: give two or more to compare")
        if self.baseline is not None and self.baseline not in self.builds:
            raise ValueError(
                f"baseline: no build is named {self.baseline}; there are: {', '.join(self.builds)}"
            )
        if len(self.seeds) < 2 or len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: give two or more, and none twice")
        return self

    @property
    def base(self) -> str:
        """The name of the build that the others are compared with."""
        return self.baseline or next(iter(self.builds))


def load_ablate_config(path: str, overrides: Sequence[str] = ()) -> AblateConfig:
    """Return the recipe of an ablation.

    Args:
        path: `ablate.yaml`, a local path or a URL.
        overrides: `key.path=value` each, applied before validation.

    Raises:
        RecipeError: The file cannot be read, or anything in it is wrong.
    """
    return load_settings(AblateConfig, path, overrides)

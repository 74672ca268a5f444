"""The recipe of a classifier: `train.yaml` as a frozen model, by the rules of `mix.yaml`."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from corpus import storage
from corpus.config import ClassifierTraining, Crawl, Extract, Recipe, Source
from corpus.settings import load_settings


class ClassifierRecipe(ClassifierTraining):
    """A classifier: which sources it tells apart, and how it is trained and evaluated."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """Name; its sources are built under `data/classifier-<name>` unless --output says otherwise."""
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    """The sample, and what of it is held out, are functions of this seed."""
    sources: Annotated[dict[str, Source], Field(min_length=1)]
    """The sources by name, as in `mix.yaml`; one of neither class is scored all the same."""
    crawl: Crawl = Crawl()
    """Downloading."""
    extract: Extract = Extract()
    """Text extraction: the same as in the recipes that will use the classifier."""

    @model_validator(mode="after")
    def _whole(self) -> ClassifierRecipe:
        problems = list(self._problems())
        if problems:
            raise PydanticCustomError("several", "several problems", {"problems": problems})
        return self

    def _problems(self) -> Iterator[tuple[str, str]]:
        for side in ("positives", "negatives"):
            for name in getattr(self, side):
                if name not in self.sources:
                    near = difflib.get_close_matches(name, self.sources, n=1)
                    yield (
                        side,
                        f"{name!r} is no source" + (f"; did you mean {near[0]}?" * bool(near)),
                    )
        for name in set(self.positives) & set(self.negatives):
            yield "negatives", f"{name!r} is one of the positives too"
        for name, source in self.sources.items():
            if source.weight is not None or source.filter:
                yield f"sources.{name}", "a classifier's source has neither weight nor filter"

    def recipe(self) -> Recipe:
        """Return the recipe that builds the text of the sources."""
        return Recipe(
            name=f"classifier-{self.name}"[:64],
            seed=self.seed,
            sources=self.sources,
            crawl=self.crawl,
            extract=self.extract,
        )

    def training(self) -> ClassifierTraining:
        """Return what the steps of a build take."""
        return ClassifierTraining(
            **{name: getattr(self, name) for name in ClassifierTraining.model_fields}
        )


def load_classifier_recipe(path: str, overrides: Sequence[str] = ()) -> ClassifierRecipe:
    """Return the recipe of a classifier in a YAML file.

    Args:
        path: A local path or URL.
        overrides: `key.path=value` each.

    Raises:
        RecipeError: It cannot be read, or anything in it is wrong; all problems at once.
    """
    folder = path.rsplit("/", 1)[0] if storage.is_remote(path) else storage.absolute_folder(path)
    return load_settings(ClassifierRecipe, path, overrides, context={"folder": folder})

"""The recipe of a classifier: `train.yaml` as a frozen model, by the rules of `mix.yaml`."""

from __future__ import annotations

import difflib
import glob
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from corpus import storage
from corpus.config import ClassifierTraining, Crawl, Extract, Recipe, Source
from corpus.errors import RecipeError
from corpus.settings import dump_yaml, load_settings, parse_yaml, validate

RECIPE = "train.yaml"  # in a classifier's folder
_WRITTEN = "# Written by `corpus classifier train`: the settings of this training, --set applied.\n"


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
    return load_settings(ClassifierRecipe, path, overrides, context={"folder": folder_of(path)})


def folder_of(path: str) -> str:
    """Return the folder of a recipe, which relative paths in it start from."""
    return path.rsplit("/", 1)[0] if storage.is_remote(path) else storage.absolute_folder(path)


def text_beside_model(recipe: ClassifierRecipe, path: str, folder: str) -> bytes:
    """Return the recipe to keep in a classifier's folder: read there, it is what was trained.

    It is the file as it was written, comments and all, where that says the same in the folder.
    Otherwise, with settings of --set or relative paths that led elsewhere, it is the settings that
    were given: paths below the folder relative to it, all others absolute.

    Args:
        recipe: As it was loaded from the file, with overrides.
        path: The file that it was loaded from.
        folder: The classifier's.
    """
    target = storage.join(folder, RECIPE)
    written = storage.read_bytes(path)
    if _read_at(target, written) == recipe:
        return written
    value = recipe.model_dump(mode="json", exclude_unset=True)
    below = {**value, "sources": _relative(value["sources"], folder_of(target))}
    text = f"{_WRITTEN}\n{dump_yaml(below)}".encode()
    # A relative path in a folder with the signs of a pattern in its name can be read as another.
    same = _read_at(target, text) == recipe
    return text if same else f"{_WRITTEN}\n{dump_yaml(value)}".encode()


def _read_at(path: str, text: bytes) -> ClassifierRecipe | None:
    """Return the recipe that a text is in a file, or None where it is none."""
    try:
        value, lines = parse_yaml(text.decode("utf-8"), path)
        return validate(ClassifierRecipe, value, lines, path, {"folder": folder_of(path)})
    except RecipeError:  # only the overrides made it one
        return None


def _relative(value: Any, folder: str) -> Any:
    """Return a source's settings with each path below a folder relative to it."""
    if isinstance(value, dict):
        return {key: _relative(inner, folder) for key, inner in value.items()}
    if isinstance(value, list):
        return [_relative(inner, folder) for inner in value]
    if isinstance(value, str):
        for start in (f"{folder}/", f"{glob.escape(folder)}/"):
            if value.startswith(start):
                return value.removeprefix(start)
    return value

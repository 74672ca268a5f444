"""The recipe as a whole: what its sections have to agree on."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from corpus import storage
from corpus.config.crawl import Crawl
from corpus.config.decontaminate import Decontaminate
from corpus.config.dedup import Dedup
from corpus.config.extract import Extract
from corpus.config.filter import ClassifierTraining, Filter
from corpus.config.mix import Mix
from corpus.config.plan import Planning
from corpus.config.sources import Source
from corpus.config.tokenize import Tokenize
from corpus.settings import Settings, load_settings


class Recipe(Settings):
    """A whole build."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """Name of the build; its output folder is `data/<name>` unless --output says otherwise."""
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    """Every random draw is a function of this seed and a document's id."""
    tokens: Annotated[int, Field(ge=1)] | None = None
    """Tokens of the training run (GPT-3: 300 billion); epochs follow from it. Needed by `mix`."""
    sources: Annotated[dict[str, Source], Field(min_length=1)]
    """The sources by name, in order of priority: of two duplicates the earlier source's is kept."""
    crawl: Crawl = Crawl()
    """Downloading."""
    extract: Extract = Extract()
    """Text extraction."""
    filter: Filter | None = None
    """Quality filtering; left out without this key."""
    dedup: Dedup | None = None
    """Removal of near-duplicates; left out without this key."""
    decontaminate: Decontaminate | None = None
    """Removal of benchmark text; left out without this key."""
    tokenize: Tokenize | None = None
    """Tokenisation; left out without this key."""
    mix: Mix | None = None
    """Mixing; left out without this key."""
    plan: Planning = Planning()
    """What `corpus plan` reckons with."""

    @model_validator(mode="after")
    def _whole(self) -> Recipe:
        problems = [
            *self._source_problems(),
            *self._prefilter_problems(),
            *self._stage_problems(),
        ]
        if problems:
            raise PydanticCustomError("several", "several problems", {"problems": problems})
        return self

    def _source_problems(self) -> Iterator[tuple[str, str]]:
        for name, source in self.sources.items():
            if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
                yield f"sources.{name}", "a source's name has only a-z, A-Z, 0-9, _ and -"
            if source.filter and self.filter is None:
                yield f"sources.{name}.filter", "the recipe has no filter section"
        rules = self.filter and (
            self.filter.languages or self.filter.heuristics or self.filter.urls
        )
        if rules and not any(source.filter for source in self.sources.values()):
            yield "filter", "filters nothing: say `filter: true` of a source"

    def _prefilter_problems(self) -> Iterator[tuple[str, str]]:
        look, rules, where = self.extract.prefilter, self.filter, "extract.prefilter"
        if look is None:
            return
        if rules is None or not any(source.filter for source in self.sources.values()):
            yield where, "looks ahead at what `filter` drops, and nothing is filtered"
            return
        if self.extract.extractor != "trafilatura":
            yield where, f"spares no time beside `extractor: {self.extract.extractor}`"
        if isinstance(rules.classifier, ClassifierTraining):
            yield (
                where,
                "would spare pages that filter.classifier is trained on: name a trained one",
            )
        elif rules.alpha == "fit":
            yield where, "would spare pages that filter.alpha is fitted to: give a number"
        elif look.quality and rules.classifier is None:
            yield f"{where}.quality", "needs a trained classifier in filter.classifier"
        if not look.quality and not (rules.languages or rules.urls or rules.heuristics):
            yield where, "has nothing to look at: add `quality: true` to it, or rules to filter"
        if look.alpha is not None and rules.alpha != "fit" and rules.alpha < look.alpha:
            yield "filter.alpha", f"would keep pages that prefilter.alpha {look.alpha:g} has spared"

    def _stage_problems(self) -> Iterator[tuple[str, str]]:
        for name in self.plan.inputs.keys() - self.sources.keys():
            yield f"plan.inputs.{name}", "is no source"
        if self.mix is not None:
            if self.tokenize is None:
                yield "mix", "needs tokenize: add `tokenize: {vocabulary: gpt2}`"
            if self.tokens is None:
                yield "tokens", "has to be given for mix: the length of the training run"
            if all(source.weight is None for source in self.sources.values()):
                yield "mix", "needs at least one source with a weight"
        if self.filter is not None and isinstance(self.filter.classifier, ClassifierTraining):
            for side in ("positives", "negatives"):
                for name in getattr(self.filter.classifier, side):
                    if name not in self.sources:
                        near = difflib.get_close_matches(name, self.sources, n=1)
                        hint = f"; did you mean {near[0]}?" if near else ""
                        yield f"filter.classifier.{side}", f"{name!r} is no source{hint}"
        for name in self.dedup.lines.sources if self.dedup and self.dedup.lines else ():
            if name not in self.sources:
                near = difflib.get_close_matches(name, self.sources, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                yield "dedup.lines.sources", f"{name!r} is no source{hint}"


def load_recipe(path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe in a YAML file.

    Args:
        path: A local path or URL.
        overrides: `key.path=value` each.

    Raises:
        RecipeError: It cannot be read, or anything in it is wrong; all problems at once.
    """
    folder = path.rsplit("/", 1)[0] if storage.is_remote(path) else storage.absolute_folder(path)
    return load_settings(Recipe, path, overrides, context={"folder": folder})

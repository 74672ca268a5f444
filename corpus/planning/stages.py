"""What is there of each stage, and what has changed in the recipe since it was built.

Recipes are compared, not files: that an input has changed since it was built is found by the build.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from corpus import storage
from corpus.build import BUILD, Build, open_indexes, sections
from corpus.build import describe as describe_stage
from corpus.config import Recipe

# The keys of the recipe that each stage depends on, besides all that the stages before it do. Keys
# of a source are below.
_KEYS: Mapping[str, Sequence[str]] = {
    "crawl": ("seed",),
    "extract": ("extract",),
    "filter": ("filter",),
    "dedup": ("dedup",),
    "decontaminate": ("decontaminate",),
    "tokenize": ("tokenize",),
    "mix": ("mix", "tokens"),
}
_SOURCE_KEYS = {"filter": "filter", "mix": "weight"}


@dataclass(frozen=True)
class StagePlan:
    """What is there of one stage.

    Attributes:
        stage: The stage.
        state: "built"; "changed": the recipe has changed since; "to build": it is not there, or
            comes after one that is not. One that then takes in what it took in is not run again.
        detail: What came of it, or what has changed.
    """

    stage: str
    state: str
    detail: str


def plan_stages(recipe: Recipe, built: Build | None) -> Iterator[StagePlan]:
    """Compare the recipe with the one that was built, stage by stage, the way that data flows."""
    old: dict[str, Any] = {}
    if built is not None:
        old = storage.read_json(storage.join(built.output, BUILD))["recipe"]
    new = recipe.model_dump(mode="json", exclude_none=True)
    before = ""
    for stage in sections(recipe):
        manifest = built.manifests.get(stage) if built else None
        if before:
            yield StagePlan(stage, "to build", f"after {before}")
        elif manifest is None or built is None:
            yield StagePlan(stage, "to build", "")
        elif keys := _changes(stage, recipe, built, old, new):
            yield StagePlan(stage, "changed", f"{', '.join(keys)} changed since it was built")
        else:
            yield StagePlan(stage, "built", describe_stage(manifest).removeprefix(f"{stage}: "))
            continue
        before = before or stage


def _changes(
    stage: str, recipe: Recipe, built: Build, old: Mapping[str, Any], new: Mapping[str, Any]
) -> list[str]:
    """Return the keys of the recipe that a stage depends on and that have changed."""
    keys = [key for key in _KEYS[stage] if _decisive(old.get(key)) != _decisive(new.get(key))]
    if stage == "extract" and recipe.extract.prefilter is not None:
        keys += _changes_of_look(recipe, old, new)
    if stage == "tokenize":
        shares = [(value.get("mix") or {}).get("validation") for value in (old, new)]
        keys += ["mix.validation"] if shares[0] != shares[1] else []
    if stage == "dedup" and list(recipe.sources) != built.stage("extract").sources():
        keys.append("the order of sources")
    if stage == "dedup" and recipe.dedup is not None:
        # One may have been built anew under the same path.
        known = [one.fingerprint for one in open_indexes(recipe.dedup.index, built.output)]
        if known != built.stage("dedup").settings.get("index", []) and "dedup" not in keys:
            keys.append("dedup.index")
    if stage == "crawl":
        if set(old["sources"]) != set(new["sources"]):
            return [*keys, "sources"]
        kept = [{n: _kind(s) for n, s in value["sources"].items()} for value in (old, new)]
    elif stage in _SOURCE_KEYS and set(old["sources"]) == set(new["sources"]):
        own = _SOURCE_KEYS[stage]
        kept = [{n: s.get(own) for n, s in value["sources"].items()} for value in (old, new)]
    else:
        return keys
    return keys + [f"sources.{n}" for n in new["sources"] if kept[0][n] != kept[1][n]]


def _changes_of_look(recipe: Recipe, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the keys beyond `extract` that the cheap look depends on and that have changed."""
    look = recipe.extract.prefilter
    rules = ["languages", "urls", "heuristics"]
    if look is not None and look.quality:
        rules += ["classifier"] if look.alpha is not None else ["classifier", "alpha"]
    before, after = old.get("filter") or {}, new.get("filter") or {}
    keys = [f"filter.{key}" for key in rules if before.get(key) != after.get(key)]
    keys += ["seed"] if old.get("seed") != new.get("seed") else []
    for name, source in new["sources"].items():
        if old["sources"].get(name, {}).get("filter") != source.get("filter"):
            keys.append(f"sources.{name}.filter")
    return keys


def _decisive(section: Any) -> Any:
    """Return a section without what makes no difference to what is built."""
    if not isinstance(section, dict):
        return section
    return {key: value for key, value in section.items() if key != "encoder"}


def _kind(source: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in source.items() if key not in _SOURCE_KEYS.values()}

"""The plan: what a recipe would build, before anything is built, and what of it is there.

In: a recipe, and the build in its output folder if there is one. Out: a `Plan`: Table 2.2 of the
recipe, with tokens and epochs where they have been measured, and the state of each stage. Nothing
is run, fetched or written, and no input file has to be there. Recipes are compared, not files: that
an input has changed since it was built is found by the build.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from corpus import storage
from corpus.build import BUILD, Build, open_indexes, read_build, sections
from corpus.build import describe as describe_stage
from corpus.config import CommonCrawl, Recipe, Source
from corpus.mix.mixture import windows
from corpus.mix.plan import sequences_drawn
from corpus.tables import Block, Table, size

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
class Inputs:
    """The input files of one source, as far as can be told without a network.

    Attributes:
        files: Number of local files that are there.
        bytes: Their size.
        missing: Patterns and paths that match no file.
        remote: What is not looked at: URLs, snapshots, sources made at run time.
    """

    files: int
    bytes: int
    missing: tuple[str, ...]
    remote: tuple[str, ...]


@dataclass(frozen=True)
class SourcePlan:
    """One row of Table 2.2.

    Attributes:
        name: The recipe's name.
        kind: The kind of source.
        weight: The recipe's weight; None for one that is not mixed.
        share: The weight divided by the sum of all.
        drawn: Training tokens that the run takes; None without `mix`.
        tokens: Training tokens that there are, measured; None before it is tokenized.
        epochs: Sequences that the run takes, divided by those that there are; None likewise.
        inputs: Its files.
    """

    name: str
    kind: str
    weight: float | None
    share: float | None
    drawn: int | None
    tokens: int | None
    epochs: float | None
    inputs: Inputs


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


@dataclass(frozen=True)
class Plan:
    """What a recipe would build, and what of it is there."""

    name: str
    output: str
    seed: int
    tokens: int | None
    sources: tuple[SourcePlan, ...]
    stages: tuple[StagePlan, ...]
    warnings: tuple[str, ...]


def plan(recipe: Recipe, output: str) -> Plan:
    """Return the plan of a recipe.

    Args:
        recipe: The recipe.
        output: The output folder; it need not be there.
    """
    built = read_build(output) if storage.exists(storage.join(output, BUILD)) else None
    stages = tuple(_stages(recipe, built))
    measured = built if any(s.stage == "tokenize" and s.state == "built" for s in stages) else None
    sources = tuple(_sources(recipe, measured))
    return Plan(
        recipe.name,
        output,
        recipe.seed,
        recipe.tokens,
        sources,
        stages,
        tuple(_warnings(recipe, sources)),
    )


def _stages(recipe: Recipe, built: Build | None) -> Iterator[StagePlan]:
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


def _sources(recipe: Recipe, measured: Build | None) -> Iterator[SourcePlan]:
    weights = {name: s.weight for name, s in recipe.sources.items() if s.weight is not None}
    total = math.fsum(weights.values())
    taken: dict[str, int] = {}
    if recipe.mix is not None and recipe.tokens is not None and weights:
        horizon = recipe.tokens // recipe.mix.sequence_length
        counts = sequences_drawn(weights, seed=recipe.seed, horizon=horizon, block=recipe.mix.block)
        taken = dict(zip(weights, counts, strict=True))
    for name, source in recipe.sources.items():
        share = source.weight / total if source.weight is not None and total else None
        drawn = tokens = epochs = None
        if measured is not None:
            tokens = measured.stage("tokenize").measure("tokens", name)
        if recipe.mix is not None and recipe.tokens is not None and share is not None:
            length = recipe.mix.sequence_length
            sequences = taken[name]
            drawn = sequences * length
            there = windows(tokens, length) if tokens is not None else 0
            epochs = sequences / there if there else None
        inputs = _inputs(source)
        yield SourcePlan(name, source.kind, source.weight, share, drawn, tokens, epochs, inputs)


def _inputs(source: Source) -> Inputs:
    """Look for the files of a source; nothing is asked over a network."""
    kind = getattr(source, source.kind)
    if source.commoncrawl is not None:
        return Inputs(0, 0, (), (_crawl_input(kind),))
    if source.stdlib is not None:
        return Inputs(0, 0, (), ("made at run time",))
    if source.webtext is not None:
        patterns = (*kind.submissions, *(kind.pages or ()))
    else:
        patterns = kind.paths if source.documents is not None else kind
    remote = tuple(pattern for pattern in patterns if storage.is_remote(pattern))
    linked = source.webtext.commoncrawl if source.webtext is not None else None
    if linked is not None:
        remote += (f"linked pages of {', '.join(linked.snapshots)}",)
    found = {p: storage.find(p) for p in patterns if not storage.is_remote(p)}
    files_ = dict.fromkeys(file for matches in found.values() for file in matches)
    missing = tuple(pattern for pattern, matches in found.items() if not matches)
    return Inputs(len(files_), sum(storage.size(file) for file in files_), missing, remote)


def _crawl_input(kind: CommonCrawl) -> str:
    if kind.paths:
        return f"{len(kind.paths):,} files by path"
    files = "all files" if kind.files is None else f"{kind.files:,} files each"
    what = files if kind.pages is None else f"pages of {files}"
    return f"{len(kind.snapshots)} snapshots, {what}"


def _warnings(recipe: Recipe, sources: Sequence[SourcePlan]) -> Iterator[str]:
    for source in sources:
        for pattern in source.inputs.missing:
            yield f"sources.{source.name}: no file matches {pattern}"
        if source.weight is None and recipe.mix is not None:
            yield f"sources.{source.name}: has no weight, so it is built and not mixed"
        if recipe.mix is not None and (source.epochs or 0) > recipe.mix.max_epochs:
            yield (
                f"sources.{source.name}: {source.epochs:.1f} epochs are over mix.max_epochs "
                f"{recipe.mix.max_epochs:g}: lower its weight or tokens, or give it more input"
            )


def describe(made: Plan) -> Iterator[Block]:
    """Yield what a person reads: Table 2.2, the stages, and what to heed."""
    yield f"{made.name}, seed {made.seed}, in {made.output}"
    yield ""
    head = ("source", "kind", "input", "weight", "share", "tokens", "drawn", "epochs")
    rows = [
        (
            source.name,
            source.kind,
            _input(source.inputs),
            _number(source.weight, "g"),
            _number(source.share, ".2%"),
            _number(source.tokens, ","),
            _number(source.drawn, ","),
            _number(source.epochs, ".2f"),
        )
        for source in made.sources
    ]
    yield Table(head, rows)
    yield ""
    yield Table(("stage", "state", ""), [(s.stage, s.state, s.detail) for s in made.stages])
    if all(source.tokens is None for source in made.sources):
        yield ""
        yield "Documents, tokens and epochs are measured by building."
    if made.warnings:
        yield ""
        yield from made.warnings


def _input(inputs: Inputs) -> str:
    words = [f"{inputs.files:,} files, {size(inputs.bytes)}"] if inputs.files else []
    words += ["missing"] if inputs.missing else []
    shown = inputs.remote if len(inputs.remote) < 3 else (f"{len(inputs.remote):,} URLs",)
    return "; ".join([*words, *shown])


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)

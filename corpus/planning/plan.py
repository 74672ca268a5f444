"""The plan: what a recipe would build, before anything is built, and what of it is there.

In: a recipe, and the build in its output folder if there is one. Out: a `Plan`: Table 2.2 of the
recipe, with tokens and epochs where they have been measured, and the state of each stage. Nothing
is run, fetched or written, and no input file has to be there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from corpus import storage
from corpus.build import BUILD, Build, read_build
from corpus.config import CommonCrawl, Recipe, Source
from corpus.mix.mixture import windows
from corpus.mix.plan import sequences_drawn
from corpus.planning.stages import StagePlan, plan_stages
from corpus.tables import Block, Table, size


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
    stages = tuple(plan_stages(recipe, built))
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

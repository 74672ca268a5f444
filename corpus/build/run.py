"""Running the stages in order, and the line on what became of each one's rows."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from corpus import storage
from corpus.build.beside import check_beside
from corpus.build.indexes import open_indexes
from corpus.build.record import STAGES, VERDICTS, Build, record, sections
from corpus.config import Recipe
from corpus.engine import Engine
from corpus.errors import RecipeError
from corpus.extract import prefilter_loss
from corpus.manifest import Counts, Manifest
from corpus.progress import Progress


def build(
    recipe: Recipe, output: str, engine: Engine, progress: Progress, until: str | None = None
) -> Build:
    """Make what is not there yet, up to a stage or to the end.

    Args:
        recipe: What to build.
        output: Where, a local folder or a URL.
        engine: What runs the tasks.
        progress: Who is told.
        until: The last stage to make; the recipe's last by default.

    Raises:
        RecipeError: The recipe leaves that stage out.
        CorpusError: A stage failed; what is finished stays.
    """
    stages = sections(recipe)
    if until is not None and until not in STAGES:
        raise RecipeError(
            f"there is no stage {until!r}", where="--until", fix=f"Use one of {', '.join(stages)}"
        )
    if until is not None and until not in stages:
        raise RecipeError(
            f"the recipe has no {until} section",
            where=until,
            fix=f"Add `{until}:` to the recipe, or stop at one of {', '.join(stages)}",
        )
    last = stages.index(until) if until else len(stages) - 1
    check_beside(recipe, stages[: last + 1], output)
    manifests: dict[str, Manifest] = {}
    with storage.lock(output), contextlib.closing(progress):
        for left in storage.list_folder(output):  # of a process that was killed
            if left.startswith(storage.TEMPORARY_PREFIX):
                storage.remove(storage.join(output, left))
        for stage in stages[: last + 1]:
            progress.begin()
            manifest = _run(stage, recipe, manifests, output, engine, progress)
            manifests[stage] = manifest
            record(recipe, output, manifests)
            progress.end(describe(manifest))
    return Build(output, manifests)


def _run(
    stage: str,
    recipe: Recipe,
    manifests: Mapping[str, Manifest],
    output: str,
    engine: Engine,
    progress: Progress,
) -> Manifest:
    """Run one stage after those before it. The only list of stages."""
    last = next((manifests[s] for s in reversed(VERDICTS) if s in manifests), None)
    if stage == "crawl":
        from corpus.stages import crawl

        return crawl.run(recipe, output, engine, progress)
    if stage == "extract":
        from corpus.stages import extract

        return extract.run(recipe, manifests["crawl"], output, engine, progress)
    documents = manifests["extract"]
    if stage == "filter" and recipe.filter is not None:
        from corpus.stages import filter as filter_stage

        return filter_stage.run(recipe, recipe.filter, documents, output, engine, progress)
    if stage == "dedup" and recipe.dedup is not None:
        from corpus.stages import dedup

        indexes = open_indexes(recipe.dedup.index, output)
        return dedup.run(recipe, recipe.dedup, documents, last, output, engine, progress, indexes)
    if stage == "decontaminate" and recipe.decontaminate is not None:
        from corpus.stages import decontaminate

        settings = recipe.decontaminate
        return decontaminate.run(recipe, settings, documents, last, output, engine, progress)
    if stage == "tokenize" and recipe.tokenize is not None:
        from corpus.stages import tokenize

        return tokenize.run(recipe, recipe.tokenize, documents, last, output, engine, progress)
    if stage == "mix" and recipe.mix is not None:
        from corpus.stages import mix

        return mix.run(recipe, recipe.mix, manifests["tokenize"], output, progress)
    raise RecipeError(f"there is no stage {stage!r}", fix=f"Stages: {', '.join(STAGES)}")


def describe(manifest: Manifest) -> str:
    """Return one line on what became of a stage's rows."""
    counts = manifest.counts()
    unit = "files" if manifest.stage == "crawl" else "documents"
    if manifest.stage == "tokenize":
        held_out = manifest.measure("validation_tokens")
        tokens = f"{manifest.measure('tokens'):,} tokens, {held_out:,} of validation"
        kinds = manifest.settings.get("mask", ())
        numbers = (f"{manifest.measure(f'masked_{kind}'):,} {kind}" for kind in kinds)
        masked = f", masked {', '.join(numbers)}" if kinds else ""
        differ = manifest.measure("encoder_mismatches")
        done = f"; gigatoken differed in {differ:,} parts, which tiktoken encoded" if differ else ""
        return f"{manifest.stage}: {counts.kept:,} documents, {tokens}{masked}{done}"
    if manifest.stage == "mix":
        sequences = f"{manifest.measure('sequences'):,} sequences"
        return f"{manifest.stage}: {sequences}, {manifest.measure('tokens'):,} tokens"
    line = f"{manifest.stage}: {counts.into:,} {unit} in, {counts.kept:,} kept{_losses(counts)}"
    if lines := manifest.summary.get("lines"):
        of = f"of {lines['cut_documents']:,} documents, {lines['cut_bytes']:,} bytes"
        line += f"; {lines['cut_lines']:,} lines {of}, cut"
    if left_out := manifest.settings.get("lists_left_out"):  # of filter
        more = f" and {len(left_out) - 3:,} more" if len(left_out) > 3 else ""
        line += f"; not read, being regular expressions: {', '.join(left_out[:3])}{more}"
    if unfinished := manifest.summary.get("unfinished", 0):  # of dedup
        line += f"; {unfinished:,} kept before they were compared with all that are like them"
    line += _missed(manifest.settings)
    look = manifest.summary.get("prefilter")
    return f"{line}; {prefilter_loss.sentence(look)}" if look else line


def _missed(settings: Mapping[str, Any]) -> str:
    """Say so where the bands of dedup miss most of the pairs that its threshold is for."""
    if not {"bands", "rows", "threshold"} <= settings.keys():
        return ""
    bands, rows, threshold = settings["bands"], settings["rows"], settings["threshold"]
    found = 1 - (1 - threshold**rows) ** bands
    if found >= 0.5:
        return ""
    few = f"{bands} bands of {rows} rows find {found:.0%} of the pairs at {threshold:g}"
    return f"; {few}: dedup.permutations chooses bands and rows for a threshold"


def _losses(counts: Counts) -> str:
    ranked = sorted(counts.dropped.items(), key=lambda item: (-item[1], item[0]))
    return "".join(f", {reason} {number:,}" for reason, number in ranked)

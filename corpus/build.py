"""The stages in order: what is done, what is left, and where it lies.

`build.json` in the output folder names the stage folders that make up the current build. Earlier
folders stay beside them until `corpus clean`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from corpus import storage
from corpus.config import Recipe
from corpus.engine import Engine
from corpus.errors import InputError, IntegrityError, RecipeError
from corpus.extract import prefilter_loss
from corpus.manifest import DIGEST, Counts, Manifest, check_digest, read_manifest, with_digest
from corpus.progress import Progress

if TYPE_CHECKING:
    from corpus.dedup.index import Index

STAGES = ("crawl", "extract", "filter", "dedup", "decontaminate", "tokenize", "mix")
VERDICTS = ("filter", "dedup", "decontaminate")  # the stages that decide about documents
BUILD = "build.json"
_FIELDS = frozenset({"name", "stages", "recipe"})  # of build.json
_FOLDER = re.compile(r"[a-z]+-[0-9a-f]{12}")


@dataclass(frozen=True)
class Build:
    """The stages that are complete, with their manifests, in order."""

    output: str
    manifests: Mapping[str, Manifest] = field(default_factory=dict)

    @property
    def verdicts(self) -> list[Manifest]:
        """The stages that decided about documents, in order."""
        return [self.manifests[stage] for stage in VERDICTS if stage in self.manifests]

    def stage(self, name: str) -> Manifest:
        """Return one stage's manifest.

        Raises:
            InputError: That stage is not built yet.
        """
        if name not in self.manifests:
            raise InputError(
                f"the stage {name} is not built",
                where=self.output,
                fix=f"Run corpus {name} --config with the recipe first",
            )
        return self.manifests[name]


def sections(recipe: Recipe) -> list[str]:
    """Return the stages that a recipe has, in order."""
    optional = ("filter", "dedup", "decontaminate", "tokenize", "mix")
    return [
        stage for stage in STAGES if stage not in optional or getattr(recipe, stage) is not None
    ]


def default_output(recipe: Recipe) -> str:
    """Return the output folder of a recipe when none is given."""
    return f"data/{recipe.name}"


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
    manifests: dict[str, Manifest] = {}
    with storage.lock(output), contextlib.closing(progress):
        for left in storage.list_folder(output):  # of a process that was killed
            if left.startswith(storage.TEMPORARY_PREFIX):
                storage.remove(storage.join(output, left))
        for stage in stages[: last + 1]:
            progress.begin()
            manifest = _run(stage, recipe, manifests, output, engine, progress)
            manifests[stage] = manifest
            _record(recipe, output, manifests)
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


def _record(recipe: Recipe, output: str, manifests: Mapping[str, Manifest]) -> None:
    value: dict[str, Any] = {
        "name": recipe.name,
        "stages": {stage: storage.name(m.folder) for stage, m in manifests.items()},
        "recipe": recipe.model_dump(mode="json", exclude_none=True),
    }
    path = storage.join(output, BUILD)
    if storage.exists(path):
        before = storage.read_json(path)
        stages = before.get("stages") if isinstance(before, dict) else None
        if isinstance(stages, dict):
            later = {s: f for s, f in stages.items() if s not in manifests}
            # A build that stops early takes nothing away from one that went on from here.
            before.pop(DIGEST, None)
            if before == {**value, "stages": {**value["stages"], **later}}:
                return
    storage.write_json(path, with_digest(value))


def read_build(output: str) -> Build:
    """Return the current build in an output folder.

    Raises:
        InputError: There is none.
        IntegrityError: It is damaged.
    """
    path = storage.join(output, BUILD)
    if not storage.exists(path):
        raise InputError(
            "there is no build here", where=output, fix="Run corpus build --config with the recipe"
        )
    value = storage.read_json(path)
    stages = value.get("stages") if isinstance(value, dict) else None
    names = stages.values() if isinstance(stages, dict) else [None]
    fix = "Delete it and run the build again, which takes up what is there"
    if not all(isinstance(name, str) and _FOLDER.fullmatch(name) for name in names):
        raise IntegrityError("this is not the list of a build's stages", where=path, fix=fix)
    check_digest(value, before=_FIELDS, what="the list of the build's stages", where=path, fix=fix)
    stages = value["stages"]  # in the order of the alphabet: it is JSON with sorted keys
    folders = {s: storage.join(output, stages[s]) for s in STAGES if s in stages}
    return Build(output, {stage: read_manifest(folder) for stage, folder in folders.items()})


def open_indexes(folders: Sequence[str], output: str = "") -> list[Index]:
    """Return earlier builds as indexes of dedup, with the indexes that they were checked against.

    Args:
        folders: Their output folders; the order changes nothing but which of two like documents is
            named.
        output: The folder of the build that asks, which cannot be its own index.

    Raises:
        InputError: One is not there, or its stage dedup is not built.
        IntegrityError: One is damaged.
    """
    from corpus.dedup.index import open_index

    found: dict[str, Index] = {}
    waiting: list[tuple[str, str, str]] = [(_absolute(folder), "", "") for folder in folders]
    while waiting:
        folder, name, asked = waiting.pop(0)
        if name in found:
            continue
        if output and folder == _absolute(output):
            raise RecipeError(
                "a build cannot be its own index",
                where=f"dedup.index: {folder}",
                fix="Give the new snapshot an output folder of its own",
            )
        fix = "Name in dedup.index the folder that it lies in now" if asked else None
        if asked and not storage.exists(storage.join(folder, BUILD)):
            raise InputError(
                f"{asked} was checked against {name}, which is not there", where=folder, fix=fix
            )
        made = read_build(folder)
        index = open_index(folder, made.stage("extract"), made.stage("dedup"))
        if asked and index.name != name:
            raise InputError(
                f"{asked} was checked against {name}, and this build has {index.name} now",
                where=folder,
                fix=fix,
            )
        found[index.name] = index
        before = made.stage("dedup").summary.get("index", {})
        waiting += [(place, before_name, folder) for before_name, place in before.items()]
    return list(found.values())


def _absolute(folder: str) -> str:
    return (
        folder.rstrip("/") if storage.is_remote(folder) else storage.absolute_folder(folder + "/x")
    )


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
    look = manifest.summary.get("prefilter")
    return f"{line}; {prefilter_loss.sentence(look)}" if look else line


def _losses(counts: Counts) -> str:
    ranked = sorted(counts.dropped.items(), key=lambda item: (-item[1], item[0]))
    return "".join(f", {reason} {number:,}" for reason, number in ranked)

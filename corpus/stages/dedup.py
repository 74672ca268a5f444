"""dedup: near-duplicates within and across sources (GPT-3, Appendix A), verified.

In: documents and the verdict before. Out: a verdict for each document that names the kept document
it duplicates, with their Jaccard index. LSH only proposes. The steps are those of `corpus.dedup`;
all but the signatures lie in a folder inside this stage's, until it is complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from corpus import storage
from corpus.config import Dedup, Recipe
from corpus.dedup.fates import COLUMNS
from corpus.dedup.index import Index, check_alike, index_urls
from corpus.dedup.line_cuts import Losses, with_line_cuts
from corpus.dedup.line_steps import LineSteps, check_line_losses, line_settings
from corpus.dedup.order import Scope
from corpus.dedup.signatures import sign, signature_settings, signed
from corpus.dedup.steps import Steps
from corpus.dedup.urls import hash_urls, without_duplicates
from corpus.document import DEDUP_SCHEMA
from corpus.engine import Engine
from corpus.errors import BoundError
from corpus.manifest import Manifest, Shard, add_counts, fingerprint
from corpus.parts import Part, kept_rows, parts, read_columns, write_verdict
from corpus.progress import Progress
from corpus.stage_folder import StageFolder, used
from corpus.stages import ahead

STAGE = "dedup"
VERSION = 3
EXCHANGE = ".exchange"  # with a dot, so that it cannot be the folder of a source
FEW_DOCUMENTS = 20  # a source with fewer may lose any share


@dataclass(frozen=True)
class DedupTask:
    """One part whose verdict is to be written.

    Attributes:
        part: The part.
        drops: Path of the list of its drops; filled in when that is there.
        losses: The lines that its documents lose, with `dedup.lines`; likewise.
    """

    name: str
    source: str
    key: str
    weight: int
    part: Part
    drops: str = ""
    losses: Losses | None = None
    folder: str = ""


def run(
    recipe: Recipe,
    settings: Dedup,
    extract: Manifest,
    last: Manifest | None,
    output: str,
    engine: Engine,
    progress: Progress,
    indexes: Sequence[Index] = (),
) -> Manifest:
    """Decide which documents duplicate one that is kept, here or in an index.

    Raises:
        BoundError: A source loses more than `dedup.max_loss` of its documents.
        RecipeError: An index has other signatures than the recipe asks for.
    """
    scheme = settings.scheme()
    check_alike(indexes, signature_settings(scheme, recipe.seed))
    found = parts(extract, last)
    engine = ahead.CompiledAhead(engine, ahead.of_dedup())
    curated = tuple(not source.filter for source in recipe.sources.values())
    theirs = [name for index in indexes for name in index.signatures.sources()]
    scope = Scope(scheme.scope, (*recipe.sources, *theirs), curated)
    # A verdict depends on every document of the build: that is what dedup is.
    depends = [(part.source, part.name, part.sha256, part.verdict_sha256) for part in found]
    known = [index.fingerprint for index in indexes]
    urls = settings.urls
    key = fingerprint(STAGE, VERSION, scheme, recipe.seed, scope, depends, known, urls)
    lines = line_settings(settings.lines) if settings.lines else None
    if lines is not None:  # without it, keys are what they were before there were lines
        key = fingerprint(key, lines)
    tasks = [
        DedupTask(part.name, part.source, f"{key}-{part.source}-{part.name}", part.rows + 1, part)
        for part in found
    ]
    stored = {"version": VERSION, "seed": recipe.seed, **scheme.model_dump(mode="json")}
    stored["urls"] = urls
    if known:
        stored["index"] = known
    if lines is not None:
        stored["lines"] = lines
    folder = StageFolder(output, STAGE, settings=stored, versions={}, tasks=tasks)
    manifest = folder.manifest()
    # What is signed depends on the addresses, whose steps are gone when the stage is complete.
    signatures = None if urls else sign(found, scheme, recipe.seed, output, engine, progress)
    if manifest is None:
        place = storage.join(folder.path, EXCHANGE)
        left, addresses, between = found, None, []
        if signatures is None:
            between.append(hash_urls(found, output, engine, progress))
            hashed = [*between, *index_urls(indexes)]
            left, addresses = without_duplicates(found, hashed, scope, place, key, engine, progress)
            signatures = sign(left, scheme, recipe.seed, output, engine, progress)
        between.append(signatures)
        every = [*left, *(part for index in indexes for part in index.parts)]
        manifests = [signatures, *(index.signatures for index in indexes)]
        steps = Steps(
            output=place,
            key=key,
            parts=every,
            signed=signed(manifests, scope),
            scheme=scheme,
            scope=scope,
            engine=engine,
            progress=progress,
            names=tuple(index.name for index in indexes),
            addresses=addresses,
        )
        drops, summary = steps.run()
        lists = [drops.path(output) for shard in drops.shards for output in shard.all("drops")]
        losses: Sequence[Losses | None] = [None] * len(lists)
        if settings.lines is not None:
            names = tuple(recipe.sources)
            lost = LineSteps(place, key, found, lists, names, settings.lines, engine, progress)
            losses, summary["lines"] = lost.run()
        folder.tasks = [
            replace(task, drops=path, losses=own)
            for task, path, own in zip(folder.tasks, lists, losses, strict=True)
        ]
        shards = folder.run(dedup_shard, engine, progress)
        _check_losses(recipe, settings, shards, folder.path)
        manifest = folder.finish(shards, {**summary, **used(*between)})
    # Where the indexes lie is no part of the fingerprint: they may have been moved since.
    places = {index.name: index.folder for index in indexes}
    if places != manifest.summary.get("index", {}):
        manifest = replace(manifest, summary={**manifest.summary, "index": places})
        manifest.write()
    storage.remove(storage.join(folder.path, EXCHANGE))
    # The bound is not part of the fingerprint: it may be stricter now than when this was built.
    _check_losses(recipe, settings, manifest.shards, folder.path)
    return manifest


def dedup_shard(task: DedupTask) -> Shard:
    """Write the verdict of one part."""
    part = task.part
    drops = read_columns(task.drops, COLUMNS)
    index = np.full(part.rows, -1, dtype=np.int64)
    index[drops["row"].to_numpy()] = np.arange(drops.num_rows)
    take = pa.array(index, pa.int64(), mask=index < 0)
    kept = pa.array(index < 0, pa.bool_(), mask=~kept_rows(part))
    table = pa.table(
        {
            "id": read_columns(part.documents, ["id"])["id"],
            "kept": kept,
            **{name: drops[name].take(take) for name in COLUMNS[1:]},
        }
    ).cast(DEDUP_SCHEMA)
    if task.losses is not None:
        table = with_line_cuts(table, task.losses)
    output, counts = write_verdict(task.folder, part, table)
    measures = task.losses.measures if task.losses else {}
    return Shard(task.name, task.source, task.key, (output,), counts, measures)


def _check_losses(recipe: Recipe, settings: Dedup, shards: Sequence[Shard], folder: str) -> None:
    for name in recipe.sources:
        counts = add_counts(shard.counts for shard in shards if shard.source == name)
        lost = counts.into - counts.kept
        if counts.into >= FEW_DOCUMENTS and lost > settings.max_loss * counts.into:
            raise BoundError(
                f"{name} would lose {lost} of its {counts.into} documents to dedup",
                where=folder,
                why="So much duplication is more often a fault of the input or of the settings",
                fix="Look at the verdicts in this folder; to go on all the same raise "
                "dedup.max_loss",
            )
    check_line_losses(recipe, shards, settings.max_loss, folder)

"""filter: which pages of the filtered sources are kept (GPT-3, Appendix A).

In: documents. Out: a verdict for each, with the classifier's score. Three folders: the classifier
(when the recipe trains one), the scores, and the verdicts, so that another alpha reads only scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from corpus import prefilter_loss, scoring, storage
from corpus.config import Filter, Recipe
from corpus.document import FILTER_SCHEMA, DropReason
from corpus.engine import Engine
from corpus.manifest import Manifest, Shard, fingerprint
from corpus.parts import Part, parts, read_columns, write_verdict
from corpus.progress import Progress
from corpus.rules import url_lists
from corpus.stage_folder import StageFolder, used

STAGE = "filter"
VERSION = 1


@dataclass(frozen=True)
class FilterTask:
    """One part to decide about.

    Attributes:
        scores: Path of the part's scores, or "" without a classifier.
        filtered: Whether documents of this source may be dropped at all.
        alpha: The Pareto exponent.
        urls: Files of blocked domains and prefixes.
    """

    name: str
    source: str
    key: str
    weight: int
    part: Part
    scores: str
    filtered: bool
    alpha: float
    settings: Filter
    urls: tuple[str, ...]
    seed: int
    folder: str = ""


def run(
    recipe: Recipe,
    settings: Filter,
    extract: Manifest,
    output: str,
    engine: Engine,
    progress: Progress,
) -> Manifest:
    """Score every document and decide about those of the filtered sources.

    Raises:
        InputError: The classifier or a list of URLs cannot be read, or the classifier has nothing
            to learn from.
    """
    found = parts(extract, None)
    scores = scoring.scores(recipe, settings, found, output, engine, progress)
    alpha = scores.alpha
    urls = tuple(url_lists(settings))
    rules = settings.model_dump(mode="json", exclude={"classifier", "alpha", "urls"})
    lists = [storage.digest(path)[1] for path in urls]
    tasks: list[FilterTask] = []
    for part in found:
        score_path, score_digest = scores.paths.get((part.source, part.name), ("", ""))
        filtered = recipe.sources[part.source].filter
        depends = (part.sha256, score_digest, recipe.seed)
        if filtered:
            depends = (*depends, alpha if score_path else None, rules, lists)  # type: ignore[assignment]
        tasks.append(
            FilterTask(
                name=part.name,
                source=part.source,
                key=fingerprint(STAGE, VERSION, filtered, depends),
                weight=part.rows + 1,
                part=part,
                scores=score_path,
                filtered=filtered,
                alpha=alpha,
                settings=settings,
                urls=urls,
                seed=recipe.seed,
            )
        )
    stored = {
        "version": VERSION,
        "alpha": alpha if scores.paths else None,
        "seed": recipe.seed,
        # What the look has cost is told in the summary.
        "looks": [o.sha256 for shard in extract.shards for o in shard.all("looks")],
        **rules,
    }
    folder = StageFolder(output, STAGE, settings=stored, versions={}, tasks=tasks)
    manifest = folder.manifest()
    if manifest is None:
        shards = folder.run(filter_shard, engine, progress)
        summary = prefilter_loss.summary(extract, shards, folder.path, alpha)
        manifest = folder.finish(shards, {**summary, **used(*scores.steps)})
    return manifest


def filter_shard(task: FilterTask) -> Shard:
    """Decide about one part: languages, URLs and rules first, then the Pareto draw."""
    from corpus.rules import first_failures
    from corpus.text import quality

    part = task.part
    ids = read_columns(part.documents, ["id"])["id"].combine_chunks()
    reasons = np.full(part.rows, None, dtype=object)
    rules = reasons
    score = None
    if task.scores:
        score = read_columns(task.scores, ["score"])["score"].to_numpy()
    if task.filtered:
        failures = first_failures(part, task.settings, task.urls)
        reasons, rules = failures.reasons, failures.rules
        if score is not None:
            draws = quality.draws(ids, seed=task.seed)
            passed = np.array([reason is None for reason in reasons], dtype=np.bool_)
            lost = ~quality.keep(score, draws, alpha=task.alpha)
            reasons[passed & lost] = str(DropReason.QUALITY)
    table = pa.table(
        {
            "id": ids,
            "kept": pa.array([reason is None for reason in reasons], pa.bool_()),
            "reason": pa.array(reasons, pa.string()),
            "rule": pa.array(rules, pa.string()),
            "score": pa.array(score, pa.float64()) if score is not None else pa.nulls(part.rows),
        }
    ).cast(FILTER_SCHEMA)
    output, counts = write_verdict(task.folder, part, table)
    return Shard(part.name, part.source, task.key, (output,), counts)

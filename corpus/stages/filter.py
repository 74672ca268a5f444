"""filter: which pages of the filtered sources are kept (GPT-3, Appendix A).

In: documents. Out: a verdict for each, with the classifier's score. Three folders: the classifier
(when the recipe trains one), the scores, and the verdicts, so that another alpha reads only scores.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus import storage
from corpus.config import Filter, Recipe
from corpus.document import FILTER_SCHEMA, DropReason
from corpus.engine import Engine
from corpus.extract import prefilter_loss
from corpus.filter import blocklists, scoring
from corpus.manifest import Manifest, Shard, fingerprint
from corpus.parts import Part, parts, read_columns, write_verdict
from corpus.progress import Progress
from corpus.stage_folder import StageFolder, used
from corpus.stages import ahead

Objects = npt.NDArray[np.object_]

STAGE = "filter"
VERSION = 2  # 2: another form of addresses, citation marks in C4's lines, counts of the rules


@dataclass(frozen=True)
class FilterTask:
    """One part to decide about.

    Attributes:
        scores: Path of the part's scores, or "" without a classifier.
        filtered: Whether documents of this source may be dropped at all.
        alpha: The Pareto exponent.
        blocked: Path and digest of the entries of the lists of URLs, or "".
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
    blocked: tuple[str, str]
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
        InputError: The classifier or a list of URLs or words cannot be read, or the classifier has
            nothing to learn from.
    """
    found = parts(extract, None)
    engine = ahead.CompiledAhead(engine, ahead.of_filter(settings))
    scores = scoring.scores(recipe, settings, found, output, engine, progress)
    alpha = scores.alpha
    steps = list(scores.steps)
    blocked = ("", "")
    if settings.urls:
        steps.append(blocklists.blocklists(settings.urls, output, engine, progress))
        entries = steps[-1].shards[0].output("entries")
        blocked = (steps[-1].path(entries), entries.sha256)
    rules = _rules(settings)
    tasks: list[FilterTask] = []
    for part in found:
        score_path, score_digest = scores.paths.get((part.source, part.name), ("", ""))
        filtered = recipe.sources[part.source].filter
        depends = (part.sha256, score_digest, recipe.seed)
        if filtered:
            depends = (*depends, alpha if score_path else None, rules, blocked[1])  # type: ignore[assignment]
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
                blocked=blocked,
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
    if settings.urls and (left_out := steps[-1].settings.get("left_out")):
        stored["lists_left_out"] = left_out
    folder = StageFolder(output, STAGE, settings=stored, versions={}, tasks=tasks)
    manifest = folder.manifest()
    if manifest is None:
        shards = folder.run(filter_shard, engine, progress)
        summary = prefilter_loss.summary(extract, shards, folder.path, alpha)
        manifest = folder.finish(shards, {**summary, **used(*steps)})
    return manifest


def _rules(settings: Filter) -> dict[str, Any]:
    """Return what the rules of a recipe say, with the digests of lists of words for their paths."""
    from corpus.filter.rules import word_lists

    rules = settings.model_dump(mode="json", exclude={"classifier", "alpha", "urls"})
    c4 = settings.heuristics.c4
    if c4 is not None and c4.bad_words is not None:
        digests = [storage.digest(path)[1] for path in word_lists(c4.bad_words)]
        rules["heuristics"]["c4"]["bad_words"] = digests
    if settings.heuristics:
        rules["unicode"] = unicodedata.unidata_version  # letters and lower case are this Python's
    return rules


def filter_shard(task: FilterTask) -> Shard:
    """Decide about one part: languages, URLs and rules first, then the Pareto draw."""
    from corpus.filter.rules import Blocklist, first_failures
    from corpus.text import quality

    part = task.part
    ids = read_columns(part.documents, ["id"])["id"].combine_chunks()
    reasons = np.full(part.rows, None, dtype=object)
    rules = reasons
    score = None
    if task.scores:
        score = read_columns(task.scores, ["score"])["score"].to_numpy()
    if task.filtered:
        blocked = Blocklist(*task.blocked) if task.blocked[0] else None
        failures = first_failures(part, task.settings, blocked)
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
    details = {"rules": _counted(reasons, rules)}
    return Shard(part.name, part.source, task.key, (output,), counts, {}, details)


def _counted(reasons: Objects, rules: Objects) -> dict[str, dict[str, int]]:
    """Return for each reason how many documents each of its rules dropped.

    Of a rule that says what exactly it found, `page_phrase: lorem ipsum`, the name counts.
    """
    counts: dict[str, dict[str, int]] = {}
    for reason, rule in zip(reasons, rules, strict=True):
        if rule is not None:
            own = counts.setdefault(reason, {})
            name = rule.partition(": ")[0]
            own[name] = own.get(name, 0) + 1
    return counts

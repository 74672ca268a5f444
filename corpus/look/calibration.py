"""What each alpha keeps of a build: a forecast from the stored scores, before anything is redrawn.

In: a recipe and its build, scored. Out: the share and number of documents that each alpha is
expected to keep, and the alpha that fits the scores of the classifier's positives, if one does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from corpus import storage
from corpus.build import Build
from corpus.classifier.alpha import ScoreCounts, fit_alpha
from corpus.classifier.artefact import positive_quantiles
from corpus.classifier.metrics import ALPHAS
from corpus.config import ClassifierTraining, FastTextClassifier, Recipe
from corpus.errors import CorpusError, InputError
from corpus.manifest import read_manifest
from corpus.parts import read_columns
from corpus.tables import Block, Table
from corpus.text import quality


@dataclass(frozen=True, slots=True)
class Kept:
    """What an alpha is expected to keep of the filtered sources."""

    alpha: float
    documents: int
    share: float


@dataclass(frozen=True)
class Calibration:
    """The forecast.

    Attributes:
        documents: Documents of the filtered sources.
        mean_score: Their mean.
        now: The alpha of the build.
        fitted: The alpha that makes what is kept score most like the positives, or None.
        why_not: Why none fits, or None.
        rates: By alpha.
    """

    documents: int
    mean_score: float
    now: float | None
    fitted: float | None
    why_not: str | None
    rates: tuple[Kept, ...]


def calibrate(recipe: Recipe, build: Build) -> Calibration:
    """Return the forecast for a build whose documents are scored.

    Raises:
        InputError: There are no scores, or no source is filtered.
    """
    manifest = build.stage("filter")
    steps = [read_manifest(storage.join(build.output, u)) for u in manifest.summary.get("uses", [])]
    scores = next((step for step in steps if step.stage == "score"), None)
    filtered = {name for name, source in recipe.sources.items() if source.filter}
    if recipe.filter is None or recipe.filter.classifier is None or scores is None or not filtered:
        raise InputError(
            "there are no scores of filtered documents to calibrate alpha by",
            where=build.output,
            fix="Name filter.classifier and say `filter: true` of a source, then run corpus filter",
        )
    looks = [shard.details.get("look") for shard in build.stage("extract").shards]
    if any(look and look["alpha"] for look in looks):
        raise InputError(
            "the scores of the pages that the cheap look has spared are not known",
            where=build.output,
            fix="Calibrate by a build without extract.prefilter.quality, on fewer files",
        )
    counts = ScoreCounts()
    for shard in scores.shards:
        if shard.source in filtered:
            table = read_columns(scores.path(shard.output("scores")), ["score"])
            counts.add(table["score"].to_numpy())
    values, numbers = counts.scores()
    if not counts.documents:
        raise InputError("the filtered sources have no documents", where=build.output)
    fitted, why_not = None, None
    try:
        if isinstance(recipe.filter.classifier, ClassifierTraining):
            trained = next(
                read_manifest(storage.join(build.output, name))
                for name in scores.summary["uses"]
                if name.startswith("classifier-")
            )
            folder = storage.join(trained.folder, "classifier", "quality")
        elif isinstance(recipe.filter.classifier, FastTextClassifier):
            raise InputError("a fastText model brings no scores of positives")
        else:
            folder = recipe.filter.classifier
        fitted = fit_alpha(positive_quantiles(folder), values, numbers)
    except CorpusError as error:
        why_not = str(error)
    alphas = sorted({*map(float, ALPHAS), *([fitted] if fitted else [])})
    rates = []
    for alpha in alphas:
        kept = float((quality.keep_probability(values, alpha=alpha) * numbers).sum())
        rates.append(Kept(alpha, round(kept), kept / counts.documents))
    return Calibration(
        documents=counts.documents,
        mean_score=float((values * numbers).sum() / counts.documents),
        now=manifest.settings.get("alpha"),
        fitted=fitted,
        why_not=why_not,
        rates=tuple(rates),
    )


def describe(found: Calibration) -> Iterator[Block]:
    """Yield the forecast as lines and a table."""
    now = "" if found.now is None else f"; alpha is {found.now:g} now"
    yield f"{found.documents:,} filtered documents, mean score {found.mean_score:.3f}{now}."
    yield Table(
        ("alpha", "documents kept", "share"),
        [(f"{r.alpha:g}", f"{r.documents:,}", f"{r.share:.2%}") for r in found.rates],
    )
    if found.fitted is not None:
        yield f"What is kept scores most like the classifier's positives at alpha {found.fitted:g}."
    else:
        yield f"No alpha is fitted: {found.why_not}"

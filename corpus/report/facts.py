"""What a report says: the manifests of a build, and histograms and examples from its documents.

In: a build. Out: `Report`, plain facts in the order of the stages. The manifests are of the whole
build; histograms read at most `MOST_PARTS` of its parts, evenly spread, so that a report of a large
build takes no longer than that of a small one, and say how many they have read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from corpus import storage
from corpus.build import BUILD, VERDICTS, Build
from corpus.look.clusters import Clustering, clustering
from corpus.look.inspect import inspect
from corpus.look.seen import Seen
from corpus.manifest import Counts, Manifest
from corpus.mix.mixture import Mixture
from corpus.mix.plan import MixtureRow, table
from corpus.parts import read_columns
from corpus.report.line_losses import LineLosses, line_losses
from corpus.verdicts import JudgedPart, judged_parts, kept_mask

MOST_PARTS = 64
_EXAMPLES = 2  # dropped documents that are shown for each reason
_CLUSTERS = 5
_LANGUAGES = 12
_EXAMPLE_SEED = 0

# Scores and Jaccards in twentieths; lengths in powers of two from 64 characters to a million.
_SHARES = tuple(float(edge) for edge in np.linspace(0.0, 1.0, 21).round(2))
_LENGTHS = (0.0, *(float(2**power) for power in range(6, 21)), np.inf)

Counted = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Funnel:
    """Where the rows of each source went in one stage."""

    stage: str
    folder: str
    sources: Mapping[str, Counts]


@dataclass(frozen=True)
class Examples:
    """Some of the documents that a stage dropped for a reason, and how many there are."""

    stage: str
    reason: str
    number: int
    rows: tuple[Seen, ...]


@dataclass(frozen=True)
class Histogram:
    """How documents are spread over a measure.

    Attributes:
        title: The measure, with its unit.
        edges: Edges of the bins; one more than there are bins.
        kept: Documents of each bin that the build kept.
        dropped: Documents of each bin that a stage dropped.
    """

    title: str
    edges: tuple[float, ...]
    kept: tuple[int, ...]
    dropped: tuple[int, ...]


@dataclass(frozen=True)
class Report:
    """All that the page shows.

    Attributes:
        name: The recipe's name.
        recipe: The recipe as it was built, defaults included.
        versions: Of the program and the libraries that shaped the build.
        funnel: Each stage that loses rows, in order.
        drops: Examples for each reason of each stage, most frequent first.
        parts: Parts of documents that there are.
        parts_read: Parts that the histograms and languages are of.
        histograms: Score, length and Jaccard, where there are any.
        languages: Documents by language that the build kept, most first.
        clusters: The largest clusters of duplicates, or None without `dedup`.
        lines: What `dedup.lines` cut out of each source, or nothing without it.
        mixture: The rows of Table 2.2 as obtained, or nothing without `mix`.
    """

    name: str
    recipe: Mapping[str, Any]
    versions: Mapping[str, str]
    funnel: tuple[Funnel, ...]
    drops: tuple[Examples, ...]
    parts: int
    parts_read: int
    histograms: tuple[Histogram, ...]
    languages: tuple[tuple[str, int], ...]
    clusters: Clustering | None
    lines: Mapping[str, LineLosses]
    mixture: tuple[MixtureRow, ...]


def gather(build: Build) -> Report:
    """Return the facts of a build.

    Raises:
        InputError: Its documents are not there yet, or not there any more.
        IntegrityError: A file of it is damaged.
    """
    build.stage("extract")
    stages = [build.manifests[s] for s in ("extract", *VERDICTS) if s in build.manifests]
    recorded = storage.read_json(storage.join(build.output, BUILD))
    judged = judged_parts(build)
    chosen = _evenly(judged, MOST_PARTS)
    histograms, languages = _measure(chosen)
    return Report(
        name=str(recorded["name"]),
        recipe=recorded["recipe"],
        versions={
            k: v for manifest in build.manifests.values() for k, v in manifest.versions.items()
        },
        funnel=tuple(_funnel(manifest) for manifest in stages),
        drops=tuple(one for manifest in stages for one in _examples(build, manifest)),
        parts=len(judged),
        parts_read=len(chosen),
        histograms=histograms,
        languages=tuple(languages.most_common(_LANGUAGES)),
        clusters=(
            clustering(build, source=None, number=_CLUSTERS) if "dedup" in build.manifests else None
        ),
        lines=line_losses(build),
        mixture=_mixture(build),
    )


def _funnel(manifest: Manifest) -> Funnel:
    counts = {source: manifest.counts(source) for source in manifest.sources()}
    return Funnel(manifest.stage, storage.name(manifest.folder), counts)


def _examples(build: Build, manifest: Manifest) -> list[Examples]:
    dropped = manifest.counts().dropped
    ranked = sorted(dropped.items(), key=lambda item: (-item[1], item[0]))
    return [
        Examples(
            manifest.stage,
            reason,
            number,
            inspect(
                build,
                stage=manifest.stage,
                dropped=True,
                reason=reason,
                source=None,
                number=_EXAMPLES,
                sample=_EXAMPLE_SEED,
            ).rows,
        )
        for reason, number in ranked
        if number
    ]


def _evenly(judged: Sequence[JudgedPart], most: int) -> list[JudgedPart]:
    """Return at most so many parts, the same distance apart."""
    if len(judged) <= most:
        return list(judged)
    return [judged[number * len(judged) // most] for number in range(most)]


def _measure(judged: Sequence[JudgedPart]) -> tuple[tuple[Histogram, ...], Counter[str]]:
    """Return the histograms of parts, and the languages of what they keep."""
    measures = (
        ("Quality score", _SHARES),
        ("Length in characters", _LENGTHS),
        ("Jaccard similarity with the document that was kept", _SHARES),
    )
    counted = {title: np.zeros((2, len(edges) - 1), dtype=np.int64) for title, edges in measures}
    languages: Counter[str] = Counter()
    for one in judged:
        documents = read_columns(one.part.documents, ["text", "language"])
        kept = np.ones(documents.num_rows, dtype=np.bool_)
        for path in one.verdicts.values():  # in order: the last one decides
            kept = kept_mask(read_columns(path, ["kept"])["kept"], value=True)
        values = {
            "Quality score": _column(one, "filter", "score"),
            "Length in characters": pc.utf8_length(documents["text"]).to_numpy(),
            "Jaccard similarity with the document that was kept": _column(one, "dedup", "jaccard"),
        }
        for title, edges in measures:
            if (found := values[title]) is not None:
                counted[title][0] += _binned(found[kept], edges)
                counted[title][1] += _binned(found[~kept], edges)
        names = documents["language"].filter(kept).value_counts().to_pylist()
        languages.update({row["values"] or "unknown": row["counts"] for row in names})
    histograms = (
        Histogram(title, edges, *(tuple(side.tolist()) for side in counted[title]))
        for title, edges in measures
    )
    return tuple(h for h in histograms if any(h.kept) or any(h.dropped)), languages


def _column(one: JudgedPart, stage: str, name: str) -> npt.NDArray[np.float64] | None:
    """Return a column of a stage's verdicts, nulls as NaN, or None where there is none."""
    if stage not in one.verdicts:
        return None
    column = read_columns(one.verdicts[stage], [name])[name]
    return np.asarray(pc.cast(column, "float64").to_numpy(), dtype=np.float64)


def _binned(values: npt.NDArray[Any], edges: Sequence[float]) -> Counted:
    """Return how many values each bin has; the last bin holds its upper edge too, NaN none."""
    return np.histogram(values[~np.isnan(values.astype(np.float64))], bins=np.asarray(edges))[0]


def _mixture(build: Build) -> tuple[MixtureRow, ...]:
    if "mix" not in build.manifests:
        return ()
    path = storage.join(build.manifests["mix"].folder, "mixture.json")
    return table(Mixture.from_json(storage.read_json(path), where=path))

"""How many documents the cheap look has cost: an estimate without bias from what was extracted.

A page is extracted when its draw passes the look, or by audit: with a probability that is known for
every page. Documents that `filter` would keep are therefore counted with the inverse of that
probability (Horvitz and Thompson 1952), over the draws and not by the one draw that was made. That
is far more exact than to count the audited pages that are kept, of which there are few.

In: the looks that `extract` has written down, and the verdicts of `filter`. Out: an entry for the
summary of `filter`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from corpus import storage
from corpus.document import DropReason
from corpus.extract.prefilter import pass_probability
from corpus.manifest import Manifest, Shard
from corpus.parts import read_columns

REASONS = frozenset(
    {DropReason.URL, DropReason.LANGUAGE, DropReason.GOPHER_QUALITY, DropReason.QUALITY}
)
_CONFIDENCE, _ONE_SIDED = 0.95, 1.645  # of the bound; quantile of the normal distribution
Floats = NDArray[np.float64]


@dataclass
class _Sums:
    """What is added up over the shards: documents kept without the look, lost by draw, by rule."""

    kept: float = 0.0
    by_draw: float = 0.0
    variance: float = 0.0
    by_rule: float = 0.0
    spared_by_rule: int = 0
    audited_by_rule: int = 0
    audited_kept: float = 0.0


def summary(
    extract: Manifest, shards: Sequence[Shard], folder: str, alpha: float
) -> dict[str, dict[str, float | None]]:
    """Return what the look has cost, or nothing when there was none.

    Args:
        extract: The stage that looked.
        shards: Of `filter`: the verdicts about its documents.
        folder: Of `filter`.
        alpha: The exponent of `filter`.

    Returns:
        Under `prefilter`: pages `spared` and `audited`; `lost`, the estimated number of documents
        that the filter would have kept of the spared ones; `most_lost`, which is not passed with a
        confidence of 95 %, or None when no page was audited of those that rules spare; `kept`, the
        estimated number that it would keep without the look, of the pages that were looked at; and
        the share `lost_share` of the one in the other.
    """
    spared = audited = 0
    sums = _Sums()
    verdicts = {(shard.source, shard.name): shard for shard in shards}
    any_look = False
    for shard in extract.shards:
        if "look" not in shard.details:
            continue
        any_look = True
        counts = {reason: shard.counts.dropped.get(str(reason), 0) for reason in REASONS}
        spared += sum(counts.values())
        sums.spared_by_rule += sum(counts.values()) - counts[DropReason.QUALITY]
        looks = read_columns(extract.path(shard.output("looks")), ["id", "reason", "score"])
        audited += looks.num_rows - looks["reason"].null_count
        chances = _chances(looks["id"].combine_chunks(), _decided(extract, shard, verdicts, folder))
        keep = _keep_probability(*chances, alpha=alpha)
        _add(sums, looks, keep, shard.details["look"])
    if not any_look:
        return {}
    lost = sums.by_draw + sums.by_rule
    most = _most_lost(sums)
    return {
        "prefilter": {
            "spared": spared,
            "audited": audited,
            "kept": round(sums.kept, 3),
            "lost": round(lost, 3),
            "most_lost": None if most is None else round(most, 3),
            "lost_share": round(lost / sums.kept, 6) if sums.kept else 0.0,
        }
    }


def _most_lost(sums: _Sums) -> float | None:
    """Return the upper bound of what is lost: by draw of the estimate, by rule of the audited."""
    from scipy.stats import beta

    by_draw = sums.by_draw + _ONE_SIDED * math.sqrt(sums.variance)
    if not sums.spared_by_rule:
        return by_draw
    if not sums.audited_by_rule:
        return None
    # Clopper and Pearson: of so many audited pages so many would be kept, so of all at most ...
    hits, trials = math.ceil(sums.audited_kept - 1e-9), sums.audited_by_rule
    share = 1.0 if hits >= trials else float(beta.ppf(_CONFIDENCE, hits + 1, trials - hits))
    return by_draw + share * sums.spared_by_rule


def sentence(facts: Any) -> str:
    """Return the entry of the summary in words."""
    looked = (
        f"of {facts['spared'] + facts['audited']:,} pages that the cheap look would spare, "
        f"{facts['audited']:,} were extracted all the same: "
    )
    if facts["most_lost"] is None:
        return (
            f"{looked}none of those that it spares by rule, so that what it costs is not known: "
            "raise extract.prefilter.audit"
        )
    return (
        f"{looked}it costs {facts['lost']:.1f} documents (at most {facts['most_lost']:.1f}, with "
        f"95 % confidence), {facts['lost_share']:.2%} of what is kept without it"
    )


def _decided(
    extract: Manifest, shard: Shard, verdicts: dict[tuple[str, str], Shard], folder: str
) -> Iterator[pa.Table]:
    for output in shard.all("documents"):
        name = storage.name(output.path).removesuffix(".parquet")
        verdict = verdicts[shard.source, name].output("verdict")
        yield read_columns(storage.join(folder, verdict.path), ["id", "reason", "score"])


def _chances(ids: pa.Array, tables: Iterator[pa.Table]) -> tuple[Floats, Floats]:
    """Return whether each page passes the rules, 0 or 1, and its score, 1 without a classifier."""
    passes, scores = np.zeros(len(ids)), np.ones(len(ids))
    for table in tables:
        rows = pc.index_in(table["id"].combine_chunks(), value_set=ids)
        here = np.flatnonzero(np.asarray(rows.is_valid()))
        there = rows.drop_null().to_numpy()
        in_rules = pc.fill_null(pc.equal(table["reason"], str(DropReason.QUALITY)), True)
        passes[there] = in_rules.to_numpy().astype(np.float64)[here]
        scores[there] = table["score"].fill_null(1.0).to_numpy()[here]
    return passes, scores


def _keep_probability(passes: Floats, scores: Floats, *, alpha: float) -> Floats:
    from corpus.text import quality

    return passes * quality.keep_probability(scores, alpha=alpha) if alpha else passes


def _add(sums: _Sums, looks: pa.Table, keep: Floats, look: Any) -> None:
    """Add the pages of a shard that were looked at and extracted."""
    cheap = looks["score"].fill_null(1.0).to_numpy()
    passes = np.ones(len(cheap))
    if look["alpha"]:
        passes = pass_probability(cheap, alpha=look["alpha"], margin=look["margin"])
    reasons = looks["reason"]
    known = pc.and_(reasons.is_valid(), pc.not_equal(reasons, str(DropReason.QUALITY)))
    by_rule = known.fill_null(False).to_numpy()
    passes = np.where(by_rule, 0.0, passes)
    extracted = passes + (1 - passes) * look["audit"]
    missed = (1 - look["audit"]) * np.maximum(0.0, keep - passes)
    sums.kept += float((keep / extracted).sum())
    sums.by_rule += float((missed / extracted)[by_rule].sum())
    sums.by_draw += float((missed / extracted)[~by_rule].sum())
    sums.variance += float(((1 - extracted) * (missed / extracted) ** 2)[~by_rule].sum())
    sums.audited_by_rule += int(by_rule.sum())
    sums.audited_kept += float(keep[by_rule].sum())

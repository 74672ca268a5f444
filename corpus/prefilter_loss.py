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
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from corpus import storage
from corpus.document import DropReason
from corpus.manifest import Manifest, Shard
from corpus.parts import read_columns
from corpus.prefilter import pass_probability

REASONS = frozenset(
    {DropReason.URL, DropReason.LANGUAGE, DropReason.GOPHER_QUALITY, DropReason.QUALITY}
)
Floats = NDArray[np.float64]


def summary(
    extract: Manifest, shards: Sequence[Shard], folder: str, alpha: float
) -> dict[str, dict[str, float]]:
    """Return what the look has cost, or nothing when there was none.

    Args:
        extract: The stage that looked.
        shards: Of `filter`: the verdicts about its documents.
        folder: Of `filter`.
        alpha: The exponent of `filter`.

    Returns:
        Under `prefilter`: pages `spared` and `audited`; `lost`, the estimated number of documents
        that the filter would have kept of the spared ones, with its standard error `lost_error`;
        `kept`, the estimated number that it would keep without the look; and the share `lost_share`
        of the one in the other.
    """
    spared = audited = 0
    kept = lost = variance = 0.0
    verdicts = {(shard.source, shard.name): shard for shard in shards}
    any_look = False
    for shard in extract.shards:
        if "look" not in shard.details:
            continue
        any_look = True
        spared += sum(shard.counts.dropped.get(str(reason), 0) for reason in REASONS)
        looks = read_columns(extract.path(shard.output("looks")), ["id", "reason", "score"])
        audited += looks.num_rows - looks["reason"].null_count
        chances = _chances(looks["id"].combine_chunks(), _decided(extract, shard, verdicts, folder))
        keep = _keep_probability(*chances, alpha=alpha)
        one_kept, one_lost, one_variance = _estimates(looks, keep, shard.details["look"])
        kept, lost, variance = kept + one_kept, lost + one_lost, variance + one_variance
    if not any_look:
        return {}
    share = lost / kept if kept else 0.0
    return {
        "prefilter": {
            "spared": spared,
            "audited": audited,
            "kept": round(kept, 3),
            "lost": round(lost, 3),
            "lost_error": round(math.sqrt(variance), 3),
            "lost_share": round(share, 6),
        }
    }


def sentence(facts: Any) -> str:
    """Return the entry of the summary in words."""
    return (
        f"of {facts['spared'] + facts['audited']:,} pages that the cheap look would spare, "
        f"{facts['audited']:,} were extracted all the same: it costs {facts['lost']:.1f} documents "
        f"(standard error {facts['lost_error']:.1f}), {facts['lost_share']:.2%} of what is kept "
        "without it"
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


def _estimates(looks: pa.Table, keep: Floats, look: Any) -> tuple[float, float, float]:
    """Return the documents kept without the look, those lost to it, and the variance of these."""
    cheap = looks["score"].fill_null(1.0).to_numpy()
    passes = np.ones(len(cheap))
    if look["alpha"]:
        passes = pass_probability(cheap, alpha=look["alpha"], margin=look["margin"])
    reasons = looks["reason"]
    by_rule = pc.and_(reasons.is_valid(), pc.not_equal(reasons, str(DropReason.QUALITY)))
    passes = np.where(by_rule.fill_null(False).to_numpy(), 0.0, passes)
    extracted = passes + (1 - passes) * look["audit"]
    missed = (1 - look["audit"]) * np.maximum(0.0, keep - passes)
    variance = (1 - extracted) * (missed / extracted) ** 2
    return float((keep / extracted).sum()), float((missed / extracted).sum()), float(variance.sum())

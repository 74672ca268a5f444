"""Components: which documents are connected by bands, and which bucket each is visited in.

In: the labels of documents and the places of their components. Out: for each part `candidates`
(position among the part's documents, component, bucket) of those that share a band, directly or
through others, with another one. Of an index only those documents count that were kept, and that
share a band with one of the build.

A bucket is whole components, so that it can be visited by itself. The documents of components that
are too large for one have no bucket yet: they are put into piles, buckets with numbers after those,
when their shingles are written, and `corpus.dedup.groups` parts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.dedup.labels import IndexPart, Labels, Step
from corpus.dedup.signatures import Signed
from corpus.dedup.spans import EVERY, Span
from corpus.dedup.sums import LARGE, Connected, Sizes, bucketed, total
from corpus.manifest import Manifest, Shard, fingerprint, read_manifest
from corpus.parts import Part, write_table

# Shingles that are visited at a time, some 40 bytes each with their index; one bucket may have
# twice as many.
BUCKET_SHINGLES = 3_000_000
# A component of more than these is parted: a visit of it costs too much where its pages are all a
# little less alike than the threshold.
LARGE_SHINGLES = 500_000

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class CandidatesTask:
    """The candidates of the parts of one range.

    Attributes:
        connected: What is known of connected documents.
        number: The range.
        totals: Folder of the places of components.
        parts: The first part of the range, and past its last.
        bases: The first document of each of its parts, and past them that of the next range.
    """

    name: str
    source: str
    key: str
    weight: int
    connected: Connected
    number: int
    totals: str
    parts: Span
    bases: tuple[int, ...]
    folder: str = ""


def find_components(
    key: str,
    ranges: Sequence[Span],
    signed: Signed,
    parts: Sequence[Part],
    copies: Manifest,
    edges: Manifest,
    step: Step,
) -> tuple[Manifest, dict[str, int]]:
    """Return the manifest of the candidates, and the figures.

    Args:
        key: Digest of all that the outcome depends on.
        ranges: Runs of parts whose documents are looked at together.
        signed: The signatures.
        parts: The parts, in the order of the signatures.
        copies: The copies.
        edges: The edges.
        step: What makes a step.
    """
    documents = signed.paths("documents")
    bases = signed.bases.tolist()
    bounds = tuple([bases[first] for first, _ in ranges] + [bases[-1]])
    key = f"{key}-{fingerprint(bounds)[:12]}"
    index = tuple(
        tuple(IndexPart(parts[n], documents[n], bases[n]) for n in range(*one))
        if one[0] >= signed.own_parts
        else ()
        for one in ranges
    )
    labels = Labels(f"{key}-components", EVERY, bounds, step, index).find([copies, edges])
    connected = Connected(
        labels=labels.folder,
        bounds=bounds,
        sizes=tuple(
            tuple(Sizes(documents[n], "shingles", bases[n]) for n in range(*one)) for one in ranges
        ),
        copies=copies.folder,
        own=signed.own,
        large=LARGE_SHINGLES,
        bucket=BUCKET_SHINGLES,
    )
    totals = total(f"{key}-components", connected, step)
    tasks = [
        CandidatesTask(
            name=f"{number:05d}",
            source=EVERY,
            key=f"{key}-candidates-{BUCKET_SHINGLES}-{LARGE_SHINGLES}-{number}",
            weight=1,
            connected=connected,
            number=number,
            totals=totals.folder,
            parts=one,
            bases=tuple(bases[one[0] : one[1] + 1]),
        )
        for number, one in enumerate(ranges)
    ]
    candidates = step("candidates", write_candidates, tasks)
    return candidates, {
        "candidates": totals.measure("members"),
        "index_candidates": totals.measure("others"),
        "components": totals.measure("components"),
        "largest_component": max(shard.measures["largest"] for shard in totals.shards),
    }


def write_candidates(task: CandidatesTask) -> Shard:
    """Write the candidates of each part that has any.

    The outputs are in the order of `details["parts"]`, which are numbers of parts;
    `details["large"]` are the shingles of each one's documents of large components, and
    `details["buckets"]` says up to which number there are buckets.
    """
    totals = read_manifest(task.totals)
    document, labels, bucket, shingles = bucketed(task.connected, totals, task.number)
    starts = np.searchsorted(document, task.bases)
    outputs, present, large = [], [], []
    for turn in np.flatnonzero(np.diff(starts)).tolist():
        own = slice(starts[turn], starts[turn + 1])
        table = pa.table(
            {
                "position": (document[own] - task.bases[turn]).astype(np.int32),
                "component": labels[own],
                "bucket": bucket[own],
            }
        )
        present.append(task.parts[0] + turn)
        large.append(int(shingles[own][bucket[own] == LARGE].sum()))
        path = f"{task.source}/{present[-1]:06d}.parquet"
        outputs.append(write_table(task.folder, path, table, "candidates"))
    return Shard(
        task.name,
        task.source,
        task.key,
        tuple(outputs),
        details={"parts": present, "large": large, "buckets": int(bucket.max(initial=-1)) + 1},
    )


def cut(shingles: Ints, most: int) -> Ints:
    """Return the group of each item, from 0, by the shingles before it: up to `most` and one."""
    before = np.cumsum(shingles) - shingles
    return cast(Ints, np.unique(before // most, return_inverse=True)[1].astype(np.int64))

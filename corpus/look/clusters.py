"""The clusters of duplicates: each kept document with those that were dropped for it.

In: a build whose dedup stage is complete. Out: its largest clusters, largest first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.build import Build
from corpus.parts import read_columns
from corpus.tables import Block, printable
from corpus.verdicts import JudgedPart, find_urls, index_parts, judged_parts, take_rows

_KEY = ["duplicate_of", "duplicate_source", "duplicate_index"]  # an id may be in several sources
Key = tuple[str, str, str]  # with "" for no index
_MOST_MEMBERS = 20  # of a cluster that are listed; the largest have thousands


@dataclass(frozen=True)
class Member:
    """A document of a cluster; `jaccard` is None for the kept one and for duplicates by URL.

    `index` is the folder of the earlier build that this one is of, or None.
    """

    id: str
    source: str
    url: str | None
    jaccard: float | None
    reason: str | None
    index: str | None = None


@dataclass(frozen=True)
class Cluster:
    """A kept document and those that were dropped as duplicates of it.

    Attributes:
        keeper: The kept document.
        dropped: How many were dropped for it.
        members: The most similar of them, at most 20.
    """

    keeper: Member
    dropped: int
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Clustering:
    """The largest clusters of a build, and how many there are in all."""

    clusters: int
    dropped: int
    largest: tuple[Cluster, ...]


def clustering(build: Build, *, source: str | None, number: int) -> Clustering:
    """Return the largest clusters of duplicates.

    Args:
        build: The build.
        source: Only clusters whose kept document is of this source.
        number: How many.

    Raises:
        InputError: The dedup stage is not built.
    """
    build.stage("dedup")
    judged = judged_parts(build)
    sizes = _sizes(judged, source)
    order = pc.sort_indices(sizes, [("rows", "descending"), ("duplicate_of", "ascending")])
    first = sizes.take(order.slice(0, number)).to_pylist()
    found: dict[Key, list[Member]] = {_key(row): [] for row in first}
    for member, keeper in _members(judged, [row["duplicate_of"] for row in first]):
        if keeper in found:
            found[keeper].append(member)
    keepers = _keepers(judged, first, build.stage("dedup").summary.get("index", {}))
    largest = tuple(
        Cluster(
            keepers[_key(row)],
            row["rows"],
            tuple(sorted(found[_key(row)], key=_most_similar)[:_MOST_MEMBERS]),
        )
        for row in first
    )
    return Clustering(sizes.num_rows, int(pc.sum(sizes["rows"]).as_py() or 0), largest)


def _sizes(judged: list[JudgedPart], source: str | None) -> pa.Table:
    """Return keeper, its source and the number of drops, one row a cluster."""
    tables = []
    for one in judged:
        table = read_columns(one.verdicts["dedup"], _KEY)
        table = table.filter(table["duplicate_of"].is_valid())
        if source is not None:
            table = table.filter(pc.equal(table["duplicate_source"], source))
        tables.append(table)
    grouped = pa.concat_tables(tables).group_by(_KEY).aggregate([([], "count_all")])
    return grouped.rename_columns([*grouped.column_names[:-1], "rows"]).select([*_KEY, "rows"])


def _key(row: Mapping[str, Any]) -> Key:
    return row["duplicate_of"], row["duplicate_source"], row["duplicate_index"] or ""


def _members(judged: list[JudgedPart], keepers: list[str]) -> Iterator[tuple[Member, Key]]:
    wanted = pa.array(keepers, pa.string())
    for one in judged:
        column = read_columns(one.verdicts["dedup"], ["duplicate_of"])["duplicate_of"]
        inside = pc.is_in(column, value_set=wanted).combine_chunks()
        rows = np.flatnonzero(inside.to_numpy(zero_copy_only=False)).tolist()
        verdicts = take_rows(one.verdicts["dedup"], rows).to_pylist()
        urls = take_rows(one.part.documents, rows, ["url"])["url"].to_pylist()
        for own, url in zip(verdicts, urls, strict=True):
            member = Member(own["id"], one.part.source, url, own["jaccard"], own["reason"])
            yield member, _key(own)


def _keepers(
    judged: list[JudgedPart], first: list[dict[str, Any]], places: Mapping[str, str]
) -> dict[Key, Member]:
    """Return the kept document of each cluster.

    One that is not there shows without its URL, and `corpus check` says so.
    """
    found: dict[Key, Member] = {}
    for name in sorted({_key(row)[2] for row in first}):
        index = places[name] if name else None
        own = [key for key in map(_key, first) if key[2] == name]
        parts = index_parts(index) if index else judged
        urls = find_urls(parts, {(id, source) for id, source, _ in own})
        for id, source, _ in own:
            found[id, source, name] = Member(id, source, urls.get((id, source)), None, None, index)
    return found


def _most_similar(member: Member) -> tuple[float, str]:
    return (-(member.jaccard or 0.0), member.id)


def describe(clustering: Clustering) -> Iterator[Block]:
    """Yield what a person reads: each cluster's kept document, then those dropped for it."""
    yield f"{clustering.clusters:,} clusters, {clustering.dropped:,} documents dropped"
    for cluster in clustering.largest:
        yield ""
        yield f"kept    {_line(cluster.keeper)}  ({cluster.dropped:,} dropped for it)"
        for member in cluster.members:
            like = "URL   " if member.jaccard is None else f"{member.jaccard:<6.4f}"
            yield f"{like}  {_line(member)}  {member.reason}"
        if cluster.dropped > len(cluster.members):
            yield f"        and {cluster.dropped - len(cluster.members):,} more"


def _line(member: Member) -> str:
    there = f"  in the index {printable(member.index)}" if member.index else ""
    return f"{printable(member.id)}  {member.source}  {printable(member.url or '(no URL)')}{there}"

"""The clusters of duplicates: each kept document with those that were dropped for it.

In: a build whose dedup stage is complete. Out: its largest clusters, largest first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.build import Build
from corpus.parts import read_columns
from corpus.tables import Block, printable
from corpus.verdicts import JudgedPart, find_ids, judged_parts, take_rows

_MOST_MEMBERS = 20  # of a cluster that are listed; the largest have thousands


@dataclass(frozen=True)
class Member:
    """A document of a cluster; `jaccard` is None for the one that is kept."""

    id: str
    source: str
    url: str | None
    jaccard: float | None
    reason: str | None


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
    found: dict[str, list[Member]] = {row["duplicate_of"]: [] for row in first}
    for member, keeper in _members(judged, list(found)):
        found[keeper].append(member)
    keepers = _keepers(judged, first)
    largest = tuple(
        Cluster(
            keepers[row["duplicate_of"]],
            row["rows"],
            tuple(sorted(found[row["duplicate_of"]], key=_most_similar)[:_MOST_MEMBERS]),
        )
        for row in first
    )
    return Clustering(sizes.num_rows, int(pc.sum(sizes["rows"]).as_py() or 0), largest)


def _sizes(judged: list[JudgedPart], source: str | None) -> pa.Table:
    """Return keeper, its source and the number of drops, one row a cluster."""
    tables = []
    for one in judged:
        table = read_columns(one.verdicts["dedup"], ["duplicate_of", "duplicate_source"])
        table = table.filter(table["duplicate_of"].is_valid())
        if source is not None:
            table = table.filter(pc.equal(table["duplicate_source"], source))
        tables.append(table)
    keys = ["duplicate_of", "duplicate_source"]
    grouped = pa.concat_tables(tables).group_by(keys).aggregate([([], "count_all")])
    return grouped.rename_columns([*grouped.column_names[:-1], "rows"]).select([*keys, "rows"])


def _members(judged: list[JudgedPart], keepers: list[str]) -> Iterator[tuple[Member, str]]:
    wanted = pa.array(keepers, pa.string())
    for one in judged:
        column = read_columns(one.verdicts["dedup"], ["duplicate_of"])["duplicate_of"]
        inside = pc.is_in(column, value_set=wanted).combine_chunks()
        rows = np.flatnonzero(inside.to_numpy(zero_copy_only=False)).tolist()
        verdicts = take_rows(one.verdicts["dedup"], rows).to_pylist()
        urls = take_rows(one.part.documents, rows, ["url"])["url"].to_pylist()
        for own, url in zip(verdicts, urls, strict=True):
            member = Member(own["id"], one.part.source, url, own["jaccard"], own["reason"])
            yield member, own["duplicate_of"]


def _keepers(judged: list[JudgedPart], first: list[dict[str, str]]) -> dict[str, Member]:
    """Return the kept document of each cluster; its id may lie in several sources."""
    sources = {row["duplicate_of"]: row["duplicate_source"] for row in first}
    found = {
        id: Member(id, source, None, None, None) for id, source in sources.items()
    }  # one that is not there shows without its URL, and `corpus check` says so
    for id, place in find_ids(judged, list(sources), sources=set(sources.values())):
        part = judged[place.part].part
        if part.source == sources[id]:
            url = take_rows(part.documents, [place.row], ["url"])["url"][0].as_py()
            found[id] = Member(id, part.source, url, None, None)
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
            yield f"{member.jaccard:<6.4f}  {_line(member)}  {member.reason}"
        if cluster.dropped > len(cluster.members):
            yield f"        and {cluster.dropped - len(cluster.members):,} more"


def _line(member: Member) -> str:
    return f"{printable(member.id)}  {member.source}  {printable(member.url or '(no URL)')}"

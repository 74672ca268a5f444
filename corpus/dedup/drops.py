"""The drops of each part, from the copies and from what the visits found.

In: copies and visits. Out: for each of the build's parts `drops` (row, reason, duplicate_of,
duplicate_source, duplicate_index, jaccard). One process holds some 100 bytes for each document that
is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus.dedup.order import Scope
from corpus.dedup.signatures import Signed, read_signed
from corpus.dedup.urls import row_bases
from corpus.dedup.visit import SCHEMA
from corpus.document import DropReason
from corpus.manifest import Shard, read_manifest
from corpus.parts import Part, read_columns, write_table

COLUMNS = ("row", "reason", "duplicate_of", "duplicate_source", "duplicate_index", "jaccard")
DROPS = pa.schema(
    [
        pa.field("document", pa.int64()),
        pa.field("reason", pa.string()),
        pa.field("duplicate_of", pa.string()),
        pa.field("duplicate_source", pa.string()),
        pa.field("duplicate_index", pa.string()),
        pa.field("jaccard", pa.float64()),
    ]
)
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DropsTask:
    """All drops of a build.

    Attributes:
        signatures: Folders of the signatures.
        parts: The parts, in the order of the signatures.
        copies: Folder of the copies.
        visits: Folders of the visits, a round each.
        scope: The sources.
        names: What verdicts call the indexes.
        addresses: Folder of the documents with the address of a better one, if these are dropped.
    """

    name: str
    source: str
    key: str
    weight: int
    signatures: tuple[str, ...]
    parts: tuple[Part, ...]
    copies: str
    visits: tuple[str, ...]
    scope: Scope
    names: tuple[str, ...]
    addresses: str | None = None
    folder: str = ""


def list_drops(task: DropsTask) -> Shard:
    """Write the list of each part's drops."""
    signed = read_signed(task.signatures, task.scope)
    near = _named(_all(list(task.visits), "found", SCHEMA.names, SCHEMA), task, signed)
    near = near.append_column("reason", _reasons(len(near), DropReason.NEAR_DUPLICATE))
    near = near.select(DROPS.names).cast(DROPS).sort_by("document")
    table = pa.concat_tables([near, _exact(task, signed, near)]).sort_by("document")
    starts = np.searchsorted(table["document"].to_numpy(), signed.bases)
    own_parts = task.parts[: signed.own_parts]
    bases = row_bases(own_parts)
    by_url = _by_url(task, signed, table) if task.addresses else DROPS.empty_table()
    url_starts = np.searchsorted(by_url["document"].to_numpy(), bases)
    outputs = []
    paths = signed.paths("documents")
    for index, shard in enumerate(signed.manifests[0].shards):
        own = table.slice(starts[index], starts[index + 1] - starts[index])
        position = own["document"].to_numpy() - signed.bases[index]
        drops = pa.table(
            {
                "row": read_columns(paths[index], ["row"])["row"].take(pa.array(position)),
                **{column: own[column] for column in COLUMNS[1:]},
            }
        )
        urls = by_url.slice(url_starts[index], url_starts[index + 1] - url_starts[index])
        if len(urls):
            row = pa.array(urls["document"].to_numpy() - bases[index])
            columns = {"row": row, **{column: urls[column] for column in COLUMNS[1:]}}
            drops = pa.concat_tables([drops, pa.table(columns)])
        path = f"{shard.source}/{shard.name}.parquet"
        outputs.append(write_table(task.folder, path, drops, "drops"))
    return Shard(task.name, task.source, task.key, tuple(outputs))


def _all(folders: list[str], role: str, columns: list[str], schema: pa.Schema) -> pa.Table:
    tables = [schema.empty_table()]
    for folder in folders:
        manifest = read_manifest(folder)
        paths = [manifest.path(shard.output(role)) for shard in manifest.shards]
        tables += [read_columns(path, columns) for path in paths]
    return pa.concat_tables(tables).combine_chunks()


def _named(table: pa.Table, task: DropsTask, signed: Signed) -> pa.Table:
    """Return a table with the names of the keepers' sources and indexes instead of a number."""
    number = table["keeper_source"].combine_chunks()
    names: list[str | None] = [None] * task.scope.own
    for name, manifest in zip(task.names, signed.manifests[1:], strict=True):
        names += [name] * len(manifest.sources())
    keeper = pa.array(task.scope.sources, pa.string()).take(number)
    index = pa.array(names, pa.string()).take(number)
    return (
        table.drop_columns(["keeper_source"])
        .rename_columns({"keeper_id": "duplicate_of"})
        .append_column("duplicate_source", keeper)
        .append_column("duplicate_index", index)
    )


def _reasons(count: int, reason: DropReason) -> pa.Array:
    return pa.repeat(pa.scalar(str(reason), pa.string()), count)


def _exact(task: DropsTask, signed: Signed, near: pa.Table) -> pa.Table:
    """Return the drops among the copies.

    A copy of a document that is itself dropped, in this build or in an index, shares its fate: it
    is as similar to that one's keeper as it is.
    """
    from corpus.dedup import copies

    table = _all([task.copies], "copies", copies.SCHEMA.names, copies.SCHEMA)
    table = table.filter(table["dropped"])
    keeper = table["keeper"].to_numpy()
    fates = pa.concat_tables([near, *_index_fates(task, signed, keeper)]).combine_chunks()
    fates = fates.sort_by("document")
    place, gone = _places(fates["document"].to_numpy(), keeper)
    others = fates.take(pa.array(place, mask=~gone))
    table = _named(table, task, signed)
    missing = pa.array(~gone)
    # The index of a fate is null where its keeper is in this build.
    found = {
        "document": table["document"],
        "duplicate_of": pc.coalesce(others["duplicate_of"], table["duplicate_of"]),
        "duplicate_source": pc.coalesce(others["duplicate_source"], table["duplicate_source"]),
        "duplicate_index": pc.if_else(missing, table["duplicate_index"], others["duplicate_index"]),
        "jaccard": pc.coalesce(others["jaccard"], pa.scalar(1.0)),
        "reason": pc.coalesce(others["reason"], pa.scalar(str(DropReason.EXACT_DUPLICATE))),
    }
    return pa.table(found).select(DROPS.names).cast(DROPS)


def _index_fates(task: DropsTask, signed: Signed, keeper: Ints) -> Iterator[pa.Table]:
    """Yield what became of those documents of indexes that others are copies of, if dropped."""
    wanted = np.unique(keeper[keeper >= signed.own])
    starts = np.searchsorted(wanted, signed.bases)
    paths = signed.paths("documents")
    for index in range(signed.own_parts, len(task.parts)):
        own = wanted[starts[index] : starts[index + 1]]
        if len(own):
            documents = read_columns(paths[index], ["row"])
            rows = documents["row"].take(pa.array(own - signed.bases[index]))
            yield from _verdicts(task, signed, index, rows, own)


def _verdicts(
    task: DropsTask, signed: Signed, index: int, rows: pa.Array, documents: Ints
) -> Iterator[pa.Table]:
    """Yield the drops among rows of a part of an index, under the given numbers of documents."""
    names = [n for n, m in zip(task.names, signed.manifests[1:], strict=True) for _ in m.shards]
    verdict = task.parts[index].verdict
    if verdict is None:
        return
    table = read_columns(verdict, ["kept", *COLUMNS[1:]]).take(rows)
    table = table.append_column("document", pa.array(documents))
    # Without a keeper it was dropped for its lines, and stands for its text as if it were kept.
    table = table.filter(pc.and_(pc.invert(table["kept"]), table["duplicate_of"].is_valid()))
    name = pa.scalar(names[index - signed.own_parts], pa.string())
    place = table.column_names.index("duplicate_index")
    where = pc.coalesce(table["duplicate_index"], name)
    yield table.set_column(place, "duplicate_index", where).select(DROPS.names).cast(DROPS)


def _by_url(task: DropsTask, signed: Signed, table: pa.Table) -> pa.Table:
    """Return the drops for an address, numbered by the rows of the parts.

    Where the best document of an address is itself dropped, its keeper takes its place.
    """
    from corpus.dedup import copies

    assert task.addresses is not None
    found = _all([task.addresses], "copies", copies.SCHEMA.names, copies.SCHEMA)
    found = found.filter(found["dropped"]).sort_by("document")
    keeper = found["keeper"].to_numpy()
    fates = pa.concat_tables([DROPS.empty_table(), *_fates(task, signed, table, keeper)])
    fates = fates.combine_chunks().sort_by("document")
    place, gone = _places(fates["document"].to_numpy(), keeper)
    others = fates.take(pa.array(place, mask=~gone))
    named = _named(found, task, signed)
    drops = {
        "document": found["document"],
        "reason": _reasons(len(found), DropReason.URL_DUPLICATE),
        "duplicate_of": pc.coalesce(others["duplicate_of"], named["duplicate_of"]),
        "duplicate_source": pc.coalesce(others["duplicate_source"], named["duplicate_source"]),
        "duplicate_index": pc.if_else(
            pa.array(~gone), named["duplicate_index"], others["duplicate_index"]
        ),
        "jaccard": pa.nulls(len(found), pa.float64()),
    }
    return pa.table(drops).select(DROPS.names).cast(DROPS)


def _fates(task: DropsTask, signed: Signed, table: pa.Table, keeper: Ints) -> Iterator[pa.Table]:
    """Yield what became of the best documents of addresses, by rows of the parts, if dropped."""
    bases = row_bases(task.parts)
    wanted = np.unique(keeper)
    starts = np.searchsorted(wanted, bases)
    paths = signed.paths("documents")
    for index in np.flatnonzero(np.diff(starts)).tolist():
        own = wanted[starts[index] : starts[index + 1]]
        rows = own - bases[index]
        if index < signed.own_parts:
            at = read_columns(paths[index], ["row"])["row"].to_numpy()
            number = signed.bases[index] + np.searchsorted(at, rows)
            place, gone = _places(table["document"].to_numpy(), number)
            dropped = table.take(pa.array(place[gone]))
            yield dropped.set_column(0, DROPS.field("document"), pa.array(own[gone]))
        else:
            yield from _verdicts(task, signed, index, pa.array(rows), own)


def _places(found: Ints, wanted: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return where numbers stand among ascending ones, and which are there at all."""
    place = np.searchsorted(found, wanted)
    there = np.zeros(len(wanted), dtype=np.bool_)
    inside = place < len(found)
    there[inside] = found[place[inside]] == wanted[inside]
    return place, there

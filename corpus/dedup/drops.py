"""The drops of each part, from the copies and from what the visits found.

In: copies and visits. Out: for each part `drops` (row, reason, duplicate_of, duplicate_source,
jaccard). One process holds some 100 bytes for each document that is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.dedup.order import Scope
from corpus.dedup.signatures import read_signed
from corpus.dedup.visit import SCHEMA
from corpus.document import DropReason
from corpus.manifest import Shard, read_manifest
from corpus.parts import read_columns, write_table

COLUMNS = ("row", "reason", "duplicate_of", "duplicate_source", "jaccard")


@dataclass(frozen=True)
class DropsTask:
    """All drops of a build.

    Attributes:
        signatures: Folder of the signatures.
        copies: Folder of the copies.
        visits: Folders of the visits, a round each.
        scope: The sources.
    """

    name: str
    source: str
    key: str
    weight: int
    signatures: str
    copies: str
    visits: tuple[str, ...]
    scope: Scope
    folder: str = ""


def list_drops(task: DropsTask) -> Shard:
    """Write the list of each part's drops."""
    signed = read_signed(task.signatures)
    near = _all(list(task.visits), "found", SCHEMA.names, SCHEMA).sort_by("document")
    exact = _exact(task.copies, near)
    near = near.append_column(
        "reason", pa.array([str(DropReason.NEAR_DUPLICATE)] * len(near), pa.string())
    )
    table = pa.concat_tables([near, exact]).sort_by("document")
    starts = np.searchsorted(table["document"].to_numpy(), signed.bases)
    names = pa.array(task.scope.sources, pa.string())
    outputs = []
    for index, (shard, path) in enumerate(
        zip(signed.manifest.shards, signed.paths("documents"), strict=True)
    ):
        own = table.slice(starts[index], starts[index + 1] - starts[index])
        position = own["document"].to_numpy() - signed.bases[index]
        drops = pa.table(
            {
                "row": read_columns(path, ["row"])["row"].take(pa.array(position)),
                "reason": own["reason"],
                "duplicate_of": own["keeper_id"],
                "duplicate_source": names.take(own["keeper_source"].combine_chunks()),
                "jaccard": own["jaccard"],
            }
        )
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


def _exact(folder: str, near: pa.Table) -> pa.Table:
    """Return the drops among the copies.

    A copy of a document that is itself dropped is as similar to that one's keeper as it is.
    """
    from corpus.dedup import copies

    table = _all([folder], "copies", copies.SCHEMA.names, copies.SCHEMA)
    table = table.filter(table["dropped"])
    found = near["document"].to_numpy()
    keeper = table["keeper"].to_numpy()
    place = np.searchsorted(found, keeper)
    gone = np.zeros(len(keeper), dtype=np.bool_)
    inside = place < len(found)
    gone[inside] = found[place[inside]] == keeper[inside]
    instead = pa.array(np.where(gone, place, 0), mask=~gone)
    others = near.take(instead)
    return pa.table(
        {
            "document": table["document"],
            "keeper_id": pc.coalesce(others["keeper_id"], table["keeper_id"]),
            "keeper_source": pc.coalesce(others["keeper_source"], table["keeper_source"]),
            "jaccard": pc.coalesce(others["jaccard"], pa.scalar(1.0)),
            "reason": pa.array(
                np.where(gone, str(DropReason.NEAR_DUPLICATE), str(DropReason.EXACT_DUPLICATE)),
                pa.string(),
            ),
        }
    )

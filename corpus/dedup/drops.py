"""The drops of each part, from the copies' fates, from what the visits found, and from addresses.

In: fates and visits. Out: for each of the build's parts `drops` (row, reason, duplicate_of,
duplicate_source, duplicate_index, jaccard). A task lists the parts of a span, in some 200 bytes a
dropped document. With `dedup.urls` a second step, `lists`, adds the drops for an address, which the
first one has given the keepers of those that are themselves dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.dedup import exchange
from corpus.dedup.fates import (
    COLUMNS,
    DROPS,
    Setting,
    index_verdicts,
    named,
    near_drops,
    of_span,
    reasons,
)
from corpus.dedup.signatures import Signed
from corpus.dedup.spans import Ints, firsts, places, row_bases, span_of
from corpus.document import DropReason
from corpus.manifest import Output, Shard, read_manifest
from corpus.parts import read_columns, write_table
from corpus.text import sorting


@dataclass(frozen=True)
class DropsTask:
    """The drops of one span.

    Attributes:
        setting: What all tasks have in common.
        span: The number of the span.
        fates: Folder of the copies' fates.
        addresses: Folder of the documents with the address of a better one, if these are dropped.
    """

    name: str
    source: str
    key: str
    weight: int
    setting: Setting
    span: int
    fates: str
    addresses: str | None = None
    folder: str = ""


@dataclass(frozen=True)
class ListsTask:
    """The drops of one span, to which those for an address are added.

    Attributes:
        setting: What all tasks have in common.
        span: The number of the span.
        drops: Folder of the others.
    """

    name: str
    source: str
    key: str
    weight: int
    setting: Setting
    span: int
    drops: str
    folder: str = ""


def list_drops(task: DropsTask) -> Shard:
    """Write the list of each part's drops, and `urls`, those for an address of this span."""
    setting, signed = task.setting, task.setting.signed()
    near = near_drops(setting, signed, task.span)
    exact = of_span([task.fates], "exact", task.span)
    table = pa.concat_tables([near, exact]).combine_chunks().sort_by("document")
    starts = np.searchsorted(table["document"].to_numpy(), signed.bases)
    outputs: list[Output] = []
    paths = signed.paths("documents")
    for index in _own_parts(setting, signed, task.span):
        own = table.slice(starts[index], starts[index + 1] - starts[index])
        position = own["document"].to_numpy() - signed.bases[index]
        drops = pa.table(
            {
                "row": read_columns(paths[index], ["row"])["row"].take(pa.array(position)),
                **{column: own[column] for column in COLUMNS[1:]},
            }
        )
        outputs.append(write_table(task.folder, _path(signed, index), drops, "drops"))
    if task.addresses:
        found = _by_url(task, task.addresses, signed, table)
        bounds = firsts(row_bases(setting.parts), setting.spans)
        partition = span_of(found["document"].to_numpy(), bounds)
        path = f"{task.source}/{task.name}.urls.arrow"
        outputs.append(exchange.write(task.folder, path, found, partition, "urls"))
    return Shard(task.name, task.source, task.key, tuple(outputs))


def add_urls(task: ListsTask) -> Shard:
    """Write the list of each part's drops with those for an address."""
    setting, signed = task.setting, task.setting.signed()
    table = of_span([task.drops], "urls", task.span).sort_by("document")
    bases = row_bases(setting.parts)
    starts = np.searchsorted(table["document"].to_numpy(), bases)
    manifest = read_manifest(task.drops)
    others = manifest.shards[task.span].all("drops")
    outputs = []
    parts = _own_parts(setting, signed, task.span)
    for index, output in zip(parts, others, strict=True):
        urls = table.slice(starts[index], starts[index + 1] - starts[index])
        row = pa.array(urls["document"].to_numpy() - bases[index])
        columns = {"row": row, **{column: urls[column] for column in COLUMNS[1:]}}
        drops = read_columns(manifest.path(output), COLUMNS)
        drops = pa.concat_tables([drops, pa.table(columns).cast(drops.schema)])
        outputs.append(write_table(task.folder, _path(signed, index), drops, "drops"))
    return Shard(task.name, task.source, task.key, tuple(outputs))


def _own_parts(setting: Setting, signed: Signed, span: int) -> range:
    """Return those parts of a span that are the build's own."""
    first, last = setting.spans[span]
    return range(first, min(last, signed.own_parts))


def _path(signed: Signed, index: int) -> str:
    shard = signed.manifests[0].shards[index]
    return f"{shard.source}/{shard.name}.parquet"


def _by_url(task: DropsTask, addresses: str, signed: Signed, table: pa.Table) -> pa.Table:
    """Return the drops for an address of a document of the span, numbered by the parts' rows.

    Where the best document of an address is itself dropped, its keeper takes its place.
    """
    found = of_span([addresses], "copies", task.span)
    found = found.filter(found["dropped"]).sort_by("document")
    keeper = found["keeper"].to_numpy()
    fates = pa.concat_tables([DROPS.empty_table(), *_fates(task, signed, table, keeper)])
    fates = fates.combine_chunks().sort_by("document")
    place, gone = places(fates["document"].to_numpy(), keeper)
    others = fates.take(pa.array(place, mask=~gone))
    told = named(found, task.setting, signed)
    drops = {
        "document": found["document"],
        "reason": reasons(len(found), DropReason.URL_DUPLICATE),
        "duplicate_of": pc.coalesce(others["duplicate_of"], told["duplicate_of"]),
        "duplicate_source": pc.coalesce(others["duplicate_source"], told["duplicate_source"]),
        "duplicate_index": pc.if_else(
            pa.array(~gone), told["duplicate_index"], others["duplicate_index"]
        ),
        "jaccard": pa.nulls(len(found), pa.float64()),
    }
    return pa.table(drops).select(DROPS.names).cast(DROPS)


def _fates(task: DropsTask, signed: Signed, table: pa.Table, keeper: Ints) -> Iterator[pa.Table]:
    """Yield what became of the best documents of addresses, by rows of the parts, if dropped."""
    bases = row_bases(task.setting.parts)
    wanted = sorting.distinct(keeper)
    starts = np.searchsorted(wanted, bases)
    paths = signed.paths("documents")
    for index in np.flatnonzero(np.diff(starts)).tolist():
        own = wanted[starts[index] : starts[index + 1]]
        rows = own - bases[index]
        if index < signed.own_parts:
            at = read_columns(paths[index], ["row"])["row"].to_numpy()
            number = signed.bases[index] + np.searchsorted(at, rows)
            place, gone = places(table["document"].to_numpy(), number)
            dropped = table.take(pa.array(place[gone]))
            yield dropped.set_column(0, DROPS.field("document"), pa.array(own[gone]))
        else:
            yield from index_verdicts(task.setting, signed, index, pa.array(rows), own)

"""The fates of copies: a copy of a document that is dropped goes for the same keeper.

In: the copies, sorted by the span of the document that they are copies of, and what the visits
found. Out: `exact`, the drops among the copies, sorted into an exchange by their own span. Also
here: what became of documents of an index.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.dedup import exchange
from corpus.dedup.order import Scope
from corpus.dedup.signatures import Signed, read_signed
from corpus.dedup.spans import Ints, Span, firsts, places, span_of
from corpus.document import DropReason
from corpus.manifest import Shard, read_manifest
from corpus.parts import Part, read_columns
from corpus.text import sorting

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


@dataclass(frozen=True)
class Setting:
    """What the tasks that list drops have in common.

    Attributes:
        signatures: Folders of the signatures.
        parts: The parts, in the order of the signatures.
        spans: Which parts are listed together.
        scope: The sources.
        names: What verdicts call the indexes.
        copies: Folder of the copies.
        visits: Folders of the visits, a round each.
    """

    signatures: tuple[str, ...]
    parts: tuple[Part, ...]
    spans: tuple[Span, ...]
    scope: Scope
    names: tuple[str, ...]
    copies: str
    visits: tuple[str, ...]

    def signed(self) -> Signed:
        """Return the signatures."""
        return read_signed(self.signatures, self.scope)


@dataclass(frozen=True)
class FatesTask:
    """The copies of the documents of one span, by its number."""

    name: str
    source: str
    key: str
    weight: int
    setting: Setting
    span: int
    folder: str = ""


def resolve_copies(task: FatesTask) -> Shard:
    """Write the drops among the copies of the documents of one span."""
    setting, signed = task.setting, task.setting.signed()
    table = of_span([setting.copies], "copies", task.span)
    table = table.filter(table["dropped"])
    keeper = table["keeper"].to_numpy()
    near = near_drops(setting, signed, task.span)
    fates = pa.concat_tables([near, *_index_fates(setting, signed, task.span, keeper)])
    fates = fates.combine_chunks().sort_by("document")
    place, gone = places(fates["document"].to_numpy(), keeper)
    others = fates.take(pa.array(place, mask=~gone))
    table = named(table, setting, signed)
    # The index of a fate is null where its keeper is in this build.
    found = {
        "document": table["document"],
        "duplicate_of": pc.coalesce(others["duplicate_of"], table["duplicate_of"]),
        "duplicate_source": pc.coalesce(others["duplicate_source"], table["duplicate_source"]),
        "duplicate_index": pc.if_else(
            pa.array(~gone), table["duplicate_index"], others["duplicate_index"]
        ),
        "jaccard": pc.coalesce(others["jaccard"], pa.scalar(1.0)),
        "reason": pc.coalesce(others["reason"], pa.scalar(str(DropReason.EXACT_DUPLICATE))),
    }
    exact = pa.table(found).select(DROPS.names).cast(DROPS)
    partition = span_of(exact["document"].to_numpy(), firsts(signed.bases, setting.spans))
    path = f"{task.source}/{task.name}.arrow"
    output = exchange.write(task.folder, path, exact, partition, "exact")
    return Shard(task.name, task.source, task.key, (output,))


def of_span(folders: Sequence[str], role: str, span: int) -> pa.Table:
    """Return the rows of one span from the exchanges of some steps."""
    manifests = [read_manifest(folder) for folder in folders]
    paths = [m.path(shard.output(role)) for m in manifests for shard in m.shards]
    tables = [exchange.read(path, span, span + 1) for path in paths]
    return pa.concat_tables(tables).combine_chunks()


def near_drops(setting: Setting, signed: Signed, span: int) -> pa.Table:
    """Return what the visits found among the documents of one span, in their order."""
    if not setting.visits:
        return DROPS.empty_table()
    near = named(of_span(setting.visits, "found", span), setting, signed)
    near = near.append_column("reason", reasons(len(near), DropReason.NEAR_DUPLICATE))
    return near.select(DROPS.names).cast(DROPS).sort_by("document")


def named(table: pa.Table, setting: Setting, signed: Signed) -> pa.Table:
    """Return a table with the names of the keepers' sources and indexes instead of a number."""
    number = table["keeper_source"].combine_chunks()
    names: list[str | None] = [None] * setting.scope.own
    for name, manifest in zip(setting.names, signed.manifests[1:], strict=True):
        names += [name] * len(manifest.sources())
    keeper = pa.array(setting.scope.sources, pa.string()).take(number)
    index = pa.array(names, pa.string()).take(number)
    return (
        table.drop_columns(["keeper_source"])
        .rename_columns({"keeper_id": "duplicate_of"})
        .append_column("duplicate_source", keeper)
        .append_column("duplicate_index", index)
    )


def reasons(count: int, reason: DropReason) -> pa.Array:
    """Return a column of one reason."""
    return pa.repeat(pa.scalar(str(reason), pa.string()), count)


def _index_fates(setting: Setting, signed: Signed, span: int, keeper: Ints) -> Iterator[pa.Table]:
    """Yield what became of those documents of indexes that others are copies of, if dropped."""
    wanted = sorting.distinct(keeper)
    starts = np.searchsorted(wanted, signed.bases)
    paths = signed.paths("documents")
    for index in range(max(setting.spans[span][0], signed.own_parts), setting.spans[span][1]):
        own = wanted[starts[index] : starts[index + 1]]
        if len(own):
            documents = read_columns(paths[index], ["row"])
            rows = documents["row"].take(pa.array(own - signed.bases[index]))
            yield from index_verdicts(setting, signed, index, rows, own)


def index_verdicts(
    setting: Setting, signed: Signed, index: int, rows: pa.Array, documents: Ints
) -> Iterator[pa.Table]:
    """Yield the drops among rows of a part of an index, under the given numbers of documents."""
    names = [n for n, m in zip(setting.names, signed.manifests[1:], strict=True) for _ in m.shards]
    verdict = setting.parts[index].verdict
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

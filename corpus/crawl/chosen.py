"""One capture of each linked page out of all that the indexes have: a step of `crawl`.

In: the places that were found in each snapshot. Out, in `chosen-<fingerprint>/`: the places that
are fetched, and by them the addresses that no snapshot has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus import storage
from corpus.crawl.found_pages import by_archive
from corpus.engine import Engine
from corpus.manifest import Counts, Manifest, Shard, fingerprint
from corpus.progress import Progress
from corpus.sources import webtext
from corpus.stage_folder import describe_output, make

STEP = "chosen"
VERSION = 1  # of the table of places, and of what the fates say
_COLUMNS = ["page", "archive", "offset", "length"]
_FIRST = [("page", "ascending"), ("archive", "ascending"), ("offset", "ascending")]


@dataclass(frozen=True)
class ChosenTask:
    """The places of one source: for each snapshot the tables that its index gave."""

    name: str
    source: str
    key: str
    weight: int
    snapshots: tuple[tuple[str, ...], ...]
    folder: str = ""


def make_choice(
    name: str, looks: Sequence[Manifest], output: str, engine: Engine, progress: Progress
) -> Manifest:
    """Choose one capture of each page, out of the first snapshot that has it."""
    files = [[(look, shard.output("places")) for shard in look.shards] for look in looks]
    digests = [[file.sha256 for _, file in one] for one in files]
    task = ChosenTask(
        name="chosen",
        source=name,
        key=fingerprint(STEP, VERSION, digests),
        weight=1,
        snapshots=tuple(tuple(look.path(file) for look, file in one) for one in files),
    )
    return make(output, STEP, chosen_shard, [task], engine, progress, uses=looks)


def chosen_shard(task: ChosenTask) -> Shard:
    """Choose: of a snapshot the first capture by archive and offset.

    Memory: some 40 bytes for each page found, and the places in one snapshot.
    """
    have = np.empty(0, np.uint64)
    kept: list[pa.Table] = []
    into = 0
    for paths in task.snapshots:
        places = pa.concat_tables([_places(path) for path in paths]) if paths else None
        if places is None or not places.num_rows:
            continue
        into += places.num_rows
        places = places.filter(pa.array(~_in(places["page"].to_numpy(), have)))
        # In their order by name, archives are sorted by number.
        coded = places["archive"].unify_dictionaries().combine_chunks()
        order = pc.array_sort_indices(coded.dictionary)
        names = coded.dictionary.take(order)
        rank = pa.array(np.argsort(order.to_numpy()), pa.int32())
        places = places.set_column(1, "archive", rank.take(coded.indices)).sort_by(_FIRST)
        page = places["page"].to_numpy()
        places = places.filter(pa.array(np.append(True, page[1:] != page[:-1])[: len(page)]))
        have = np.union1d(have, places["page"].to_numpy())
        kept.append(places.set_column(1, "archive", names.take(places["archive"])))
    empty = pa.table([[], [], [], []], schema=_schema())
    table = pa.concat_tables([empty, *kept]).sort_by(
        [("archive", "ascending"), ("offset", "ascending")]
    )
    path = f"{task.source}/{task.name}.parquet"
    with storage.publish(storage.join(task.folder, path)) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    output = describe_output(task.folder, path, "chosen", table.num_rows)
    counts = Counts(into, table.num_rows, {"other_capture": into - table.num_rows})
    return Shard(task.name, task.source, task.key, (output,), counts)


def _schema() -> pa.Schema:
    types = (pa.uint64(), pa.string(), pa.int64(), pa.int64())
    return pa.schema(list(zip(_COLUMNS, types, strict=True)))


def _places(path: str) -> pa.Table:
    with storage.open_arrow(path) as file:
        return pq.ParquetFile(file, read_dictionary=["archive"]).read(columns=_COLUMNS)


def _in(pages: npt.NDArray[np.uint64], have: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Return which pages are among the sorted `have`."""
    if not len(have):
        return np.zeros(len(pages), np.bool_)
    places = np.minimum(np.searchsorted(have, pages), len(have) - 1)
    return np.equal(have[places], pages, dtype=np.bool_)


def archives(path: str) -> dict[str, npt.NDArray[np.int64]]:
    """Return the chosen places by archive; see `found_pages.archives_of`."""
    with storage.open_arrow(path) as file:
        table = pq.read_table(file, columns=["archive", "offset", "length"])
    return by_archive(table, where=path)


def fates(links: str, chosen: str) -> pa.Table:
    """Return a table of links in which those that no snapshot has are `not_in_index`."""
    with storage.open_arrow(chosen) as file:
        have = np.unique(pq.read_table(file, columns=["page"])["page"].to_numpy())
    with storage.open_arrow(links) as file:
        table = pq.read_table(file)
    lost = pa.array(~_in(table["page"].to_numpy(), have))
    lost = pc.and_(lost, pc.equal(table["fate"], webtext.LINKED))
    fate = pc.if_else(lost, webtext.NOT_IN_INDEX, table["fate"])
    return table.set_column(table.column_names.index("fate"), "fate", fate).cast(
        webtext.LINKS_SCHEMA
    )

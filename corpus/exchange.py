"""The exchange of dedup: candidates' shingles from files by part to files by component, and back.

All connected documents of a component come to lie in one bucket's files, whatever part they are
from, so that a bucket can be visited by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus import storage
from corpus.config import DedupScheme
from corpus.duplicates import Duplicate, visit
from corpus.parts import Part, batches, read_columns, write_table

EXCHANGE = ".exchange"  # with a dot, so that it cannot be the folder of a source


@dataclass(frozen=True)
class ExchangeTask:
    """The candidates of one part, whose shingles are to be sorted into buckets.

    Attributes:
        folder: The stage's folder.
        part: The part.
        signatures: Path of its signatures.
        scheme: Words and shingles.
    """

    folder: str
    part: Part
    signatures: str
    scheme: DedupScheme


@dataclass(frozen=True)
class VisitTask:
    """One bucket of components to visit."""

    folder: str
    bucket: int
    threshold: float


def candidates_path(part: Part) -> str:
    """Return where the candidates of a part are listed, relative to the stage's folder."""
    return f"{EXCHANGE}/candidates/{part.source}-{part.name}.parquet"


def drops_path(source: str, name: str) -> str:
    """Return where the drops of a part are listed, relative to the stage's folder."""
    return f"{EXCHANGE}/drops/{source}-{name}.parquet"


def _bucket_folder(folder: str, bucket: int) -> str:
    return storage.join(folder, EXCHANGE, f"bucket-{bucket:05d}")


def exchange_part(task: ExchangeTask) -> None:
    """Write the shingles of a part's candidates, in a file for each bucket."""
    from corpus.text import ngrams

    candidates = read_columns(
        storage.join(task.folder, candidates_path(task.part)),
        ["row", "document", "component", "rank", "bucket"],
    )
    signatures = read_columns(task.signatures, ["row", "bands"])
    index = pc.index_in(candidates["row"], value_set=signatures["row"].combine_chunks())
    candidates = candidates.append_column("bands", signatures["bands"].take(index))
    rows = candidates["row"].to_numpy()
    shingles: list[pa.Array] = []
    for start, batch in batches(task.part, ["text"]):
        inside = rows[(rows >= start) & (rows < start + len(batch))] - start
        if len(inside):
            texts = batch.column("text").take(pa.array(inside))
            offsets, hashes = ngrams.shingle_sets(
                texts, shingle=task.scheme.shingle, words=task.scheme.words
            )
            shingles.append(pa.LargeListArray.from_arrays(offsets, pa.array(hashes)))
    table = candidates.append_column(
        "shingles", pa.chunked_array(shingles, pa.large_list(pa.uint64()))
    )
    for bucket in pc.unique(table["bucket"]).to_pylist():
        chosen = table.filter(pc.equal(table["bucket"], bucket)).drop_columns(["row", "bucket"])
        name = f"{task.part.source}-{task.part.name}.parquet"
        write_table(_bucket_folder(task.folder, bucket), name, chosen, "exchange")


def visit_components(task: VisitTask) -> None:
    """Visit the components of one bucket and write what is dropped."""
    folder = _bucket_folder(task.folder, task.bucket)
    columns = ["document", "component", "rank", "bands", "shingles"]
    tables = [
        read_columns(storage.join(folder, name), columns)
        for name in storage.list_folder(folder)
        if name.endswith(".parquet")
    ]
    table = pa.concat_tables(tables).sort_by([("component", "ascending"), ("rank", "ascending")])
    found = list(_visit_sorted(table.combine_chunks(), task.threshold))
    drops = pa.table(
        {
            "document": pa.array([drop.document for drop in found], pa.int64()),
            "keeper": pa.array([drop.keeper for drop in found], pa.int64()),
            "jaccard": pa.array([drop.jaccard for drop in found], pa.float64()),
        }
    )
    write_table(task.folder, f"{EXCHANGE}/found/{task.bucket:05d}.parquet", drops, "exchange")


def _visit_sorted(table: pa.Table, threshold: float) -> Iterator[Duplicate]:
    component = table["component"].to_numpy()
    documents = table["document"].to_numpy().astype(np.int64)
    bands = np.asarray(table["bands"].chunk(0).flatten()).reshape(len(component), -1)
    lists = table["shingles"].chunk(0)
    offsets = np.asarray(lists.offsets).astype(np.int64)
    hashes = np.asarray(lists.values)
    edges = np.flatnonzero(np.diff(component)) + 1
    for start, end in zip([0, *edges], [*edges, len(component)], strict=True):
        span = slice(start, end)
        yield from visit(documents[span], bands[span], offsets[start : end + 1], hashes, threshold)


Found = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]


def read_found(folder: str) -> Found:
    """Return documents, keepers and Jaccard indices of all buckets."""
    place = storage.join(folder, EXCHANGE, "found")
    tables = [
        read_columns(storage.join(place, name), ["document", "keeper", "jaccard"])
        for name in storage.list_folder(place)
    ]
    if not tables:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    table = pa.concat_tables(tables)
    return table["document"].to_numpy(), table["keeper"].to_numpy(), table["jaccard"].to_numpy()

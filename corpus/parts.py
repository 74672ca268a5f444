"""A part: one file of documents, with the verdict of the last stage beside it, row by row.

`extract` writes the documents; each later stage reads them together with the verdict of the stage
before it and writes a verdict of its own, in a file of the same name and with the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from corpus import storage
from corpus.document import DropReason
from corpus.errors import IntegrityError
from corpus.manifest import Counts, Manifest, Output
from corpus.stage_folder import describe_output

BATCH_ROWS = 1024  # documents in memory at a time: some 4 MB of web text
VERDICT_GROUP = 65_536  # rows in a row group of a verdict file


@dataclass(frozen=True, slots=True)
class Part:
    """One documents file and what has been decided about its rows so far.

    Attributes:
        source: Name of the source.
        name: Name of the part in its source, such as "part-00000-0000".
        documents: Path of the documents.
        sha256: Digest of the documents.
        rows: Documents in it.
        bytes: Size of the file.
        verdict: Path of the last stage's verdict, or None when every row is still in.
        verdict_sha256: Digest of that verdict, or "".
    """

    source: str
    name: str
    documents: str
    sha256: str
    rows: int
    bytes: int
    verdict: str | None = None
    verdict_sha256: str = ""


def parts(extract: Manifest, last: Manifest | None) -> list[Part]:
    """Return the parts of a build, in the order of the sources.

    Args:
        extract: The stage that wrote the documents.
        last: The last stage that wrote verdicts, or None when none has.
    """
    verdicts: dict[tuple[str, str], Output] = {}
    if last is not None:
        verdicts = {(s.source, s.name): s.output("verdict") for s in last.shards}
    found: list[Part] = []
    for shard in extract.shards:
        for output in shard.all("documents"):
            name = storage.name(output.path).removesuffix(".parquet")
            verdict = verdicts.get((shard.source, name))
            if last is not None and verdict is None:
                raise IntegrityError(
                    f"{last.stage} has no verdict for {shard.source}/{name}",
                    where=last.folder,
                    fix="Delete this folder and run the build again",
                )
            found.append(
                Part(
                    source=shard.source,
                    name=name,
                    documents=extract.path(output),
                    sha256=output.sha256,
                    rows=output.rows,
                    bytes=output.bytes,
                    verdict=last.path(verdict) if last and verdict else None,
                    verdict_sha256=verdict.sha256 if verdict else "",
                )
            )
    return found


def read_columns(path: str, columns: Sequence[str]) -> pa.Table:
    """Return columns of a whole Parquet file.

    Raises:
        IntegrityError: It is damaged.
    """
    with storage.open_arrow(path) as file:
        try:
            return pq.read_table(file, columns=list(columns))
        except (pa.ArrowInvalid, OSError) as error:
            raise damaged(path, error) from error


def damaged(path: str, error: Exception) -> IntegrityError:
    """Return the error of a file of ours that cannot be read."""
    return IntegrityError(
        "the file is damaged",
        where=path,
        why=str(error).splitlines()[0],
        fix="Delete the folder that it lies in and run the build again",
    )


def kept_rows(part: Part) -> npt.NDArray[np.bool_]:
    """Return which rows of a part are still in."""
    if part.verdict is None:
        return np.ones(part.rows, dtype=np.bool_)
    kept = read_columns(part.verdict, ["kept"])["kept"]
    mask = kept.fill_null(False).combine_chunks()
    return np.asarray(mask.to_numpy(zero_copy_only=False), dtype=np.bool_)


def standing_rows(part: Part) -> npt.NDArray[np.bool_]:
    """Return which rows are kept, or were until too little of them was left without their lines.

    What duplicates such a document has been dropped for it, in dedup, before it was.
    """
    if part.verdict is None:
        return kept_rows(part)
    return standing(read_columns(part.verdict, ["kept", "reason"]))


def standing(verdicts: pa.Table) -> npt.NDArray[np.bool_]:
    """Return the same for verdicts of dedup: rows of `kept` and `reason`."""
    lines = pa.compute.equal(verdicts["reason"], str(DropReason.DUPLICATE_LINES))
    mask = pa.compute.or_kleene(verdicts["kept"], lines).fill_null(False).combine_chunks()
    return np.asarray(mask.to_numpy(zero_copy_only=False), dtype=np.bool_)


def batches(
    part: Part, columns: Sequence[str], rows: npt.NDArray[np.int64] | None = None
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield the documents of a part in batches, each with the row that it starts at.

    Args:
        part: The part.
        columns: Of the documents.
        rows: Only the row groups are read that hold one of these, which ascend; all by default.

    Raises:
        IntegrityError: The file is damaged, or has other rows than the manifest says.
    """
    row = 0
    with storage.open_arrow(part.documents) as file:
        try:
            parquet = pq.ParquetFile(file)
            # Not across row groups: a batch of long documents would be as large as all of them.
            for group in range(parquet.num_row_groups):
                end = row + parquet.metadata.row_group(group).num_rows
                first, last = (0, 1) if rows is None else np.searchsorted(rows, [row, end])
                if first < last:
                    for batch in parquet.iter_batches(BATCH_ROWS, [group], list(columns)):
                        start, row = row, row + len(batch)
                        yield start, batch
                        del batch  # or it is held while the next one is read
                row = end
        except (pa.ArrowInvalid, OSError) as error:
            raise damaged(part.documents, error) from error
    if row != part.rows:
        raise IntegrityError(
            f"the file has {row} rows, the manifest says {part.rows}",
            where=part.documents,
            fix="Run corpus check",
        )


def read_cuts(part: Part) -> pa.ChunkedArray | None:
    """Return what is cut out of each document of a part, or None when nothing is cut at all."""
    if part.verdict is None:
        return None
    with storage.open_arrow(part.verdict) as file:
        try:
            names = pq.ParquetFile(file).schema_arrow.names
        except (pa.ArrowInvalid, OSError) as error:
            raise damaged(part.verdict, error) from error
    return read_columns(part.verdict, ["cuts"])["cuts"] if "cuts" in names else None


def write_table(folder: str, path: str, table: pa.Table, role: str) -> Output:
    """Write a small table as Parquet and return its entry in the manifest."""
    with storage.publish(storage.join(folder, path)) as temporary:
        pq.write_table(table, temporary, compression="zstd", row_group_size=VERDICT_GROUP)
    return describe_output(folder, path, role, table.num_rows)


def write_verdict(folder: str, part: Part, table: pa.Table) -> tuple[Output, Counts]:
    """Write a verdict beside a part's documents and count what became of the rows.

    Args:
        folder: The stage's folder.
        part: The part.
        table: As many rows as the part, with at least `id`, `kept` and `reason`.
    """
    if table.num_rows != part.rows:
        raise IntegrityError(
            f"{table.num_rows} verdicts for {part.rows} documents",
            where=f"{part.source}/{part.name}",
            fix="This is a defect of the program; please report it",
        )
    kept = table["kept"]
    counted = table.filter(kept.is_valid())
    reasons = pa.compute.value_counts(counted.filter(pa.compute.invert(counted["kept"]))["reason"])
    dropped = {str(entry["values"]): int(entry["counts"]) for entry in reasons.to_pylist()}
    counts = Counts(
        into=counted.num_rows,
        kept=int(pa.compute.sum(counted["kept"]).as_py() or 0),
        dropped=dict(sorted(dropped.items())),
    )
    output = write_table(folder, f"{part.source}/{part.name}.parquet", table, "verdict")
    return output, counts

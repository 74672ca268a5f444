"""The exchange between tasks: files in which each reader finds its own rows and reads no others.

An Arrow IPC file with one or more record batches for each partition that it has rows of. The
partition of each batch stands in the schema's metadata, so a reader needs the footer and its own
batches. Each writer makes one file, whatever the number of readers.

Rows with a hash go by its first bits. A writer chooses how many by its own rows, and a reader by
all rows, so what is written once suits a build of any size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus import storage
from corpus.manifest import Output
from corpus.parts import damaged
from corpus.stage_folder import describe_output
from corpus.text import sorting

# Rows of a batch of hashes, some 12 to 20 kB: a reader of few rows reads little more than these.
BATCH_ROWS = 1024
# Rows that a task reads and sorts at a time, in some 100 bytes each where all are equal to another.
TASK_ROWS = 2_000_000
# The same of texts and addresses, which come with identifiers, in some 250 bytes each.
COPY_ROWS = 500_000
_PARTITIONS = b"partitions"


def bits(rows: int, each: int) -> int:
    """Return how many first bits of a hash spread rows over groups of about `each`."""
    return max(0, -(-rows // each) - 1).bit_length()


def by_hash(hashes: npt.NDArray[np.uint64], bits: int) -> npt.NDArray[np.int64]:
    """Return the partition of each hash: its first bits."""
    if not bits:
        return np.zeros(len(hashes), dtype=np.int64)
    return (hashes >> np.uint64(64 - bits)).astype(np.int64)


def write(
    folder: str,
    path: str,
    table: pa.Table,
    partition: npt.NDArray[np.int64],
    role: str,
) -> Output:
    """Write rows, those of one partition together, and return the file's entry in the manifest.

    Args:
        folder: The step's folder.
        path: Relative to it.
        table: The rows.
        partition: Of each row.
        role: What the file is for.
    """
    if len(partition) and (partition[1:] < partition[:-1]).any():
        order = np.argsort(partition, kind="stable")
        partition = partition[order]
        table = table.take(pa.array(order))
    present, starts = np.unique(partition, return_index=True)
    names = ",".join(map(str, present.tolist()))
    schema = table.schema.with_metadata({_PARTITIONS: names})
    with (
        storage.publish(storage.join(folder, path)) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_file(file, schema) as writer,
    ):
        ends = [*starts[1:].tolist(), len(partition)] if len(partition) else []
        for start, end in zip(starts.tolist(), ends, strict=True):
            [batch] = table.slice(start, end - start).combine_chunks().to_batches()
            writer.write_batch(pa.record_batch(batch.columns, schema=schema))
    return describe_output(folder, path, role, len(partition))


def read(path: str, first: int, last: int) -> pa.Table:
    """Return the rows of the partitions `first` to `last` - 1.

    Raises:
        IntegrityError: The file is damaged.
    """
    return _read(path, None, first, last)


def read_all(path: str) -> pa.Table:
    """Return all rows. Raises `IntegrityError` when the file is damaged."""
    return read(path, 0, np.iinfo(np.int64).max)


def _read(
    path: str, cells: npt.NDArray[np.int64] | None, first: int = 0, last: int = 0
) -> pa.Table:
    """Return the rows of some partitions, or of a range of them."""
    with storage.open_arrow(path) as file:
        try:
            reader = pa.ipc.open_file(file)
            names = reader.schema.metadata[_PARTITIONS].decode()
            present = np.array(names.split(",") if names else [], dtype=np.int64)
            ranged = (present >= first) & (present < last)
            wanted = np.flatnonzero(ranged if cells is None else np.isin(present, cells))
            batches = [reader.get_batch(int(index)) for index in wanted]
            schema = reader.schema.remove_metadata()
            return pa.Table.from_batches(
                [pa.record_batch(batch.columns, schema=schema) for batch in batches], schema
            )
        except (pa.ArrowInvalid, OSError, KeyError, ValueError) as error:
            raise damaged(path, error) from error


def read_keys(path: str, hashes: str, keys: npt.NDArray[np.uint64]) -> pa.Table:
    """Return the rows of a few hashes.

    Args:
        path: The file.
        hashes: The column by which it was written (`by_hash`).
        keys: The hashes.

    Raises:
        IntegrityError: The file is damaged.
    """
    cells = sorting.distinct(by_hash(keys, written_bits(path)))
    table = _read(path, cells)
    return table.filter(pa.array(np.isin(table[hashes].to_numpy(), keys)))


def read_hashes(
    paths: Sequence[str], hashes: str, partition: int, bits: int
) -> Iterator[tuple[int, pa.Table]]:
    """Yield the number of each file and its rows whose hash begins with the bits of `partition`.

    Args:
        paths: The files.
        hashes: The column by which they were written (`by_hash`).
        partition: The value of the first bits.
        bits: How many first bits.
    """
    for number, path in enumerate(paths):
        written = written_bits(path)
        if written >= bits:
            table = read(path, partition << (written - bits), (partition + 1) << (written - bits))
        else:
            cell = partition >> (bits - written)
            table = read(path, cell, cell + 1)
            own = by_hash(table[hashes].to_numpy(), bits) == partition
            table = table.filter(pa.array(own))
        yield number, table


def written_bits(path: str) -> int:
    """Return by how many first bits a file of hashes was written: they end its name."""
    return int(storage.name(path).rsplit(".", 2)[-2])

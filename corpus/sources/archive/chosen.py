"""Records chosen from an archive, with the places that they have in it.

A file of chosen records (`corpus.fetching.pieces`) holds gzip members of one archive, one after the
other. Beside it lies a table: where each begins in the file (`start`) and in the archive
(`offset`). With it every record, and all damage, is told by its place in the archive, so that a
page has one identifier whether it was chosen or the whole archive was read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow.parquet as pq

from corpus import storage
from corpus.sources.archive.record import Damage, Record


def in_archive(items: Iterable[Record | Damage], offsets: str) -> Iterator[Record | Damage]:
    """Yield what a file of chosen records is read into, at the offsets of the archive.

    Args:
        items: In any order.
        offsets: Path or URL of the table.

    Raises:
        InputError: The table cannot be read.
    """
    with storage.open_arrow(offsets) as file:
        table = pq.read_table(file, columns=["start", "offset"])
    starts, places = table["start"].to_numpy(), table["offset"].to_numpy()
    for item in items:
        member = int(np.searchsorted(starts, item.offset, side="right")) - 1
        place = int(places[member]) + item.offset - int(starts[member])
        yield dataclasses.replace(item, offset=place)

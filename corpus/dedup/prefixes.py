"""The first shingles of the documents of large components, for `corpus.dedup.links`.

In: piles, the buckets of shingles that hold them. Out: `rarity`, how often shingles occur, from up
to 32 piles; for each pile `prefixes`, records (key, document, size, reach) of each document's first
shingles in the order of rarity, sorted into an exchange by the first bits of the key, and
`members`, its documents with their sizes and what ranks them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from corpus.dedup import exchange
from corpus.dedup.prefix import COUNTER_BITS, count_shingles, prefix_records
from corpus.dedup.sets import read_bucket, sets_of, shingle_paths
from corpus.manifest import Shard, read_manifest
from corpus.parts import read_columns, write_table

SAMPLED = 32  # piles in which shingles are counted
MEMBERS = ("document", "source", "score", "length", "id")


@dataclass(frozen=True)
class RarityTask:
    """The counting of shingles.

    Attributes:
        shingles: Folder of the shingles.
        piles: Buckets to count in.
    """

    name: str
    source: str
    key: str
    weight: int
    shingles: str
    piles: tuple[int, ...]
    folder: str = ""


@dataclass(frozen=True)
class PrefixesTask:
    """One pile.

    Attributes:
        shingles: Folder of the shingles.
        pile: The bucket.
        rarity: Folder of the counters.
        threshold: Least Jaccard index.
    """

    name: str
    source: str
    key: str
    weight: int
    shingles: str
    pile: int
    rarity: str
    threshold: float
    folder: str = ""


def sampled(piles: Sequence[int]) -> tuple[int, ...]:
    """Return the piles in which shingles are counted: spread evenly over all."""
    chosen = np.unique(np.linspace(0, len(piles) - 1, SAMPLED).astype(np.int64))
    return tuple(piles[index] for index in chosen.tolist())


def count_rarity(task: RarityTask) -> Shard:
    """Write how often shingles occur."""
    counters = np.zeros(1 << COUNTER_BITS, dtype=np.uint32)
    paths = shingle_paths(task.shingles)
    for pile in task.piles:
        for path in paths:
            count_shingles(sets_of(read_bucket([path], pile)).hashes, counters)
    table = pa.table({"count": counters})
    output = write_table(task.folder, f"{task.source}/{task.name}.parquet", table, "rarity")
    return Shard(task.name, task.source, task.key, (output,))


def write_prefixes(task: PrefixesTask) -> Shard:
    """Write the records of one pile; `details["ends"]` are its first and last document."""
    manifest = read_manifest(task.rarity)
    path = manifest.path(manifest.shards[0].output("rarity"))
    counters = read_columns(path, ["count"])["count"].to_numpy()
    pile = sets_of(read_bucket(shingle_paths(task.shingles), task.pile))
    component = pile.table["component"].to_numpy()
    keys, sets, reaches = prefix_records(
        pile.offsets, pile.hashes, component, counters, task.threshold
    )
    size = np.diff(pile.offsets)
    members = pile.table.select(list(MEMBERS)).append_column("size", pa.array(size))
    document = pile.table["document"].to_numpy()
    del pile
    bits = exchange.bits(len(keys), exchange.BATCH_ROWS)
    partition = exchange.by_hash(keys, bits)
    order = np.argsort(partition, kind="stable")
    partition = partition[order]
    sets = sets[order]
    records = pa.table(
        {
            "key": keys[order],
            "document": document[sets],
            "size": size[sets].astype(np.int32),
            "reach": np.minimum(reaches[order], np.iinfo(np.int32).max).astype(np.int32),
        }
    )
    del keys, sets, reaches, order
    name = f"{task.source}/{task.name}"
    outputs = (
        exchange.write(task.folder, f"{name}.{bits}.arrow", records, partition, "prefixes"),
        write_table(task.folder, f"{name}.parquet", members, "members"),
    )
    details = {"ends": document[[0, -1]].tolist()}
    return Shard(task.name, task.source, task.key, outputs, details=details)

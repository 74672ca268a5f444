"""The links of a WebText source: two steps, in which memory does not grow with the submissions.

In: dumps of submissions. Out, in `scores-<fingerprint>/`: the outbound links of each dump, sorted
into partitions by a hash of the address; in `links-<fingerprint>/`, for each partition, every
address with its karma and its fate. An address is in one partition, and so are its submissions of
all dumps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus import storage
from corpus.config import WebText
from corpus.engine import Engine
from corpus.manifest import Counts, Manifest, Shard, fingerprint
from corpus.progress import Progress
from corpus.sources import submissions, urls, webtext
from corpus.sources.crawl_index import surt_keys
from corpus.sources.listed_keys import KEYS_GROUP, KEYS_SCHEMA
from corpus.stage_folder import describe_output, make

SCORES, LINKS = "scores", "links"
VERSION = 2  # of the tables of these steps; raise it when the same dumps give other rows
# Of dumps in a partition: about a million outbound links, which take 0.7 kB each to sum.
_PARTITION_BYTES = 1 << 29
_MOST_PARTITIONS = 256
_PARTITION = pa.field("partition", pa.int32(), nullable=False)
_ROWS = 1 << 16  # in a row group
_SORTED_ROWS = 1 << 20  # of a dump that are sorted together: 150 bytes each
_CHUNK = 1 << 14  # rows that are held as Python has them


@dataclass(frozen=True)
class Dump:
    """One dump of submissions: path, stable name, size in bytes and digest."""

    path: str
    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class ScoresTask:
    """One dump to read."""

    name: str
    source: str
    key: str
    weight: int
    dump: Dump
    partitions: int
    folder: str = ""


@dataclass(frozen=True)
class LinksTask:
    """One partition to sum.

    Attributes:
        scores: Paths of the tables of all dumps.
        partition: Which of their rows.
        has_keys: Whether SURT keys are wanted, to look the linked addresses up in an index.
    """

    name: str
    source: str
    key: str
    weight: int
    scores: tuple[str, ...]
    partition: int
    min_karma: int
    blocked_domains: tuple[str, ...]
    has_keys: bool
    folder: str = ""


def make_links(
    name: str, kind: WebText, dumps: Sequence[Dump], output: str, engine: Engine, progress: Progress
) -> Manifest:
    """Say of every address in a source's dumps whether it is linked.

    Returns:
        The step `links`: its shards have a table of `webtext.LINKS_SCHEMA` each (role "links"), and
        the SURT keys of the linked addresses, sorted (role "keys"), where a crawl is named.
    """
    total = sum(dump.bytes for dump in dumps)
    partitions = min(-(-total // _PARTITION_BYTES), _MOST_PARTITIONS) or 1
    tasks = [
        ScoresTask(
            name=f"part-{number:05d}",
            source=name,
            key=fingerprint(SCORES, VERSION, dump.name, dump.sha256, partitions),
            weight=dump.bytes + 1,
            dump=dump,
            partitions=partitions,
        )
        for number, dump in enumerate(dumps)
    ]
    scores = make(output, SCORES, scores_shard, tasks, engine, progress)
    tables = [shard.output("scores") for shard in scores.shards]
    rules = (kind.min_karma, kind.blocked_domains)
    has_keys = kind.commoncrawl is not None
    digests = [table.sha256 for table in tables]
    sums = [
        LinksTask(
            name=f"part-{partition:05d}",
            source=name,
            key=fingerprint(LINKS, VERSION, digests, rules, partition, has_keys),
            weight=sum(table.bytes for table in tables) // partitions + 1,
            scores=tuple(scores.path(table) for table in tables),
            partition=partition,
            min_karma=rules[0],
            blocked_domains=rules[1],
            has_keys=has_keys,
        )
        for partition in range(partitions)
    ]
    return make(output, LINKS, links_shard, sums, engine, progress, uses=[scores])


def scores_shard(task: ScoresTask) -> Shard:
    """Read a dump; write its outbound links, those of a partition together, and count the rest."""
    tally = submissions.Tally()
    path = f"{task.source}/{task.name}.parquet"
    rows = 0
    with storage.publish(storage.join(task.folder, path)) as temporary:
        schema = submissions.SUBMISSIONS_SCHEMA.append(_PARTITION)
        with pq.ParquetWriter(temporary, schema, compression="zstd") as file:
            read = submissions.read(task.dump.path, name=task.dump.name, tally=tally)
            for batch in _gathered(read):
                rows += batch.num_rows
                for table in _by_partition(batch, task.partitions):
                    file.write_table(table, row_group_size=_ROWS)
    output = describe_output(task.folder, path, "scores", rows)
    counts = Counts(tally.read, rows, dict(sorted(tally.others.items())))
    return Shard(task.name, task.source, task.key, (output,), counts)


def _gathered(batches: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yield batches together, so that the rows of a partition are many."""
    held: list[pa.Table] = []
    for batch in batches:
        held.append(batch)
        if sum(table.num_rows for table in held) >= _SORTED_ROWS:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)


def _by_partition(batch: pa.Table, partitions: int) -> Iterator[pa.Table]:
    hashes = (urls.page_hash(url.as_py()) % partitions for url in batch["url"])
    batch = batch.append_column(_PARTITION, pa.array(hashes, pa.int32()))
    if partitions == 1:
        yield batch
        return
    batch = batch.sort_by("partition")
    ends = np.searchsorted(batch["partition"].to_numpy(), np.arange(partitions + 1))
    for start, end in pairwise(ends.tolist()):
        if end > start:
            yield batch.slice(start, end - start)


def links_shard(task: LinksTask) -> Shard:
    """Sum the karma of every address of a partition."""
    rows = pa.concat_tables(
        [submissions.SUBMISSIONS_SCHEMA.empty_table()]
        + [table for path in task.scores for table in _partition(path, task.partition)]
    )
    table, repeated = webtext.fates(
        rows, min_karma=task.min_karma, blocked_domains=task.blocked_domains
    )
    path = f"{task.source}/{task.name}.parquet"
    with storage.publish(storage.join(task.folder, path)) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    outputs = [describe_output(task.folder, path, "links", table.num_rows)]
    if task.has_keys:
        keys = _surt_keys(table.filter(pc.equal(table["fate"], webtext.LINKED)))
        keys_path = f"{task.source}/keys-{task.name}.parquet"
        with storage.publish(storage.join(task.folder, keys_path)) as temporary:
            pq.write_table(keys, temporary, compression="zstd", row_group_size=KEYS_GROUP)
        outputs.append(describe_output(task.folder, keys_path, "keys", keys.num_rows))
    found = {str(e["values"]): int(e["counts"]) for e in pc.value_counts(table["fate"]).to_pylist()}
    kept = found.pop(webtext.LINKED, 0)
    counts = Counts(table.num_rows, kept, dict(sorted(found.items())))
    measures = {"submissions": rows.num_rows, "repeated_submissions": repeated}
    return Shard(task.name, task.source, task.key, tuple(outputs), counts, measures)


def _partition(path: str, partition: int) -> Iterator[pa.Table]:
    """Yield the rows of a partition; only their row groups are read."""
    columns = submissions.SUBMISSIONS_SCHEMA.names
    with storage.open_arrow(path) as handle:
        file = pq.ParquetFile(handle)
        place = file.schema_arrow.get_field_index("partition")
        for group in range(file.num_row_groups):
            if file.metadata.row_group(group).column(place).statistics.min == partition:
                yield file.read_row_group(group, columns=columns, use_threads=False)


def _surt_keys(linked: pa.Table) -> pa.Table:
    """Return the SURT keys that an index may have for linked addresses, sorted.

    They are those of the address as submitted and as its key has it: without what only says where a
    visitor came from, which an index keeps if the crawler followed such a link.
    """
    tables = [KEYS_SCHEMA.empty_table()]
    for batch in linked.to_batches(max_chunksize=_CHUNK):
        rows = [
            (surt, page)
            for url, original, page in zip(
                *(batch.column(name).to_pylist() for name in ("url", "original", "page")),
                strict=True,
            )
            for surt in surt_keys(original) | surt_keys(f"http://{url}")
        ]
        columns = zip(*rows, strict=True) if rows else ((), ())
        tables.append(pa.table([list(column) for column in columns], schema=KEYS_SCHEMA))
    return pa.concat_tables(tables).sort_by([("surt", "ascending"), ("page", "ascending")])


def linked_urls(paths: Sequence[str]) -> webtext.LinkedUrls:
    """Return the linked addresses of the tables of a source."""
    return _linked_urls(tuple(paths))


@lru_cache(maxsize=1)  # the tasks of a source are many, and each asks for the same
def _linked_urls(paths: tuple[str, ...]) -> webtext.LinkedUrls:
    pages: list[npt.NDArray[np.uint64]] = [np.empty(0, np.uint64)]
    for path in paths:
        with storage.open_arrow(path) as file:
            table = pq.read_table(file, columns=["page", "fate"])
        pages.append(table.filter(pc.equal(table["fate"], webtext.LINKED))["page"].to_numpy())
    return webtext.LinkedUrls(np.concatenate(pages))

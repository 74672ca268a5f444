"""The pages that a recipe names, looked up in the index of a snapshot: a step of `crawl`.

In: the index of each snapshot, of which only what can matter is fetched. Out: a table of places
(archive, offset, length) in `index-<fingerprint>/`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from corpus import storage
from corpus.config import Pages
from corpus.errors import FetchError, InputError
from corpus.manifest import Counts, Manifest, Shard, fingerprint
from corpus.sources import commoncrawl, index_lines, index_queries, index_table
from corpus.sources.crawl_index import Selection, places
from corpus.stage_folder import describe_output

if TYPE_CHECKING:
    from corpus.fetching.session import Session

STEP = "index"
VERSION = 2  # of the table of places; raise it when the same index gives other rows
_SUBSET = "/subset=warc/"  # of the columnar index: the pages


@dataclass(frozen=True)
class IndexTask:
    """One file of an index to look in.

    Attributes:
        path: Path or URL of the file.
        blocks: Of a CDXJ file, the blocks that can hold wanted lines; none for a Parquet file.
        queries: Of a query server, what it is asked.
        selection: Which pages.
        limit: Most pages.
        session: How to ask.
    """

    name: str
    source: str
    key: str
    weight: int
    path: str
    blocks: tuple[tuple[int, int], ...]
    selection: Selection
    seed: int
    limit: int | None
    session: Session
    queries: tuple[str, ...] = ()
    folder: str = ""


@dataclass(frozen=True)
class Wanted:
    """What is looked for in an index.

    Attributes:
        selection: Which pages.
        limit: Most pages of a snapshot.
        digest: Of both: what the answer depends on beside the index.
    """

    selection: Selection
    limit: int | None
    digest: str


def selected(pages: Pages, archives: Sequence[str] | None) -> Wanted:
    """Return what a recipe selects, in none but these archives.

    Raises:
        InputError: An address, host or domain is none.
    """
    selection = Selection(
        pages.urls,
        pages.hosts,
        pages.domains,
        pages.languages,
        pages.mime,
        None if archives is None else frozenset(archives),
    )
    selection.check()
    chosen = pages.model_dump(mode="json")
    return Wanted(selection, pages.limit, fingerprint(chosen, archives and sorted(archives)))


def listed(keys: Manifest) -> Wanted:
    """Return the pages whose SURT keys are the outputs "keys" of a step."""
    files = [(keys.path(file), file.sha256) for shard in keys.shards for file in shard.all("keys")]
    paths = tuple(path for path, _ in files)
    selection = Selection((), (), (), (), (), None, listed=paths)
    return Wanted(selection, None, fingerprint([digest for _, digest in files]))


def table_tasks(
    name: str, base_url: str, files: Sequence[str], wanted: Wanted, seed: int, how: Session
) -> list[IndexTask]:
    """Return a task for each file of the columnar index of a snapshot.

    Args:
        name: Name of the source.
        base_url: Where the crawl is.
        files: Paths of the index, relative to it.
        wanted: Which pages.
        seed: The recipe's seed.
        how: How to ask.

    Raises:
        InputError: The index has no table of pages.
    """
    tables = [path for path in files if _SUBSET in path and path.endswith(".parquet")]
    if not tables:
        raise InputError(f"the index has no files under {_SUBSET}", where=base_url)
    found = [(commoncrawl.address(base_url, path), ()) for path in tables]
    return list(_tasks(name, found, wanted, seed, how))


def line_tasks(
    name: str,
    base_url: str,
    snapshot: str,
    cluster: str,
    wanted: Wanted,
    seed: int,
    how: Session,
) -> list[IndexTask]:
    """Return a task for each file of the CDXJ index of a snapshot that can hold wanted lines.

    Args:
        name: Name of the source.
        base_url: Where the crawl is.
        snapshot: Its id.
        cluster: Local path or URL of the fetched `cluster.idx`.
        wanted: Which pages, by address.
        seed: The recipe's seed.
        how: How to ask.

    Raises:
        InputError: `cluster.idx` is damaged.
    """
    folder = commoncrawl.address(base_url, index_folder(snapshot))
    found: dict[str, list[tuple[int, int]]] = {}
    with storage.open_input(cluster) as lines:
        for block in index_lines.blocks(lines, wanted.selection, where=f"{folder}/cluster.idx"):
            found.setdefault(block.file, []).append((block.offset, block.length))
    files = [(f"{folder}/{file}", tuple(blocks)) for file, blocks in sorted(found.items())]
    return list(_tasks(name, files, wanted, seed, how))


def query_tasks(
    name: str, server: str, snapshot: str, wanted: Wanted, seed: int, how: Session
) -> list[IndexTask]:
    """Return the task of asking the query server of a snapshot's index.

    Args:
        name: Name of the source.
        server: Where the server is.
        snapshot: Id of the snapshot.
        wanted: Which pages, by address.
        seed: The recipe's seed.
        how: How to ask.
    """
    asked = tuple(index_queries.queries(wanted.selection, server, snapshot))
    task = next(_tasks(name, [(server, ())], wanted, seed, how))
    key = fingerprint(task.key, asked)
    return [dataclasses.replace(task, key=key, queries=asked)]


def index_folder(snapshot: str) -> str:
    """Return the folder of a snapshot's CDXJ index, relative to the base URL."""
    return f"cc-index/collections/{snapshot}/indexes"


def _tasks(
    name: str,
    found: Sequence[tuple[str, tuple[tuple[int, int], ...]]],
    wanted: Wanted,
    seed: int,
    how: Session,
) -> Iterator[IndexTask]:
    for number, (path, blocks) in enumerate(found):
        # A published index never changes; that of a local mirror may.
        stamp = "" if storage.is_remote(path) else storage.stamp(path)
        key = fingerprint(STEP, VERSION, path, stamp, blocks, wanted.digest, seed)
        part = f"part-{number:05d}"
        yield IndexTask(part, name, key, 1, path, blocks, wanted.selection, seed, wanted.limit, how)


def index_shard(task: IndexTask) -> Shard:
    """Look in one file of an index, and write down the places of the wanted pages."""
    table = _answers(task) if task.queries else _looked(task)
    path = f"{task.source}/{task.name}.parquet"
    with storage.publish(storage.join(task.folder, path)) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    output = describe_output(task.folder, path, "places", table.num_rows)
    counts = Counts(table.num_rows, table.num_rows)
    return Shard(task.name, task.source, task.key, (output,), counts)


def _looked(task: IndexTask) -> pa.Table:
    from corpus.fetching.ranges import Changed, RangeReader

    for _ in range(task.session.attempts):
        reader = RangeReader(task.path, task.session)
        try:
            if task.blocks:
                return _lines(task, reader)
            return index_table.read(reader, task.selection, seed=task.seed, limit=task.limit)
        except Changed:
            reader.tries.note("changed")
    raise FetchError("the file keeps changing while it is read", where=task.path)


def _answers(task: IndexTask) -> pa.Table:
    """Ask the query server; what two questions have in common counts once."""
    from corpus.fetching.query import ask

    rows: dict[tuple[str, str, int, int], None] = {}
    for query in task.queries:
        counted = ask(f"{query}&showNumPages=true", task.session)
        for page in range(index_queries.number_of_pages(counted, where=query)):
            where = f"{query}&page={page}"
            lines = ask(where, task.session) or b""
            rows |= dict.fromkeys(index_lines.wanted(lines, task.selection, where=where))
    return places(list(rows), task.selection, seed=task.seed, limit=task.limit, where=task.path)


def _lines(task: IndexTask, reader: index_table.Ranges) -> pa.Table:
    rows: list[tuple[str, str, int, int]] = []
    for group in _neighbours(task.blocks):
        start, end = group[0][0], sum(group[-1])
        data = reader.read(start, end)
        for offset, length in group:
            where = f"{task.path}, byte {offset}"
            block = data[offset - start : offset - start + length]
            try:
                rows += index_lines.rows(block, task.selection, where=where)
            except InputError:  # a bit may have turned on the way
                again = reader.read_agreed(offset, offset + length)
                rows += index_lines.rows(again, task.selection, where=where)
    return places(rows, task.selection, seed=task.seed, limit=task.limit, where=task.path)


def _neighbours(blocks: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Return the blocks in runs that lie one behind the other, of a few megabytes each."""
    from corpus.fetching.pieces import groups

    return groups(blocks)

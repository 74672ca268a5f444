"""One file of a crawl made present: fetched, put together from its pages, made, or looked at.

In: a `CrawlTask`, made by `corpus.stages.crawl`. Out: a shard with the file's path and digest.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from corpus import storage
from corpus.config import Stdlib
from corpus.errors import InputError
from corpus.manifest import Counts, Output, Shard, fingerprint
from corpus.stage_folder import describe_output

if TYPE_CHECKING:
    from corpus.fetching.session import Session

OFFSETS = "offsets"  # role of the table that says where in its archive each page of a file was


@dataclass(frozen=True)
class CrawlTask:
    """One file to fetch or to look at, or one miniature source to make.

    Attributes:
        path: Path or URL of the file; "" for a miniature source.
        role: "input", or "submissions" for what only tells which pages count.
        fetched: Whether the file is copied to the stage's folder.
        limit_bytes: Fetch only the whole records in so many bytes.
        limit_records: Fetch only so many pages.
        pieces: Fetch only the records at these places: offset and length of each, as int64.
        missing: Addresses to account for that the index does not have; nothing is fetched.
        make: A miniature source to make instead, with its seed.
        chosen: For a table of links at `path`: that of the pages which are fetched.
        listing: Of a list that is fetched: what in it has to be right, or it is not kept.
    """

    name: str
    source: str
    key: str
    weight: int
    session: Session
    path: str = ""
    role: str = "input"
    fetched: bool = False
    limit_bytes: int | None = None
    limit_records: int | None = None
    pieces: bytes = b""
    missing: tuple[str, ...] = ()
    make: Stdlib | None = None
    seed: int = 0
    listing: Literal["", "paths", "blocks"] = ""
    chosen: str = ""
    folder: str = ""

    @property
    def output(self) -> str:
        """The build's output folder."""
        return self.folder.rpartition("/")[0]


def crawl_shard(task: CrawlTask) -> Shard:
    """Fetch, make or look at one file."""
    if task.missing:
        lost = {"not_in_index": len(task.missing)}
        counts, absent = Counts(len(task.missing), 0, lost), {"not_in_index": list(task.missing)}
        return Shard(task.name, task.source, task.key, (), counts, {"bytes": 0}, absent)
    if task.chosen:
        return _fates(task)
    details: dict[str, str] = {}
    if task.make is not None:
        outputs = _make(task, task.make)
    elif task.pieces:
        outputs = _fetch_pages(task)
    elif task.fetched:
        outputs = (_fetch(task),)
    elif storage.is_remote(task.path):
        # An object of a store is read where it lies; its ETag stands for its bytes.
        digest = fingerprint(storage.stamp(task.path))
        outputs = (Output(task.role, task.path, storage.size(task.path), digest),)
    else:
        details["stamp"] = storage.stamp(task.path)
        outputs = (Output(task.role, task.path, *storage.digest(task.path)),)
    files = sum(output.role != OFFSETS for output in outputs)
    measures = {"bytes": sum(output.bytes for output in outputs)}
    counts = Counts(files, files)
    return Shard(task.name, task.source, task.key, outputs, counts, measures, details)


def _fates(task: CrawlTask) -> Shard:
    """Write what became of every address that was submitted."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from corpus.crawl import chosen

    table = chosen.fates(task.path, task.chosen)
    path = f"{task.source}/{task.name}.parquet"
    with storage.publish(storage.join(task.folder, path)) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    output = describe_output(task.folder, path, task.role, table.num_rows)
    fates = {str(e["values"]): int(e["counts"]) for e in pc.value_counts(table["fate"]).to_pylist()}
    kept = fates.pop("linked", 0)
    counts = Counts(table.num_rows, kept, dict(sorted(fates.items())))
    return Shard(task.name, task.source, task.key, (output,), counts, {"bytes": output.bytes})


@contextmanager
def _landing(task: CrawlTask, path: str) -> Iterator[Path]:
    """Yield the local path that a file is fetched to, and bring it to the stage's folder."""
    from corpus.fetching.keeper import scratch_folder

    target = storage.join(task.folder, path)
    # A store cannot hold a partial file to go on with: that lies on this machine until it is whole.
    remote = storage.is_remote(target)
    local = scratch_folder(task.output) / storage.name(task.folder) / path
    local = local if remote else Path(target)
    local.parent.mkdir(parents=True, exist_ok=True)
    yield local
    if remote:
        storage.link(str(local), target)
        local.unlink()


def _fetch(task: CrawlTask) -> Output:
    path = f"{task.source}/{task.name}-{storage.name(task.path)}"
    with _landing(task, path) as local:
        if task.listing:
            _fetch_list(task, local)
        else:
            _fetch_to(task, local)
    return describe_output(task.folder, path, task.role)


def _fetch_to(task: CrawlTask, local: Path) -> str:
    """Fetch a file and return its SHA-256."""
    from corpus.fetching import fetch

    session = task.session
    fetched = fetch.fetch(
        task.path,
        str(local),
        limit_bytes=task.limit_bytes,
        limit_records=task.limit_records,
        politeness=session.politeness,
        user_agent=session.user_agent,
        timeout=session.timeout,
        attempts=session.attempts,
    )
    return fetched.sha256


def _fetch_list(task: CrawlTask, local: Path) -> None:
    """Fetch a list and look through it: what is kept is not fetched again, so it has to be right.

    Raises:
        InputError: It is no such list; nothing is kept.
    """
    from corpus.fetching.ranges import damaged_on_the_way
    from corpus.sources import commoncrawl, index_lines

    copies = {_fetch_to(task, local)}
    # The list of blocks has no checksum: over plain http it comes until two copies agree.
    if task.listing == "blocks" and task.path.startswith("http://"):
        again = local.with_name(f"{local.name}.again")
        while (digest := _fetch_to(task, again)) not in copies:
            copies.add(digest)
            if len(copies) > task.session.attempts:
                raise damaged_on_the_way(task.path, len(copies))
        again.replace(local)
    try:
        if task.listing == "paths":
            commoncrawl.parse_list(local.read_bytes(), where=task.path)
        else:
            with local.open("rb") as lines:
                index_lines.check(lines, where=task.path)
    except InputError:
        local.unlink()
        raise


def _fetch_pages(task: CrawlTask) -> tuple[Output, Output]:
    """Fetch the chosen members of an archive, and write down where in it they were."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from corpus.fetching.pieces import fetch_pieces

    pieces = np.frombuffer(task.pieces, dtype=np.int64).reshape(-1, 2)
    path = f"{task.source}/{task.name}-{storage.name(task.path)}"
    with _landing(task, path) as local:
        listed = [(int(offset), int(length)) for offset, length in pieces]
        fetch_pieces(task.path, str(local), listed, session=task.session)
    ends = list(accumulate(length for _, length in listed))
    starts = [end - length for end, (_, length) in zip(ends, listed, strict=True)]
    table = pa.table({"start": starts, "offset": pieces[:, 0], "length": pieces[:, 1]})
    beside = f"{path}.offsets.parquet"
    with storage.publish(storage.join(task.folder, beside)) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    return (
        describe_output(task.folder, path, task.role),
        describe_output(task.folder, beside, OFFSETS, table.num_rows),
    )


def _make(task: CrawlTask, make: Stdlib) -> tuple[Output, ...]:
    from corpus.sources import benchmarks, stdlib

    known = benchmarks.layouts(None, ("text",), None)
    quote = [] if make.quote is None else [e.text for e in benchmarks.read(make.quote, known=known)]
    outputs: list[Output] = []
    with tempfile.TemporaryDirectory(prefix=storage.TEMPORARY_PREFIX) as scratch:
        made = stdlib.write(make.make, Path(scratch), seed=task.seed, pages=make.pages, quote=quote)
        for file in made:
            path = f"{task.source}/{task.name}-{file.name}"
            storage.link(str(file), storage.join(task.folder, path))
            outputs.append(describe_output(task.folder, path, task.role))
    return tuple(outputs)

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

from corpus import storage
from corpus.config import Crawl, Stdlib
from corpus.manifest import Counts, Output, Shard, fingerprint
from corpus.stage_folder import describe_output

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
    """

    name: str
    source: str
    key: str
    weight: int
    settings: Crawl
    path: str = ""
    role: str = "input"
    fetched: bool = False
    limit_bytes: int | None = None
    limit_records: int | None = None
    pieces: bytes = b""
    missing: tuple[str, ...] = ()
    make: Stdlib | None = None
    seed: int = 0
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


@contextmanager
def _landing(task: CrawlTask, path: str) -> Iterator[Path]:
    """Yield the local path that a file is fetched to, and bring it to the stage's folder."""
    from corpus.fetching.session import scratch_folder

    target = storage.join(task.folder, path)
    # A store cannot hold a partial file to go on with: that lies on this machine until it is whole.
    remote = storage.is_remote(target)
    local = scratch_folder(task.folder) / path if remote else Path(target)
    local.parent.mkdir(parents=True, exist_ok=True)
    yield local
    if remote:
        storage.link(str(local), target)
        local.unlink()


def _fetch(task: CrawlTask) -> Output:
    from corpus.fetching import fetch
    from corpus.fetching.session import make_session

    session = make_session(task.settings, task.output)
    path = f"{task.source}/{task.name}-{storage.name(task.path)}"
    with _landing(task, path) as local:
        fetch.fetch(
            task.path,
            str(local),
            limit_bytes=task.limit_bytes,
            limit_records=task.limit_records,
            politeness=session.politeness,
            user_agent=session.user_agent,
            timeout=session.timeout,
            attempts=session.attempts,
        )
    return describe_output(task.folder, path, task.role)


def _fetch_pages(task: CrawlTask) -> tuple[Output, Output]:
    """Fetch the chosen members of an archive, and write down where in it they were."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from corpus.fetching.pieces import fetch_pieces
    from corpus.fetching.session import make_session

    session = make_session(task.settings, task.output)
    pieces = np.frombuffer(task.pieces, dtype=np.int64).reshape(-1, 2)
    path = f"{task.source}/{task.name}-{storage.name(task.path)}"
    with _landing(task, path) as local:
        listed = [(int(offset), int(length)) for offset, length in pieces]
        fetch_pieces(task.path, str(local), listed, session=session)
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

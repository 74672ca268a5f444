"""crawl: every input file of every source, present and known by its digest.

In: the recipe. Out: one shard a file, in `crawl-<fingerprint>/<source>/` for what is downloaded or
made, and where it lies for local files and objects of a store. Nothing is read here but bytes, and
the lists and indexes that say which files and pages there are.
"""

from __future__ import annotations

import platform
import shutil
import time
import zlib
from typing import TYPE_CHECKING

from corpus import storage
from corpus.config import CommonCrawl, Recipe, Source, Stdlib, WebText
from corpus.crawl.page_tasks import CrawlRun, linked_tasks, page_tasks, sample
from corpus.crawl.patterns import expand, whole_path
from corpus.crawl.shard import CrawlTask, crawl_shard
from corpus.engine import Engine
from corpus.errors import InputError
from corpus.manifest import Manifest, fingerprint
from corpus.progress import Progress
from corpus.stage_folder import make
from corpus.tables import size

if TYPE_CHECKING:
    from corpus.fetching.keeper import Keeper
    from corpus.fetching.session import Session

STAGE = "crawl"
# Bytes that a file which is fetched whole is taken to have, for the progress: an archive of Common
# Crawl, its plain text, and anything else.
_USUAL_BYTES = {"warc": 10**9, "wet": 10**8, None: 10**8}


def run(recipe: Recipe, output: str, engine: Engine, progress: Progress) -> Manifest:
    """Make every input file present.

    Raises:
        InputError: A file is not there, a pattern matches none, or no page is of a selection.
        FetchError: A download failed for good.
    """
    from corpus.fetching.keeper import make_keeper, scratch_folder
    from corpus.fetching.session import make_session

    keeper = make_keeper(output, engine)
    status = _Status(keeper)
    progress.watch(status)
    this = CrawlRun(recipe, output, engine, progress, make_session(recipe.crawl, keeper))
    tasks: list[CrawlTask] = []
    for name, source in recipe.sources.items():
        kind = getattr(source, source.kind)
        if isinstance(kind, Stdlib):
            tasks.append(_make_task(name, kind, this))
        elif isinstance(kind, CommonCrawl) and kind.pages is not None:
            tasks += page_tasks(this, name, kind, kind.pages)
        elif isinstance(kind, WebText) and kind.commoncrawl is not None:
            dumps = [
                _file_task(name, index, path, "submissions", source, this.session)
                for index, path in enumerate(expand(name, kind.submissions))
            ]
            tasks += linked_tasks(this, name, kind, kind.commoncrawl, dumps)
        else:
            if isinstance(kind, CommonCrawl):
                files = [(path, "input") for path in _crawl_files(this, name, kind)]
            else:
                files = _listed(name, source)
            tasks += [
                _file_task(name, index, path, role, source, this.session)
                for index, (path, role) in enumerate(files)
            ]
    manifest = make(output, STAGE, crawl_shard, tasks, engine, progress, uses=this.steps)
    status.end()
    keeper.clear()
    shutil.rmtree(scratch_folder(output), ignore_errors=True)
    return manifest


class _Status:
    """Says what has been fetched so far, how fast, and what went wrong on the way."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._began = time.monotonic()
        self._last: str | None = None

    def __call__(self) -> str:
        return self._now() if self._last is None else self._last

    def end(self) -> None:
        """Say the same from now on: what is kept goes away."""
        self._last = self._now()

    def _now(self) -> str:
        transfers = self._keeper.read()
        if not transfers.requests:
            return ""
        rate = size(int(transfers.bytes / max(time.monotonic() - self._began, 1e-3)))
        faults = ", ".join(f"{kind} {number}" for kind, number in transfers.faults.items())
        return f"{size(transfers.bytes)} fetched at {rate}/s, faults: {faults or 'none'}"


def _make_task(name: str, make: Stdlib, this: CrawlRun) -> CrawlTask:
    seed = this.recipe.seed
    quote = storage.digest(make.quote)[1] if make.quote else ""
    # Another Python has other documentation; another zlib packs it into other bytes.
    versions = (platform.python_version(), zlib.ZLIB_RUNTIME_VERSION)
    key = fingerprint(STAGE, "stdlib", name, make.make, make.pages, quote, seed, versions)
    return CrawlTask("part-00000", name, key, 1, this.session, make=make, seed=seed)


def _file_task(
    name: str,
    index: int,
    path: str,
    role: str,
    source: Source,
    session: Session,
) -> CrawlTask:
    kind = source.commoncrawl
    limits = (kind.limit_bytes, kind.limit_records) if kind else (None, None)
    over_http = path.startswith(("http://", "https://"))
    # A crawl's files are fetched from wherever they are; other objects of a store, and all local
    # files, are read where they lie.
    fetched = over_http or (
        kind is not None and (storage.is_remote(path) or limits != (None, None))
    )
    stamp = "" if fetched else storage.stamp(path)
    return CrawlTask(
        name=f"part-{index:05d}",
        source=name,
        key=fingerprint(STAGE, name, path, role, limits, stamp),
        weight=_usual(kind) if fetched else storage.size(path) + 1,
        session=session,
        path=path,
        role=role,
        fetched=fetched,
        limit_bytes=limits[0],
        limit_records=limits[1],
    )


def _usual(kind: CommonCrawl | None) -> int:
    usual = _USUAL_BYTES[kind.kind if kind else None]
    limit = kind.limit_bytes if kind else None
    return usual if limit is None else min(limit, usual)


def _crawl_files(this: CrawlRun, name: str, kind: CommonCrawl) -> list[str]:
    """Return the addresses of the chosen files of a crawl."""
    from corpus.sources import commoncrawl

    for path in kind.paths:
        if not commoncrawl.is_path(path):
            raise InputError(
                f"{path!r} is not a path relative to base_url",
                where=f"sources.{name}.commoncrawl.paths",
                fix="Give it as it stands in warc.paths.gz: crawl-data/CC-MAIN-.../....warc.gz",
            )
    chosen = list(dict.fromkeys(kind.paths))
    for snapshot in kind.snapshots:
        chosen += sample(this, name, kind, snapshot)
    chosen = list(dict.fromkeys(chosen))  # a snapshot may be named twice
    return [whole_path(commoncrawl.address(kind.base_url, path)) for path in chosen]


def _listed(name: str, source: Source) -> list[tuple[str, str]]:
    """Return the files of a source that names them, each with its role."""
    if isinstance(source.webtext, WebText):
        submissions = expand(name, source.webtext.submissions)
        pages = expand(name, source.webtext.pages or ())
        return [(p, "submissions") for p in submissions] + [(p, "input") for p in pages]
    patterns = source.documents.paths if source.documents else getattr(source, source.kind)
    files = expand(name, patterns)
    if source.wikipedia is not None:
        from corpus.sources import wikipedia

        # A pattern for the files of a dump matches the lists of streams beside them as well.
        files = [path for path in files if not wikipedia.is_index(storage.name(path))]
    return [(path, "input") for path in files]

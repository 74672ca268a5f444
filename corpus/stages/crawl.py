"""crawl: every input file of every source, present and known by its digest.

In: the recipe. Out: one shard a file, in `crawl-<fingerprint>/<source>/` for what is downloaded or
made, and where it lies for local files and objects of a store. Nothing is read here but bytes, and
the lists and indexes that say which files and pages there are.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import time
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from corpus import storage
from corpus.config import CommonCrawl, Pages, Recipe, Source, Stdlib, WebText
from corpus.crawl_shard import CrawlTask, crawl_shard
from corpus.engine import Engine
from corpus.errors import InputError
from corpus.manifest import Manifest, fingerprint
from corpus.patterns import expand, whole_path
from corpus.progress import Progress
from corpus.stage_folder import make
from corpus.tables import size

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from corpus.fetching.keeper import Keeper
    from corpus.fetching.session import Session

STAGE = "crawl"
_LISTS = 2  # version of the check of lists; raised, none that was kept before is used
# Bytes that a file which is fetched whole is taken to have, for the progress: an archive of Common
# Crawl, its plain text, and anything else.
_USUAL_BYTES = {"warc": 10**9, "wet": 10**8, None: 10**8}


@dataclass(frozen=True)
class _Run:
    """What the parts of this stage need.

    Attributes:
        session: How to ask.
        steps: Manifests of the steps that were made, for `corpus clean`.
    """

    recipe: Recipe
    output: str
    engine: Engine
    progress: Progress
    session: Session
    steps: list[Manifest] = field(default_factory=list)

    def fetched(self, source: str, url: str, listing: Literal["paths", "blocks"]) -> str:
        """Return the path of a copy of a list, which is fetched once."""
        # A published list never changes; that of a local mirror may.
        stamp = "" if storage.is_remote(url) else storage.stamp(url)
        key = fingerprint("paths", _LISTS, url, stamp)
        task = CrawlTask(
            "list", source, key, 1, self.session, path=url, fetched=True, listing=listing
        )
        manifest = make(self.output, "paths", crawl_shard, [task], self.engine, self.progress)
        self.steps.append(manifest)
        return manifest.path(manifest.shards[0].outputs[0])

    def listed(self, source: str, kind: CommonCrawl, snapshot: str, what: str) -> list[str]:
        """Return the paths in one of a snapshot's lists."""
        from corpus.sources import commoncrawl

        return commoncrawl.paths(
            snapshot,
            base_url=kind.base_url,
            kind=what,
            fetch_bytes=lambda url: storage.read_bytes(self.fetched(source, url, "paths")),
        )


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
    this = _Run(recipe, output, engine, progress, make_session(recipe.crawl, keeper))
    tasks: list[CrawlTask] = []
    for name, source in recipe.sources.items():
        kind = getattr(source, source.kind)
        if isinstance(kind, Stdlib):
            tasks.append(_make_task(name, kind, this))
        elif isinstance(kind, CommonCrawl) and kind.pages is not None:
            tasks += _page_tasks(this, name, kind, kind.pages)
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


def _make_task(name: str, make: Stdlib, this: _Run) -> CrawlTask:
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


def _crawl_files(this: _Run, name: str, kind: CommonCrawl) -> list[str]:
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
        chosen += _sample(this, name, kind, snapshot)
    chosen = list(dict.fromkeys(chosen))  # a snapshot may be named twice
    return [whole_path(commoncrawl.address(kind.base_url, path)) for path in chosen]


def _sample(this: _Run, name: str, kind: CommonCrawl, snapshot: str) -> list[str]:
    from corpus.sources import commoncrawl

    paths = this.listed(name, kind, snapshot, kind.kind)
    return commoncrawl.choose(paths, files=kind.files, seed=this.recipe.seed)


def _page_tasks(this: _Run, name: str, kind: CommonCrawl, pages: Pages) -> list[CrawlTask]:
    """Look the pages up in the index of each snapshot, and return a task for each archive."""
    from corpus import selection
    from corpus.sources import commoncrawl

    where, seed, how = f"sources.{name}.commoncrawl.pages", this.recipe.seed, this.session
    found: list[Manifest] = []
    tasks: list[CrawlTask] = []
    wanted = selection.selection_of(pages, None)
    for snapshot in kind.snapshots:
        if kind.files is not None:
            wanted = selection.selection_of(pages, _sample(this, name, kind, snapshot))
        if pages.index == "columnar":
            files = this.listed(name, kind, snapshot, "cc-index-table")
            looks = selection.table_tasks(name, kind, files, wanted, seed, how)
        else:
            commoncrawl.check_snapshot(snapshot)
            folder = commoncrawl.address(kind.base_url, selection.index_folder(snapshot))
            cluster = this.fetched(name, f"{folder}/cluster.idx", "blocks")
            looks = selection.line_tasks(name, kind, snapshot, cluster, wanted, seed, how)
        step = make(
            this.output, selection.STEP, selection.index_shard, looks, this.engine, this.progress
        )
        found.append(step)
        for archive, pieces in selection.archives_of(step, pages.limit).items():
            url = whole_path(commoncrawl.address(kind.base_url, archive))
            tasks.append(_pieces_task(name, len(tasks), url, pieces, how))
    this.steps.extend(found)
    if not tasks:
        raise InputError(
            "the index has no page of this selection",
            where=where,
            fix="Check the spelling, and the snapshots: few pages are in all of them.",
        )
    missing = selection.missing_of(found, wanted)
    if missing:
        key = fingerprint(STAGE, name, "not_in_index", missing)
        tasks.append(CrawlTask("not-in-index", name, key, 1, how, missing=missing))
    return tasks


def _pieces_task(
    name: str, index: int, url: str, pieces: npt.NDArray[np.int64], how: Session
) -> CrawlTask:
    stamp = "" if storage.is_remote(url) else storage.stamp(url)
    digest = hashlib.sha256(pieces.tobytes()).hexdigest()
    return CrawlTask(
        name=f"part-{index:05d}",
        source=name,
        key=fingerprint(STAGE, name, url, "pages", digest, stamp),
        weight=int(pieces[:, 1].sum()) + 1,
        session=how,
        path=url,
        fetched=True,
        pieces=pieces.tobytes(),
    )


def _listed(name: str, source: Source) -> list[tuple[str, str]]:
    """Return the files of a source that names them, each with its role."""
    if isinstance(source.webtext, WebText):
        submissions = expand(name, source.webtext.submissions)
        pages = expand(name, source.webtext.pages)
        return [(p, "submissions") for p in submissions] + [(p, "input") for p in pages]
    patterns = source.documents.paths if source.documents else getattr(source, source.kind)
    files = expand(name, patterns)
    if source.wikipedia is not None:
        from corpus.sources import wikipedia

        # A pattern for the files of a dump matches the lists of streams beside them as well.
        files = [path for path in files if not wikipedia.is_index(storage.name(path))]
    return [(path, "input") for path in files]

"""Which pages of a crawl are fetched: those that a recipe names, or that submissions link to.

In: a source and the indexes of its snapshots, which are looked in here. Out: a task for each
archive that has some of the pages, and for what the index does not have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from corpus import storage
from corpus.config import CommonCrawl, LinkedPages, Pages, Recipe, WebText
from corpus.crawl import chosen, found_pages, links, selection
from corpus.crawl.patterns import whole_path
from corpus.crawl.shard import CrawlTask, crawl_shard
from corpus.engine import Engine
from corpus.errors import InputError
from corpus.manifest import Manifest, fingerprint
from corpus.progress import Progress
from corpus.sources import commoncrawl
from corpus.stage_folder import make

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from corpus.fetching.session import Session

_LISTS = 2  # version of the check of lists; raised, none that was kept before is used


@dataclass(frozen=True)
class CrawlRun:
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

    def listed(self, source: str, base_url: str, snapshot: str, what: str) -> list[str]:
        """Return the paths in one of a snapshot's lists."""
        return commoncrawl.paths(
            snapshot,
            base_url=base_url,
            kind=what,
            fetch_bytes=lambda url: storage.read_bytes(self.fetched(source, url, "paths")),
        )


def page_tasks(this: CrawlRun, name: str, kind: CommonCrawl, pages: Pages) -> list[CrawlTask]:
    """Look the pages that a recipe names up in the index of each snapshot.

    Returns:
        A task for each archive, and one for the addresses that the index does not have.

    Raises:
        InputError: The index has none of the pages.
    """
    found: list[Manifest] = []
    tasks: list[CrawlTask] = []
    wanted = selection.selected(pages, None)
    for snapshot in kind.snapshots:
        if kind.files is not None:
            wanted = selection.selected(pages, sample(this, name, kind, snapshot))
        if pages.index == "server":
            step = _asked(this, name, snapshot, pages, wanted)
        else:
            step = _look(this, name, kind.base_url, snapshot, pages.index, wanted)
        found.append(step)
        tasks += _fetches(
            this, name, kind.base_url, found_pages.archives_of(step, pages.limit), len(tasks)
        )
    this.steps.extend(found)
    if not tasks:
        raise InputError(
            "the index has no page of this selection",
            where=f"sources.{name}.commoncrawl.pages",
            fix="Check the spelling, and the snapshots: few pages are in all of them.",
        )
    missing = found_pages.missing_of(found, wanted.selection)
    if missing:
        key = fingerprint("crawl", name, "not_in_index", missing)
        tasks.append(CrawlTask("not-in-index", name, key, 1, this.session, missing=missing))
    return tasks


def sample(this: CrawlRun, name: str, kind: CommonCrawl, snapshot: str) -> list[str]:
    """Return the paths of the files that a recipe takes of a snapshot."""
    paths = this.listed(name, kind.base_url, snapshot, kind.kind)
    return commoncrawl.choose(paths, files=kind.files, seed=this.recipe.seed)


def linked_tasks(
    this: CrawlRun, name: str, kind: WebText, crawl: LinkedPages, dumps: Sequence[CrawlTask]
) -> list[CrawlTask]:
    """Find the pages that submissions link to, and look them up in the index of each snapshot.

    Args:
        this: The run.
        name: Name of the source.
        kind: Its settings.
        crawl: Where the pages are looked for.
        dumps: Tasks that make the dumps of submissions present.

    Returns:
        A task for each archive that has some of the pages, each page in one of them, and tasks for
        the fates of all addresses, with those that the index does not have.

    Raises:
        InputError: The index has none of the pages.
    """
    made = make(this.output, "submissions", crawl_shard, dumps, this.engine, this.progress)
    files = [
        links.Dump(made.path(file), storage.name(file.path), file.bytes, file.sha256)
        for shard in made.shards
        for file in shard.all("submissions")
    ]
    linked = links.make_links(name, kind, files, this.output, this.engine, this.progress)
    wanted = selection.listed(linked)
    looks = [
        _look(this, name, crawl.base_url, snapshot, crawl.index, wanted)
        for snapshot in dict.fromkeys(crawl.snapshots)
    ]
    choice = chosen.make_choice(name, looks, this.output, this.engine, this.progress)
    this.steps.extend([made, linked, *looks, choice])
    table = choice.path(choice.shards[0].output("chosen"))
    tasks = _fetches(this, name, crawl.base_url, chosen.archives(table), 0)
    if not tasks:
        raise InputError(
            "the index has none of the pages that the submissions link to",
            where=f"sources.{name}.webtext.commoncrawl",
            why=f"{linked.counts().kept:,} addresses are linked",
            fix="Check the snapshots and min_karma.",
        )
    digest = choice.shards[0].output("chosen").sha256
    for number, shard in enumerate(linked.shards):
        file = shard.output("links")
        tasks.append(
            CrawlTask(
                name=f"links-{number:05d}",
                source=name,
                key=fingerprint("crawl", name, "links", chosen.VERSION, file.sha256, digest),
                weight=1,
                session=this.session,
                path=linked.path(file),
                role="links",
                chosen=table,
            )
        )
    return tasks


def _asked(
    this: CrawlRun, name: str, snapshot: str, pages: Pages, wanted: selection.Wanted
) -> Manifest:
    """Ask the query server of a snapshot's index."""
    commoncrawl.check_snapshot(snapshot)
    tasks = selection.query_tasks(
        name, pages.server, snapshot, wanted, this.recipe.seed, this.session
    )
    return make(
        this.output, selection.STEP, selection.index_shard, tasks, this.engine, this.progress
    )


def _look(
    this: CrawlRun,
    name: str,
    base_url: str,
    snapshot: str,
    index: Literal["columnar", "cdxj"],
    wanted: selection.Wanted,
) -> Manifest:
    """Look in the index of a snapshot."""
    seed, how = this.recipe.seed, this.session
    if index == "columnar":
        files = this.listed(name, base_url, snapshot, "cc-index-table")
        tasks = selection.table_tasks(name, base_url, files, wanted, seed, how)
    else:
        commoncrawl.check_snapshot(snapshot)
        folder = commoncrawl.address(base_url, selection.index_folder(snapshot))
        cluster = this.fetched(name, f"{folder}/cluster.idx", "blocks")
        tasks = selection.line_tasks(name, base_url, snapshot, cluster, wanted, seed, how)
    return make(
        this.output, selection.STEP, selection.index_shard, tasks, this.engine, this.progress
    )


def _fetches(
    this: CrawlRun,
    name: str,
    base_url: str,
    archives: dict[str, npt.NDArray[np.int64]],
    before: int,
) -> list[CrawlTask]:
    """Return a task for each archive, named by numbers from `before`."""
    return [
        _pieces_task(
            name, number, whole_path(commoncrawl.address(base_url, archive)), pieces, this.session
        )
        for number, (archive, pieces) in enumerate(archives.items(), start=before)
    ]


def _pieces_task(
    name: str, index: int, url: str, pieces: npt.NDArray[np.int64], how: Session
) -> CrawlTask:
    stamp = "" if storage.is_remote(url) else storage.stamp(url)
    digest = hashlib.sha256(pieces.tobytes()).hexdigest()
    return CrawlTask(
        name=f"part-{index:05d}",
        source=name,
        key=fingerprint("crawl", name, url, "pages", digest, stamp),
        weight=int(pieces[:, 1].sum()) + 1,
        session=how,
        path=url,
        fetched=True,
        pieces=pieces.tobytes(),
    )

"""crawl: every input file of every source, present and known by its digest.

In: the recipe. Out: one shard a file, in `crawl-<fingerprint>/<source>/` for what is downloaded or
made, and where it lies for local files and objects of a store. Nothing is read here but bytes.
"""

from __future__ import annotations

import platform
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from corpus import storage
from corpus.config import CommonCrawl, Crawl, Recipe, Source, Stdlib, WebText
from corpus.engine import Engine
from corpus.errors import InputError
from corpus.manifest import Counts, Manifest, Output, Shard, fingerprint
from corpus.progress import Progress
from corpus.stage_folder import describe_output, make

STAGE = "crawl"
# After a 403 the whole run waits so long, then longer, and gives up after the last: Common Crawl's
# own advice is to stop for a day, which a person has to decide.
COOLDOWN, COOLDOWNS = 60.0, 5
BACKOFF, LONGEST_PAUSE = 1.0, 900.0  # seconds; 503 answers last for minutes


@dataclass(frozen=True)
class CrawlTask:
    """One file to fetch or to look at, or one miniature source to make.

    Attributes:
        path: Path or URL of the file; "" for a miniature source.
        role: "input", or "submissions" for what only tells which pages count.
        fetched: Whether the file is copied to the stage's folder.
        limit_bytes: Fetch only the whole records in so many bytes.
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
    make: Stdlib | None = None
    seed: int = 0
    folder: str = ""


def run(recipe: Recipe, output: str, engine: Engine, progress: Progress) -> Manifest:
    """Make every input file present.

    Raises:
        InputError: A file is not there, or a pattern matches none.
        FetchError: A download failed for good.
    """
    tasks: list[CrawlTask] = []
    steps: list[Manifest] = []
    for name, source in recipe.sources.items():
        kind = getattr(source, source.kind)
        if isinstance(kind, Stdlib):
            tasks.append(_make_task(name, kind, recipe))
            continue
        if isinstance(kind, CommonCrawl):
            paths, lists = _snapshot_files(name, kind, recipe, output, engine, progress)
            steps += lists
            files = [(path, "input", kind.limit_bytes) for path in paths]
        else:
            files = [(path, role, None) for path, role in _listed(name, source)]
        tasks += [
            _file_task(name, index, path, role, limit, source, recipe.crawl)
            for index, (path, role, limit) in enumerate(files)
        ]
    return make(output, STAGE, crawl_shard, tasks, engine, progress, uses=steps)


def _make_task(name: str, make: Stdlib, recipe: Recipe) -> CrawlTask:
    quote = storage.digest(make.quote)[1] if make.quote else ""
    # Another Python has other documentation; another zlib packs it into other bytes.
    versions = (platform.python_version(), zlib.ZLIB_RUNTIME_VERSION)
    key = fingerprint(STAGE, "stdlib", name, make.make, make.pages, quote, recipe.seed, versions)
    return CrawlTask("part-00000", name, key, 1, recipe.crawl, make=make, seed=recipe.seed)


def _file_task(
    name: str,
    index: int,
    path: str,
    role: str,
    limit: int | None,
    source: Source,
    settings: Crawl,
) -> CrawlTask:
    over_http = path.startswith(("http://", "https://"))
    # A crawl's files are fetched from wherever they are; other objects of a store, and all local
    # files, are read where they lie.
    fetched = over_http or (
        source.commoncrawl is not None and (storage.is_remote(path) or limit is not None)
    )
    stamp = "" if fetched else storage.stamp(path)
    return CrawlTask(
        name=f"part-{index:05d}",
        source=name,
        key=fingerprint(STAGE, name, path, role, limit, stamp),
        weight=1 if fetched else storage.size(path) + 1,
        settings=settings,
        path=path,
        role=role,
        fetched=fetched,
        limit_bytes=limit,
    )


def _snapshot_files(
    name: str,
    kind: CommonCrawl,
    recipe: Recipe,
    output: str,
    engine: Engine,
    progress: Progress,
) -> tuple[list[str], list[Manifest]]:
    """Return the addresses of the chosen WARC files, and the lists, which are fetched once."""
    from corpus.sources import commoncrawl

    lists: list[Manifest] = []

    def fetch_list(url: str) -> bytes:
        # A published list never changes; that of a local mirror may.
        stamp = "" if storage.is_remote(url) else storage.stamp(url)
        key = fingerprint("paths", url, stamp)
        task = CrawlTask("list", name, key, 1, recipe.crawl, path=url, fetched=True)
        manifest = make(output, "paths", crawl_shard, [task], engine, progress)
        lists.append(manifest)
        return storage.read_bytes(manifest.path(manifest.shards[0].outputs[0]))

    chosen: list[str] = []
    for snapshot in kind.snapshots:
        paths = commoncrawl.paths(
            snapshot, base_url=kind.base_url, kind="warc", fetch_bytes=fetch_list
        )
        sample = commoncrawl.choose(paths, files=kind.files, seed=recipe.seed)
        chosen += [_whole_path(commoncrawl.address(kind.base_url, path)) for path in sample]
    return chosen, lists


def _listed(name: str, source: Source) -> list[tuple[str, str]]:
    """Return the files of a source that names them, each with its role."""
    if isinstance(source.webtext, WebText):
        submissions = _expand(name, source.webtext.submissions)
        pages = _expand(name, source.webtext.pages)
        return [(p, "submissions") for p in submissions] + [(p, "input") for p in pages]
    patterns = source.documents.paths if source.documents else getattr(source, source.kind)
    return [(path, "input") for path in _expand(name, patterns)]


def _expand(name: str, patterns: tuple[str, ...]) -> list[str]:
    """Return the files of patterns, each once, in the order given."""
    found: dict[str, None] = {}
    for pattern in patterns:
        if pattern.startswith(("http://", "https://")):
            found[pattern] = None
            continue
        matches = storage.find(pattern)
        if not matches:
            plain = not any(sign in pattern for sign in "*?[")
            raise InputError(
                "there is no such file" if plain else "no file matches this pattern",
                where=pattern,
                fix=f"Check sources.{name} in the recipe (relative paths are relative to it)",
            )
        for match in matches:
            found[_whole_path(match)] = None
    return list(found)


def _whole_path(path: str) -> str:
    """Return a URL as it is, and a local path from the root on: relative ones are the stage's."""
    return path if storage.is_remote(path) else str(Path(path.removeprefix("file://")).absolute())


def crawl_shard(task: CrawlTask) -> Shard:
    """Fetch, make or look at one file."""
    if task.make is not None:
        outputs = _make(task, task.make)
    elif task.fetched:
        outputs = (_fetch(task),)
    elif storage.is_remote(task.path):
        # An object of a store is read where it lies; its ETag stands for its bytes.
        digest = fingerprint(storage.stamp(task.path))
        outputs = (Output(task.role, task.path, storage.size(task.path), digest),)
    else:
        outputs = (Output(task.role, task.path, *storage.digest(task.path)),)
    files = len(outputs)
    measures = {"bytes": sum(output.bytes for output in outputs)}
    return Shard(task.name, task.source, task.key, outputs, Counts(files, files), measures)


def _fetch(task: CrawlTask) -> Output:
    from corpus.fetching import fetch
    from corpus.fetching.politeness import Politeness

    path = f"{task.source}/{task.name}-{storage.name(task.path)}"
    target = storage.join(task.folder, path)
    scratch = Path(tempfile.gettempdir()) / f"corpusmill-{fingerprint(task.folder)[:12]}"
    # A store cannot hold a partial file to go on with: that lies on this machine until it is whole.
    local = scratch / path if storage.is_remote(target) else Path(target)
    local.parent.mkdir(parents=True, exist_ok=True)
    fetch.fetch(
        task.path,
        str(local),
        limit_bytes=task.limit_bytes,
        politeness=Politeness(
            folder=str(scratch / "politeness"),
            requests_per_second=task.settings.requests_per_second,
            nodes=1,
            cooldown=COOLDOWN,
            cooldowns=COOLDOWNS,
            backoff=BACKOFF,
            longest_pause=LONGEST_PAUSE,
        ),
        user_agent=task.settings.user_agent,
        timeout=task.settings.timeout,
        attempts=task.settings.attempts,
    )
    if storage.is_remote(target):
        storage.link(str(local), target)
        local.unlink()
    return describe_output(task.folder, path, task.role)


def _make(task: CrawlTask, make: Stdlib) -> tuple[Output, ...]:
    from corpus.sources import benchmarks, stdlib

    quote = [] if make.quote is None else list(benchmarks.read(make.quote, fields=("text",)))
    outputs: list[Output] = []
    with tempfile.TemporaryDirectory(prefix=storage.TEMPORARY_PREFIX) as scratch:
        made = stdlib.write(make.make, Path(scratch), seed=task.seed, pages=make.pages, quote=quote)
        for file in made:
            path = f"{task.source}/{task.name}-{file.name}"
            storage.link(str(file), storage.join(task.folder, path))
            outputs.append(describe_output(task.folder, path, task.role))
    return tuple(outputs)

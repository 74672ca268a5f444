"""How large the input of each source is, before anything is downloaded.

In: a recipe. Out: files and bytes of each source: of local files the sizes that they have, of
Common Crawl the number of files that are asked for and the size that such files have, and what the
recipe says of those that cannot be looked at. A network is only asked when a `Look` is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from corpus import storage
from corpus.config import CommonCrawl, Recipe, Source
from corpus.errors import CorpusError
from corpus.sources import compression

# February 2019: 64,000 WARC files of 59.86 TiB, as many WET files of 7.62 TiB
# (commoncrawl.org, "February 2019 crawl archive now available"); later ones are within a third.
SNAPSHOT_FILES = 64_000
USUAL_BYTES = {"warc": 1_030_000_000, "wet": 131_000_000}

Look = Callable[[str, str], list[str]]  # a snapshot and a kind: its files, asked for over a network


@dataclass(frozen=True)
class Extent:
    """How large the input of a source is.

    Attributes:
        files: Number of files.
        bytes: Their size; 0 for what is made at run time.
        how: "measured", "given" in the recipe, or "usual": what such files have.
        fetched: Whether it is copied to the output folder.
    """

    files: int
    bytes: float
    how: str
    fetched: bool = False


def extents(recipe: Recipe) -> dict[str, Extent | None]:
    """Return the extent of each source; None where it cannot be told without a network."""
    return {name: _extent(recipe, name, source) for name, source in recipe.sources.items()}


def input_files(source: Source) -> list[str]:
    """Return the files of a source that names them by path or pattern."""
    from corpus.crawl.patterns import expand
    from corpus.sources import wikipedia

    if source.webtext is not None:
        return expand("", source.webtext.pages or ())
    patterns = source.documents.paths if source.documents else getattr(source, source.kind)
    files = expand("", patterns)
    if source.wikipedia is not None:
        files = [path for path in files if not wikipedia.is_index(storage.name(path))]
    return files


def crawl_files(kind: CommonCrawl, seed: int, look: Look | None) -> list[str] | None:
    """Return the addresses of the files of a crawl, or None when only a network could tell."""
    from corpus.sources import commoncrawl

    chosen = list(kind.paths)
    for snapshot in kind.snapshots:
        if look is not None:
            paths = look(snapshot, kind.kind)
        elif storage.is_remote(kind.base_url):
            return None
        else:
            paths = commoncrawl.paths(
                snapshot, base_url=kind.base_url, kind=kind.kind, fetch_bytes=storage.read_bytes
            )
        chosen += commoncrawl.choose(paths, files=kind.files, seed=seed)
    return [commoncrawl.address(kind.base_url, path) for path in dict.fromkeys(chosen)]


def limited(kind: CommonCrawl | None, size: float) -> float:
    """Return how much of a file of a size is taken."""
    limit = kind.limit_bytes if kind is not None else None
    return size if limit is None else min(size, float(limit))


def is_fetched(source: Source, files: list[str]) -> bool:
    """Say whether the files of a source are copied to the output folder, as `crawl` does it."""
    kind = source.commoncrawl
    if kind is None:
        return any(path.startswith(("http://", "https://")) for path in files)
    limits = (kind.limit_bytes, kind.limit_records) != (None, None)
    return limits or kind.pages is not None or storage.is_remote(kind.base_url)


def _extent(recipe: Recipe, name: str, source: Source) -> Extent | None:
    kind = source.commoncrawl
    given = recipe.plan.inputs.get(name)
    if source.stdlib is not None:
        return Extent(1, 0.0, "measured")
    if kind is not None:
        return _crawl_extent(kind, recipe.seed, given)
    try:
        files = [] if _asks(source) else input_files(source)
    except CorpusError:
        files = []  # not there yet: the table of the plan says so
    if given is not None:
        return Extent(max(1, len(files)), float(given), "given", is_fetched(source, files))
    if not files:
        return None
    return Extent(len(files), float(sum(map(storage.size, files))), "measured")


def _asks(source: Source) -> bool:
    """Say whether the files of a source can only be told by asking over a network."""
    if source.webtext is not None:
        patterns = source.webtext.pages or ()
        return source.webtext.commoncrawl is not None or any(map(storage.is_remote, patterns))
    patterns = source.documents.paths if source.documents else getattr(source, source.kind)
    return any(map(storage.is_remote, patterns))


def _crawl_extent(kind: CommonCrawl, seed: int, given: int | None) -> Extent | None:
    usual = limited(kind, USUAL_BYTES[kind.kind])
    fetched = is_fetched(Source(commoncrawl=kind), [])
    if kind.pages is not None or kind.limit_records is not None:
        return None if given is None else Extent(1, float(given), "given", fetched=True)
    try:
        files = crawl_files(kind, seed, None)
    except CorpusError:
        files = None
    if given is not None:
        number = len(files) if files else max(1, round(given / usual))
        return Extent(number, float(given), "given", fetched)
    if files is not None and not storage.is_remote(kind.base_url):
        sizes = [limited(kind, storage.size(path)) for path in files]
        return Extent(len(files), sum(sizes), "measured", fetched)
    if files is not None:
        return Extent(len(files), len(files) * usual, "usual", fetched)
    number = len(kind.snapshots) * (kind.files or SNAPSHOT_FILES)
    return Extent(number, number * usual, "usual", fetched)


def form(source: Source) -> str:
    """Return what the files of a source are: with another form, constants do not hold."""
    kind = source.commoncrawl
    if kind is not None:
        return kind.kind
    if source.stdlib is not None:
        return f"stdlib {source.stdlib.make} {source.stdlib.pages}"
    if source.webtext is not None:
        return "webtext"
    if source.warc is not None:
        wet = all(".wet." in compression.plain_name(path) + "." for path in source.warc)
        return "wet" if wet else "warc"
    return source.kind

"""Which files of a Common Crawl snapshot to take: a pure choice.

A snapshot lists its files in `crawl-data/<snapshot>/<kind>.paths.gz`, one path a line, relative to
the base URL (https://data.commoncrawl.org/, s3://commoncrawl/, any mirror, or a local folder of
the same shape). GPT-3 (2020, section 2.2 and table 2.2) took 41 shards of monthly snapshots; how
many files a recipe takes of each is its own business, and which ones is drawn here. Downloading
them is the business of `corpus.fetching`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence

import xxhash

from corpus.errors import InputError

_SNAPSHOT = re.compile(r"CC-MAIN-20\d\d-(?:0[1-9]|[1-4]\d|5[0-3])")
_KINDS = ("warc", "wet", "cc-index", "cc-index-table")
# cc-index names its cluster.idx as well.
_ENDINGS = {"warc": ".gz", "wet": ".gz", "cc-index-table": ".parquet"}
# Relative segments of plain characters: no scheme, no "..", nothing that a shell or a URL reads.
_PATH = re.compile(r"(?:[A-Za-z0-9_=+-][A-Za-z0-9._=+-]*/)*[A-Za-z0-9_=+-][A-Za-z0-9._=+-]*")
# A snapshot has 100,000 files of 140 bytes a line: 14 MB, 300 kB compressed.
_LARGEST_LIST = 1 << 28


def check_snapshot(snapshot: str) -> None:
    """Check the form of a snapshot's id.

    Raises:
        InputError: It is not CC-MAIN-YYYY-WW.
    """
    if not _SNAPSHOT.fullmatch(snapshot):
        raise InputError(
            f"{snapshot!r} is not the id of a snapshot",
            why="An id has the form CC-MAIN-YYYY-WW: year and week, 01 to 53.",
            fix="The ids are listed at https://data.commoncrawl.org/crawl-data/index.html.",
        )


def address(base_url: str, path: str) -> str:
    """Return the URL or local path of a file of the crawl."""
    return f"{base_url.rstrip('/')}/{path}"


def is_path(path: str) -> bool:
    """Return whether a path is relative, plain, and does not lead out of the crawl."""
    return _PATH.fullmatch(path) is not None


def paths(
    snapshot: str, *, base_url: str, kind: str, fetch_bytes: Callable[[str], bytes]
) -> list[str]:
    """Read the list of a snapshot's files.

    Args:
        snapshot: CC-MAIN-YYYY-WW.
        base_url: Where the crawl is: a URL or a local folder that holds `crawl-data/`.
        kind: "warc" (pages as they were served), "wet" (plain text made by Common Crawl),
            "cc-index" or "cc-index-table" (its indexes).
        fetch_bytes: Returns the bytes at a URL or local path; its errors pass through.

    Returns:
        Paths relative to `base_url`, in the list's order, each once.

    Raises:
        InputError: A malformed id, an unknown kind, or a list that cannot be read or trusted.
    """
    check_snapshot(snapshot)
    if kind not in _KINDS:
        raise InputError(f"{kind!r} is no kind of file", fix=f"Choose one of {', '.join(_KINDS)}.")
    where = address(base_url, f"crawl-data/{snapshot}/{kind}.paths.gz")
    return parse_list(fetch_bytes(where), where=where)


def parse_list(data: bytes, *, where: str) -> list[str]:
    """Return the paths in a list as it is published, in its order, each once.

    Args:
        data: The bytes of `<kind>.paths.gz`.
        where: Its address, which says what kind of files it has to name.

    Raises:
        InputError: It is cut off or damaged, or no list of such files.
    """
    kind = where.rpartition("/")[2].removesuffix(".paths.gz")
    lines = _gunzip(data, where).splitlines()
    found: dict[str, None] = {}
    for number, line in enumerate(lines, start=1):
        path = line.decode("ascii", "replace")
        if not path:
            continue
        if not is_path(path) or not path.endswith(_ENDINGS.get(kind, "")):
            raise InputError(
                f"line {number} is not the relative path of a file of kind {kind}: {path[:200]!r}",
                where=where,
                fix="Check base_url: this is not a list as Common Crawl publishes it.",
            )
        found[path] = None
    if not found:
        raise InputError(
            "the list names no file", where=where, fix="Check the snapshot's id and base_url."
        )
    return list(found)


def choose(paths: Sequence[str], *, files: int | None, seed: int) -> list[str]:
    """Draw files from a list, the same ones for the same seed.

    The draw takes the first `files` of a permutation by hash of (seed, path): it does not depend
    on the list's order, and a larger `files` adds to a smaller one and replaces nothing.

    Args:
        paths: Distinct paths of one snapshot.
        files: How many, or None for all.
        seed: The recipe's seed.

    Returns:
        The chosen paths in the order of `paths`.

    Raises:
        InputError: The list has fewer files than asked for, or less than one is asked for.
    """
    if files is None:
        return list(paths)
    if not 1 <= files <= len(paths):
        raise InputError(
            f"{files} files are asked for, but the list has {len(paths)}",
            fix=f"Set files to a number from 1 to {len(paths)}, or leave it out to take all.",
        )
    chosen = set(sorted(paths, key=lambda path: (_draw(seed, path), path))[:files])
    return [path for path in paths if path in chosen]


def _draw(seed: int, path: str) -> int:
    return xxhash.xxh3_64_intdigest(f"{seed}:{path}".encode())


def _gunzip(data: bytes, where: str) -> bytes:
    """Return the decompressed bytes of a whole gzip file, within the bound of a list."""
    result = bytearray()
    try:
        while data:
            decoder = zlib.decompressobj(wbits=31)
            result += decoder.decompress(data, _LARGEST_LIST + 1 - len(result))
            if len(result) > _LARGEST_LIST:
                raise InputError(f"the list has more than {_LARGEST_LIST} bytes", where=where)
            if not decoder.eof:
                raise zlib.error("the file is cut off")
            data = decoder.unused_data
    except zlib.error as error:
        raise InputError(
            "the list of files is not a whole gzip file",
            where=where,
            why=str(error),
            fix="Delete this file if it is local and run the command again; else check base_url.",
        ) from error
    return bytes(result)

"""Lists of blocked domains and URLs, gathered once in a folder of their own beside `filter`.

In: files with one domain or URL prefix a line, plain or `.gz`, and folders such as those of the UT1
lists: `domains` and `urls` in a folder, or in each folder of a folder. Out: `urls-<fingerprint>`
with the sorted hashes of all entries, some ten bytes each, which every worker reads.

UT1's `expressions` are not read, and named where they lie beside what is. They are regular
expressions for a proxy that guards a school: a word anywhere in an address blocks it, and costs a
corpus the pages about it. FineWeb and RefinedWeb, which use UT1, take domains and URLs alone.
"""

from __future__ import annotations

import functools
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus import storage
from corpus.engine import Engine
from corpus.errors import InputError
from corpus.manifest import Counts, Manifest, Shard, fingerprint
from corpus.parts import read_columns
from corpus.progress import Progress
from corpus.stage_folder import describe_output, make
from corpus.text import url_lists
from corpus.text.url_lists import UrlIndex

VERSION = 1
MEMBERS = ("domains", "domains.gz", "urls", "urls.gz")  # of a folder of a category
_EXPRESSIONS = ("expressions", "very_restrictive_expression")  # beside them, and not read
_BLOCK = 1 << 23
# Rows of a table of hosts name the address to which a name is sent; the name is the entry.
_SENT_TO = r"^\s*(?:0\.0\.0\.0|127\.0\.0\.1|::1?)\s+"
_COMMENT = r"(?:^|\s+)[#!;].*$"


@dataclass(frozen=True)
class BlocklistTask:
    """All lists: path and name of each, in order."""

    name: str
    source: str
    key: str
    weight: int
    lists: tuple[tuple[str, str], ...]
    folder: str = ""


def blocklists(
    patterns: Sequence[str], output: str, engine: Engine, progress: Progress
) -> Manifest:
    """Gather the entries of all lists that the patterns name.

    Raises:
        InputError: A pattern matches no list, or regular expressions alone; a list cannot be read;
            or no list has an entry.
    """
    lists = tuple(dict.fromkeys(one for pattern in patterns for one in find_lists(pattern)))
    if len(lists) > url_lists.MOST_LISTS:
        raise InputError(
            f"there are {len(lists):,} lists, more than {url_lists.MOST_LISTS:,}",
            where=", ".join(patterns),
            fix="Name fewer in filter.urls",
        )
    digests = [[name, storage.digest(path)[1]] for path, name in lists]
    key = fingerprint("urls", VERSION, digests)
    stored: dict[str, Any] = {"lists": digests}
    if left_out := sorted({name for pattern in patterns for name in _left_out(pattern)}):
        stored["left_out"] = left_out
    task = BlocklistTask("entries", "urls", key, 1, lists)
    return make(output, "urls", blocklists_shard, [task], engine, progress, settings=stored)


def find_lists(pattern: str) -> list[tuple[str, str]]:
    """Return path and name of the lists that a pattern or a folder names.

    A file `domains` or `urls` is named with its folder: `adult/domains`.
    """
    named = storage.find(pattern)
    paths = named or [path for path in _members(pattern) if storage.name(path) in MEMBERS]
    paths = [path for path in paths if not _is_expressions(path)]
    if named and not paths:
        raise InputError(
            "these are regular expressions, which are not read",
            where=pattern,
            fix="Name the lists of domains and URLs beside them in filter.urls",
        )
    if not paths:
        raise InputError(
            "there is no such list of URLs, nor a folder with `domains` or `urls` in it",
            where=pattern,
            fix="Check filter.urls in the recipe (relative paths are relative to it)",
        )
    return [(path, _name(path)) for path in paths]


def _members(pattern: str) -> Iterator[str]:
    """Yield the files in a folder, and in each of the folders in it."""
    folder = pattern.rstrip("/")
    inner = [storage.join(folder, name) for name in storage.list_folder(folder)]
    for one in (folder, *inner):
        yield from (storage.join(one, member) for member in storage.list_folder(one))


def _is_expressions(path: str) -> bool:
    return storage.name(path).removesuffix(".gz") in _EXPRESSIONS


def _left_out(pattern: str) -> list[str]:
    """Return the names of the expressions among what a pattern or a folder names."""
    found = storage.find(pattern) or _members(pattern)
    return [_name(path) for path in found if _is_expressions(path)]


def _name(path: str) -> str:
    name = storage.name(path)
    if name not in MEMBERS and not _is_expressions(name):
        return name
    return f"{storage.name(path.rstrip('/').rpartition('/')[0])}/{name.removesuffix('.gz')}"


def blocklists_shard(task: BlocklistTask) -> Shard:
    """Write the hashes of all entries, sorted, each with the first list that has it."""
    hashes: list[np.ndarray[tuple[int], np.dtype[np.uint64]]] = []
    lists: list[np.ndarray[tuple[int], np.dtype[np.uint16]]] = []
    unreadable: dict[str, int] = {}
    for number, (path, name) in enumerate(task.lists):
        for entries in read_entries(path):
            found, bad = url_lists.entry_hashes(entries)
            hashes.append(found)
            lists.append(np.full(len(found), number, np.uint16))
            if bad:
                unreadable[name] = unreadable.get(name, 0) + bad
    distinct, first = np.unique(
        np.concatenate([*hashes, np.empty(0, np.uint64)]), return_index=True
    )
    if not len(distinct):
        raise InputError(
            "the lists of URLs have no entry",
            where=", ".join(path for path, _ in task.lists),
            fix="Give lists with one domain or URL a line, or leave filter.urls out",
        )
    details = {"names": [name for _, name in task.lists], "unreadable": unreadable}
    table = pa.table({"hash": distinct, "list": np.concatenate(lists)[first]})
    table = table.replace_schema_metadata({"lists": json.dumps(details)})
    path = f"{task.source}/{task.name}.parquet"
    with storage.publish(storage.join(task.folder, path)) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    output = describe_output(task.folder, path, "entries", len(distinct))
    measures = {"entries": len(distinct), "unreadable": sum(unreadable.values())}
    return Shard(task.name, task.source, task.key, (output,), Counts(), measures, details)


@functools.lru_cache(maxsize=1)
def load(path: str, sha256: str) -> UrlIndex:
    """Return the entries that `blocklists_shard` wrote; kept for the next shard of this process.

    Args:
        path: The file.
        sha256: Its digest, by which it is known again.
    """
    table = read_columns(path, ["hash", "list"]).combine_chunks()
    names = json.loads(table.schema.metadata[b"lists"])["names"]
    return url_lists.url_index(table["hash"].to_numpy(), table["list"].to_numpy(), names)


def read_entries(path: str) -> Iterator[pa.Array]:
    """Yield the entries of a list by the block: no comments, no blank lines, no IPs of host tables.

    Raises:
        InputError: It cannot be read, or is no list of lines of text.
    """
    for lines in _lines(path):
        # ASCII and UTF-8 alike; what is neither is no address, and is counted as such.
        texts = pc.split_pattern(pa.array([lines], pa.large_string()), "\n").flatten()
        texts = pc.replace_substring_regex(texts, _COMMENT, "")
        texts = pc.utf8_trim_whitespace(pc.replace_substring_regex(texts, _SENT_TO, ""))
        texts = texts.filter(pc.not_equal(texts, ""))
        if len(texts):
            yield texts


def _lines(path: str) -> Iterator[str]:
    """Yield a file in blocks of whole lines."""
    with storage.open_input(path) as raw:
        zipped = path.endswith(".gz")
        file = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if zipped else raw
        rest = b""
        while True:
            try:
                block = file.read(_BLOCK)
            except (OSError, EOFError, zlib.error) as error:
                raise _refused(path, str(error)) from error
            whole, _, begun = (rest + block).rpartition(b"\n") if block else (rest, b"", b"")
            if b"\0" in whole or len(begun) > _BLOCK:
                raise _refused(path, "it is not text, or has lines without end")
            if whole:
                yield whole.decode("utf-8", "replace")
            if not block:
                return
            rest = begun


def _refused(path: str, why: str) -> InputError:
    return InputError(
        "the list of URLs cannot be read",
        where=path,
        why=why,
        fix="Give a text file with one domain or URL a line, plain or as .gz",
    )

"""What tests of stages share: small inputs, a recipe around them, and readers of what was made."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from corpus import build
from corpus.config import Recipe
from corpus.engine import Engine, LocalEngine
from corpus.manifest import Manifest, Shard
from corpus.progress import Silent

ENGINE = LocalEngine(0)


class Recording(Silent):
    """Counts the shards that each step makes, and those that it takes over."""

    def __init__(self) -> None:
        self.made: dict[str, int] = {}
        self.reused: dict[str, int] = {}

    def start(self, stage: str, *, total: int, reused: int, shards: int) -> None:
        self._stage = stage
        self.made[stage] = 0
        self.reused[stage] = reused

    def advance(self, shard: Shard, weight: int) -> None:
        self.made[self._stage] += 1


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows, unless they are there: the time of a file counts for `crawl`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if not path.exists() or path.read_text() != content:
        path.write_text(content)
    return path


def make_recipe(sources: Mapping[str, Any], **sections: Any) -> Recipe:
    """Return a recipe; a source may be just a path or a list of rows for `make`."""
    given = {
        name: source if isinstance(source, dict) else {"documents": str(source)}
        for name, source in sources.items()
    }
    return Recipe.model_validate({"name": "test", "seed": 11, "sources": given, **sections})


def run(
    recipe: Recipe,
    output: Path | str,
    until: str | None = None,
    engine: Engine = ENGINE,
    progress: Silent | None = None,
) -> build.Build:
    return build.build(recipe, str(output), engine, progress or Silent(), until)


def rows(manifest: Manifest, role: str, source: str | None = None) -> list[dict[str, Any]]:
    """Return the rows of all Parquet files of a role, in order."""
    found: list[dict[str, Any]] = []
    for shard in manifest.shards:
        if source in (None, shard.source):
            for output in shard.all(role):
                found += pq.read_table(manifest.path(output)).to_pylist()
    return found


def by_id(manifest: Manifest, role: str = "verdict") -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in rows(manifest, role)}


def digests(folder: Path, *, ignored: Sequence[str] = ("build.lock",)) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ignored
    }


# Common words, so that a text of them is known for English.
WORDS = re.findall(
    r"\w+",
    """
    the of and to in a is was he for it with as his on be at by had not are but from or have an they
    which one you were her all she there would their we him been has when who will more no if out so
    said what up its about into than them can only other new some could time these two may then do
    first any my now such like our over man me even most made after also did many before must back
    through years where much your way well down should because each just those people mister how too
    little state good very make world still own see men work long get here between both life being
    under never day same another know while last might us great old year
    """,
)


def text(seed: int | str, words: int = 80) -> str:
    """Return a text of common words in an order of its own."""
    generator = random.Random(f"text {seed}")
    return " ".join(generator.choice(WORDS) for _ in range(words))


def changed(original: str, seed: int, words: int) -> str:
    """Return a text of the same length with so many words, in a row in the middle, changed."""
    generator = random.Random(f"changed {seed}")
    given = original.split()
    start = generator.randrange(5, len(given) - words - 5)
    for i in range(start, start + words):
        given[i] = "".join(generator.choice("bcdfghjklmnpqrstvwxz") for _ in given[i])
    return " ".join(given)


def page(number: int) -> bytes:
    """Return an article of a few paragraphs in HTML."""
    paragraphs = "".join(f"<p>{text(f'{number} {i}', 60).capitalize()}.</p>" for i in range(3))
    head = f"<html><head><title>Page {number}</title></head>"
    return f"{head}<body><article>{paragraphs}</article></body></html>".encode()


def warc(pages: list[tuple[bytes, str, str]]) -> bytes:
    """Return a WARC of pages: body, status, content type. A gzip member each, as crawls have it."""
    members = []
    for number, (body, status, kind) in enumerate(pages):
        payload = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n\r\n".encode() + body
        head = (
            "WARC/1.0\r\nWARC-Type: response\r\nWARC-Date: 2026-11-23T01:02:03Z\r\n"
            f"WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-{number:012d}>\r\n"
            f"WARC-Target-URI: https://site{number}.example/\r\n"
            "Content-Type: application/http; msgtype=response\r\n"
            f"Content-Length: {len(payload)}\r\n\r\n"
        )
        members.append(gzip.compress(head.encode() + payload + b"\r\n\r\n", mtime=0))
    return b"".join(members)


def html(count: int) -> list[tuple[bytes, str, str]]:
    """Return good pages for `warc`."""
    return [(page(number), "200 OK", "text/html; charset=utf-8") for number in range(count)]

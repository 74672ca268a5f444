"""One document a URL: what is decided before anything is signed, when the recipe says so.

In: documents and the verdict before. Out: parts without the documents whose address a better one
has. Addresses are compared by `corpus.sources.urls.key`; a document without one duplicates none.
The steps: `urls`, the keys of each part, sorted into an exchange, kept and used again; `addresses`,
per range of keys the documents with the key of a better one; `unique`, what is left of each part.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.dedup import exchange
from corpus.dedup.copies import CopiesTask, find_copies
from corpus.dedup.order import Scope
from corpus.dedup.signatures import joined, scores, signed
from corpus.dedup.spans import EVERY, firsts, row_bases, spans
from corpus.engine import Engine
from corpus.manifest import Counts, Manifest, Shard, fingerprint, read_manifest
from corpus.parts import Part, batches, kept_rows, write_table
from corpus.progress import Progress
from corpus.stage_folder import make

VERSION = 1


@dataclass(frozen=True)
class UrlsTask:
    """One part whose addresses are hashed."""

    name: str
    source: str
    key: str
    weight: int
    part: Part
    folder: str = ""


@dataclass(frozen=True)
class UniqueTask:
    """The parts of one span, of which documents are left out.

    Attributes:
        parts: The parts.
        first: The number of the first part.
        base: The number of its first row.
        span: The span.
        addresses: Folder of the documents with the address of a better one.
    """

    name: str
    source: str
    key: str
    weight: int
    parts: tuple[Part, ...]
    first: int
    base: int
    span: int
    addresses: str
    folder: str = ""


def hash_urls(found: Sequence[Part], output: str, engine: Engine, progress: Progress) -> Manifest:
    """Hash the addresses of all documents that are still in."""
    tasks = [
        UrlsTask(
            name=part.name,
            source=part.source,
            key=fingerprint("urls", VERSION, part.sha256, part.verdict_sha256),
            weight=part.rows + 1,
            part=part,
        )
        for part in found
    ]
    return make(output, "urls", urls_shard, tasks, engine, progress, settings={"version": VERSION})


def urls_shard(task: UrlsTask) -> Shard:
    """Write the hashed addresses of one part."""
    from corpus.sources.urls import key
    from corpus.text import minhash

    part = task.part
    kept = kept_rows(part)
    rows, lengths, ids, hashes = [], [], [], []
    for start, batch in batches(part, ["id", "url", "text"]):
        given = batch.column("url").to_pylist()
        keys = [key(url) if url is not None else None for url in given]
        has = np.array([one is not None for one in keys], dtype=np.bool_)
        own = np.flatnonzero(has & kept[start : start + len(batch)])
        rows.append(own + start)
        lengths.append(pc.binary_length(batch.column("text").take(pa.array(own))).to_numpy())
        ids.append(batch.column("id").take(pa.array(own)))
        hashes.append(minhash.exact_keys(pa.array([keys[i] for i in own], pa.string())))
    row = joined(rows, np.int64)
    digest = joined(hashes, np.uint64).reshape(-1, 2)
    table = pa.table(
        {
            "high": digest[:, 0],
            "low": digest[:, 1],
            "position": row.astype(np.int32),
            "score": scores(part)[row],
            "length": joined(lengths, np.int64),
            "id": pa.chunked_array(ids, pa.string()),
        }
    )
    bits = exchange.bits(len(table), exchange.BATCH_ROWS)
    path = f"{task.source}/{task.name}.urls.{bits}.arrow"
    partition = exchange.by_hash(digest[:, 0], bits)
    output = exchange.write(task.folder, path, table, partition, "urls")
    return Shard(task.name, task.source, task.key, (output,), Counts(part.rows, part.rows))


def without_duplicates(
    found: Sequence[Part],
    urls: Sequence[Manifest],
    scope: Scope,
    place: str,
    key: str,
    engine: Engine,
    progress: Progress,
) -> tuple[list[Part], Manifest]:
    """Return the parts with one document for each address, and the manifest of the others.

    Args:
        found: The parts.
        urls: Their addresses, then those of each index.
        scope: Which documents are compared.
        place: Folder of the steps.
        key: Digest of all that the outcome depends on.
        engine: What runs the tasks.
        progress: Who is told.
    """
    hashed = signed(urls, scope)
    bits = exchange.bits(hashed.rows("urls"), exchange.COPY_ROWS)
    cut = spans(np.diff(hashed.bases).tolist(), hashed.own_parts)
    bounds = firsts(hashed.bases, cut)
    ranges = [
        CopiesTask(
            name=f"{partition:05d}",
            source=EVERY,
            key=f"{key}-addresses-{partition}-{bits}",
            weight=1,
            signatures=tuple(manifest.folder for manifest in urls),
            partition=partition,
            bits=bits,
            scope=scope,
            bounds=bounds,
            ranges=bounds,
            role="urls",
        )
        for partition in range(1 << bits)
    ]
    addresses = make(place, "addresses", find_copies, ranges, engine, progress, exact=True)
    tasks = [
        UniqueTask(
            name=f"{number:05d}",
            source=EVERY,
            key=f"{key}-unique-{number}-{len(cut)}",
            weight=1,
            parts=tuple(found[first:last]),
            first=first,
            base=bounds[number],
            span=number,
            addresses=addresses.folder,
        )
        for number, (first, last) in enumerate(cut)
        if first < hashed.own_parts
    ]
    unique = make(place, "unique", leave_out, tasks, engine, progress, exact=True)
    left = list(found)
    for shard in unique.shards:
        for index, output in zip(shard.details["parts"], shard.outputs, strict=True):
            verdict = unique.path(output)
            left[index] = dataclasses.replace(
                left[index], verdict=verdict, verdict_sha256=output.sha256
            )
    return left, addresses


def leave_out(task: UniqueTask) -> Shard:
    """Write what is left of each part that loses a document: `kept` and `score` of each row."""
    manifest = read_manifest(task.addresses)
    numbers = [np.empty(0, np.int64)]
    for shard in manifest.shards:
        gone = exchange.read(manifest.path(shard.output("gone")), task.span, task.span + 1)
        numbers.append(gone["document"].to_numpy())
    dropped = np.sort(np.concatenate(numbers))
    bases = task.base + row_bases(task.parts)
    starts = np.searchsorted(dropped, bases)
    outputs, present = [], []
    for turn in np.flatnonzero(np.diff(starts)).tolist():
        part = task.parts[turn]
        kept = kept_rows(part).copy()
        kept[dropped[starts[turn] : starts[turn + 1]] - bases[turn]] = False
        table = pa.table({"kept": kept, "score": scores(part)})
        present.append(task.first + turn)
        path = f"{task.source}/{present[-1]:06d}.parquet"
        outputs.append(write_table(task.folder, path, table, "verdict"))
    return Shard(task.name, task.source, task.key, tuple(outputs), details={"parts": present})

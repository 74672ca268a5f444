"""The documents that were kept, as JSONL or Parquet: a file a part, what was cut left out.

In: a build. Out: files in a folder, each document once and in order; personal data masked if asked.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import zstandard

from corpus import storage
from corpus.build import Build
from corpus.document import DOCUMENT_SCHEMA
from corpus.export.rows import Files
from corpus.parts import Part, batches, kept_rows, parts, read_cuts
from corpus.stages.tokenize import mask_texts
from corpus.text.cut_texts import without_cuts

COMPRESSIONS = ("zst", "gz", "none")
_LEVEL = 3  # of zstd: its default; 10 gains 8 % of size for four times the time


def write(
    build: Build, form: str, compression: str, files: Files, mask: Sequence[str]
) -> tuple[int, dict[str, int]]:
    """Write the documents.

    Args:
        build: The build.
        form: "jsonl" or "parquet".
        compression: Of JSONL, one of `COMPRESSIONS`.
        files: Where to.
        mask: Kinds of personal data to mask.

    Returns:
        How many documents there are, and how many of each kind were masked.
    """
    stages = build.verdicts
    suffix = ".parquet" if form == "parquet" else ".jsonl"
    if form == "jsonl" and compression != "none":
        suffix += f".{compression}"
    write_rows = (
        _write_parquet if form == "parquet" else functools.partial(_write_jsonl, compression)
    )
    documents = 0
    masked: Counter[str] = Counter(dict.fromkeys(mask, 0))
    for part in parts(build.stage("extract"), stages[-1] if stages else None):
        name = f"{part.source}/{part.name}{suffix}"
        path = storage.join(files.folder, name)
        with storage.publish(path) as temporary:
            rows = write_rows(temporary, _masked(kept_documents(part), mask, masked))
        documents += rows
        files.add(name)
        files.say(f"{path}: {rows:,} documents")
    return documents, dict(masked)


def _masked(
    documents: Iterator[pa.RecordBatch], mask: Sequence[str], tally: Counter[str]
) -> Iterator[pa.RecordBatch]:
    """Yield documents with their texts and titles masked, and add up what was."""
    for batch in documents:
        for name in ("text", "title") if mask else ():
            place = batch.schema.get_field_index(name)
            column = batch.column(place)
            texts, numbers = mask_texts(column.fill_null("").to_pylist(), mask)
            tally.update(numbers)
            masked = pa.array(texts, column.type)
            valid = column.is_valid()
            column = pc.if_else(valid, masked, pa.scalar(None, column.type))
            batch = batch.set_column(place, batch.schema.field(place), column)
        yield batch


def kept_documents(part: Part) -> Iterator[pa.RecordBatch]:
    """Yield the documents of a part that are in the corpus, without what was cut out of them."""
    kept = kept_rows(part)
    cuts = read_cuts(part)
    for start, batch in batches(part, DOCUMENT_SCHEMA.names):
        rows = pa.array(np.flatnonzero(kept[start : start + len(batch)]))
        chosen = batch.take(rows)
        if cuts is not None and len(chosen):
            spans = cuts.slice(start, len(batch)).take(rows).to_pylist()
            chosen = _cut(chosen, spans)
        if len(chosen):
            yield chosen


def _cut(batch: pa.RecordBatch, spans: Sequence[Any]) -> pa.RecordBatch:
    column = without_cuts(batch.column("text"), spans)
    return batch.set_column(batch.schema.get_field_index("text"), "text", column)


def _write_parquet(path: Path, documents: Iterator[pa.RecordBatch]) -> int:
    rows = 0
    with pq.ParquetWriter(
        path, DOCUMENT_SCHEMA, compression="zstd", use_dictionary=["source"]
    ) as file:
        for batch in documents:
            file.write_table(pa.Table.from_batches([batch]).cast(DOCUMENT_SCHEMA))
            rows += len(batch)
    return rows


def _write_jsonl(compression: str, path: Path, documents: Iterator[pa.RecordBatch]) -> int:
    rows = 0
    with path.open("wb") as raw, compressed(raw, compression) as file:
        for batch in documents:
            for row in batch.to_pylist():
                # What a document has not is left out, as JSONL corpora do.
                given = {key: value for key, value in row.items() if value is not None}
                file.write(json.dumps(given, ensure_ascii=False).encode() + b"\n")
            rows += len(batch)
    return rows


@contextlib.contextmanager
def compressed(raw: BinaryIO, compression: str) -> Iterator[BinaryIO]:
    """Yield a file that writes compressed into another one: "zst", "gz" or "none"."""
    if compression == "none":
        yield raw
    elif compression == "gz":
        # No name and no time in the header: equal builds give equal files.
        with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
            yield cast(BinaryIO, file)
    else:
        with zstandard.ZstdCompressor(level=_LEVEL).stream_writer(raw, closefd=False) as file:
            yield cast(BinaryIO, file)

"""Exporting what was built, for other programs: documents, or the mixture for another trainer.

In: a build. Out: in a folder, JSONL or Parquet with the documents that were kept, a file a part,
what was cut out of them left out; or what `corpus.formats` writes. `export.json` there names the
build and the files.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
from corpus.errors import OutputError, RecipeError
from corpus.mixture import Mixture
from corpus.parts import Part, batches, kept_rows, parts
from corpus.stages.tokenize import apply_cuts, mask_texts
from corpus.verdicts import read_cuts

FORMATS = ("jsonl", "parquet", "nanogpt", "megatron")
COMPRESSIONS = ("zst", "gz", "none")
RECORD = "export.json"
_LEVEL = 3  # of zstd: its default; 10 gains 8 % of size for four times the time


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        folder: The folder.
        files: The files in it.
        documents: The documents in them, 0 for mixtures.
        masked: How many of each kind of personal data were masked; nothing without masks.
    """

    folder: str
    files: tuple[str, ...]
    documents: int
    masked: Mapping[str, int] = field(default_factory=dict)


def export(
    build: Build,
    *,
    form: str,
    folder: str,
    compression: str,
    force: bool,
    say: Callable[[str], None],
    mask: Sequence[str] = (),
) -> Export:
    """Write a build in another form.

    Files appear when they are whole; those that were there are written again.

    Args:
        build: The build.
        form: One of `FORMATS`.
        folder: Where to.
        compression: Of JSONL: "zst", "gz" or "none".
        force: Write into a folder that holds other things too.
        say: Is told of each file.
        mask: Kinds of personal data to mask in texts and titles: "email", "ip", "phone".

    Raises:
        RecipeError: No such form, compression or kind, or masks for a mixture.
        OutputError: The folder holds other things, or cannot be written.
        InputError: The stages that are needed are not built.
    """
    for what, value, known in (
        ("--format", form, FORMATS),
        ("--compression", compression, COMPRESSIONS),
    ):
        if value not in known:
            raise RecipeError(
                f"{value!r} is not known", where=what, fix=f"Use one of {', '.join(known)}"
            )
    documents = form in ("jsonl", "parquet")
    _require_masks(mask, documents)
    depends = [build.stage("extract"), *build.verdicts] if documents else [build.stage("mix")]
    record: dict[str, Any] = {
        "format": form,
        "compression": compression if form == "jsonl" else None,
        "stages": {manifest.stage: manifest.fingerprint for manifest in depends},
        **({"mask": sorted(set(mask))} if mask else {}),
    }
    _claim(folder, record, force)
    if documents:
        written = _documents(build, form, folder, compression, say, sorted(set(mask)))
    else:
        written = Export(folder, tuple(_mixture(build, form, folder)), 0)
    record["files"] = sorted(name.removeprefix(f"{folder.rstrip('/')}/") for name in written.files)
    if mask:
        record["masked"] = dict(written.masked)
    storage.write_json(storage.join(folder, RECORD), record)
    return written


def _require_masks(mask: Sequence[str], documents: bool) -> None:
    if not mask:
        return
    from corpus.text.pii import KINDS

    for kind in mask:
        if kind not in KINDS:
            raise RecipeError(
                f"{kind!r} is not known", where="--mask", fix=f"Use some of {', '.join(KINDS)}"
            )
    if not documents:
        raise RecipeError(
            "a mixture is exported as it was tokenized",
            where="--mask",
            fix=f"Say it in the recipe: tokenize: {{mask: [{', '.join(mask)}]}}",
        )


def _claim(folder: str, record: dict[str, Any], force: bool) -> None:
    """Make sure that nothing of someone else's is mixed with what is written, and say whose it is.

    Raises:
        OutputError: The folder holds other things, or an export of another build.
    """
    path = storage.join(folder, RECORD)
    if storage.list_folder(folder) and not force:
        mine = storage.read_json(path) if storage.exists(path) else {}
        if {key: mine.get(key) for key in record} != record:
            raise OutputError(
                "the folder holds an export of another build or form"
                if mine
                else "the folder is not empty and was not made by corpus export",
                where=folder,
                fix="Choose another folder, empty this one, or add --force to write into it",
            )
    storage.sweep(folder)
    if storage.exists(path):
        # What an earlier export has left would be taken for a part of this one.
        for name in storage.read_json(path).get("files", []):
            if ".." not in name.split("/"):
                storage.remove(storage.join(folder, name))
    storage.write_json(path, record)


def _documents(
    build: Build,
    form: str,
    folder: str,
    compression: str,
    say: Callable[[str], None],
    mask: Sequence[str],
) -> Export:
    stages = build.verdicts
    suffix = ".parquet" if form == "parquet" else ".jsonl"
    if form == "jsonl" and compression != "none":
        suffix += f".{compression}"
    write = _write_parquet if form == "parquet" else functools.partial(_write_jsonl, compression)
    files: list[str] = []
    documents = 0
    masked: Counter[str] = Counter(dict.fromkeys(mask, 0))
    for part in parts(build.stage("extract"), stages[-1] if stages else None):
        path = storage.join(folder, part.source, f"{part.name}{suffix}")
        with storage.publish(path) as temporary:
            rows = write(temporary, _masked(kept_documents(part), mask, masked))
        documents += rows
        files.append(path)
        say(f"{path}: {rows:,} documents")
    return Export(folder, tuple(files), documents, dict(masked))


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
    if not any(spans):
        return batch
    texts = zip(batch.column("text").to_pylist(), spans, strict=True)
    column = pa.array([apply_cuts(text, own) for text, own in texts], pa.large_string())
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


def _mixture(build: Build, form: str, folder: str) -> list[str]:
    from corpus import formats

    mix = build.stage("mix")
    path = mix.path(mix.shards[0].output("mixture"))
    mixture = Mixture.from_json(storage.read_json(path), where=path)
    if form == "nanogpt":
        return formats.export_nanogpt(
            mixture, folder=mix.folder, output=folder, sequences=mixture.horizon
        )
    return formats.export_megatron(mixture, folder=mix.folder, output=folder)


def describe(made: Export) -> Iterator[str]:
    """Yield what a person reads."""
    what = f"{made.documents:,} documents in " if made.documents else ""
    yield f"Exported {what}{len(made.files):,} files to {made.folder}"
    if made.masked:
        yield f"Masked {', '.join(f'{number:,} {kind}' for kind, number in made.masked.items())}"

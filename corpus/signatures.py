"""The signatures of documents, in a folder of their own beside the stage `dedup`.

In: documents and the verdict before. Out, for each part: row, length, number of shingles, 128-bit
key of the text and band keys of every document that is still in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus import duplicates
from corpus.config import DedupScheme
from corpus.engine import Engine
from corpus.manifest import Counts, Manifest, Shard, fingerprint
from corpus.parts import Part, batches, kept_rows, read_columns, write_table
from corpus.progress import Progress
from corpus.stage_folder import make

VERSION = 1
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SignaturesTask:
    """One part to sign."""

    name: str
    source: str
    key: str
    weight: int
    part: Part
    scheme: DedupScheme
    seed: int
    folder: str = ""


@dataclass(frozen=True)
class Signed:
    """The signatures of all documents that reached the stage, numbered from 0.

    Attributes:
        ids: Identifiers.
        part: Index of each document's part.
        row: Its row there.
        exact: 128-bit keys of the texts, shape (n, 2).
        length: Bytes of text.
        rank: Visiting order.
    """

    ids: list[str]
    part: Ints
    row: Ints
    exact: npt.NDArray[np.uint64]
    length: Ints
    rank: Ints


def sign(
    found: Sequence[Part],
    scheme: DedupScheme,
    seed: int,
    output: str,
    engine: Engine,
    progress: Progress,
) -> Manifest:
    """Sign every document that is still in."""
    from corpus.text import minhash, normalization

    values = scheme.model_dump(mode="json", exclude={"threshold"})
    words = normalization.WORDS_VERSIONS[scheme.words]
    versions = (VERSION, words, minhash.SIGNATURE_VERSION, minhash.BAND_KEY_VERSION)
    tasks = [
        SignaturesTask(
            name=part.name,
            source=part.source,
            key=fingerprint("signatures", versions, values, seed, part.sha256, part.verdict_sha256),
            weight=part.rows + 1,
            part=part,
            scheme=scheme,
            seed=seed % 2**32,  # as wide as the seed of datasketch's permutations
        )
        for part in found
    ]
    stored = {"versions": versions, "seed": seed, **values}
    return make(output, "signatures", signatures_shard, tasks, engine, progress, settings=stored)


def signatures_shard(task: SignaturesTask) -> Shard:
    """Write exact key, length and band keys of the documents of one part that are still in."""
    from corpus.text import minhash, ngrams

    part, scheme = task.part, task.scheme
    kept = kept_rows(part)
    empty = pa.list_(pa.uint64(), scheme.bands)
    columns: list[pa.RecordBatch] = []
    for start, batch in batches(part, ["text"]):
        rows = np.flatnonzero(kept[start : start + len(batch)])
        texts = batch.column("text").take(pa.array(rows))
        signatures = minhash.signatures(
            texts,
            permutations=scheme.bands * scheme.rows,
            shingle=scheme.shingle,
            words=scheme.words,
            seed=task.seed,
        )
        keys = minhash.band_keys(signatures, bands=scheme.bands, rows=scheme.rows)
        exact = minhash.exact_keys(texts)
        _, offsets = ngrams.text_buffers(texts)
        shingles = np.diff(
            ngrams.shingle_sets(texts, shingle=scheme.shingle, words=scheme.words)[0]
        )
        columns.append(
            pa.record_batch(
                {
                    "row": pa.array(rows + start, pa.int64()),
                    "length": pa.array(np.diff(offsets), pa.int64()),
                    "shingles": pa.array(shingles, pa.int64()),
                    "exact": pa.FixedSizeListArray.from_arrays(pa.array(exact.ravel()), 2),
                    "bands": pa.FixedSizeListArray.from_arrays(
                        pa.array(keys.ravel()), scheme.bands
                    ),
                }
            )
        )
    schema = pa.schema(
        {
            "row": pa.int64(),
            "length": pa.int64(),
            "shingles": pa.int64(),
            "exact": pa.list_(pa.uint64(), 2),
            "bands": empty,
        }
    )
    table = pa.Table.from_batches([c.cast(schema) for c in columns], schema)
    path = f"{task.source}/{task.name}.parquet"
    output = write_table(task.folder, path, table, "signatures")
    return Shard(
        task.name, task.source, task.key, (output,), Counts(table.num_rows, table.num_rows)
    )


def read_signed(found: Sequence[Part], paths: Sequence[str], sources: list[str]) -> Signed:
    """Return the signatures of all parts, with the visiting order."""
    ids: list[str] = []
    scores: list[npt.NDArray[np.float64]] = []
    tables: list[pa.Table] = []
    for part, path in zip(found, paths, strict=True):
        table = read_columns(path, ["row", "length", "exact"])
        tables.append(table)
        ids += read_columns(part.documents, ["id"])["id"].take(table["row"]).to_pylist()
        score = np.full(part.rows, np.nan)
        if part.verdict is not None:
            columns = read_columns(part.verdict, ["score"])
            score = columns["score"].to_numpy(zero_copy_only=False).astype(np.float64)
        scores.append(score[table["row"].to_numpy()])
    counts = [table.num_rows for table in tables]
    part_index = np.repeat(np.arange(len(found)), counts)
    whole = pa.concat_tables(tables)
    length = whole["length"].to_numpy()
    priority = np.array([sources.index(part.source) for part in found], dtype=np.int64)
    return Signed(
        ids=ids,
        part=part_index,
        row=whole["row"].to_numpy(),
        exact=matrix(whole["exact"], 2),
        length=length,
        rank=duplicates.visiting_order(priority[part_index], np.concatenate(scores), length, ids),
    )


def matrix(column: pa.ChunkedArray, width: int) -> npt.NDArray[np.uint64]:
    """Return a column of lists of one width as an array, shape (rows, width)."""
    values = [np.asarray(chunk.flatten(), dtype=np.uint64) for chunk in column.chunks]
    return np.concatenate(values or [np.empty(0, np.uint64)]).reshape(-1, width)

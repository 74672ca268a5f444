"""The signatures of documents, in a folder of their own beside the stage `dedup`.

In: documents and the verdict before. Out, for each part, of the documents that are still in:
`documents` (row, bytes of text, shingles, score), `texts` (128-bit key of the text) and `bands`
(band keys), the last two sorted into an exchange by the first bits of the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.config import DedupScheme
from corpus.dedup import exchange
from corpus.engine import Engine
from corpus.manifest import Counts, Manifest, Output, Shard, fingerprint, read_manifest
from corpus.parts import Part, batches, kept_rows, read_columns, write_table
from corpus.progress import Progress
from corpus.stage_folder import make

VERSION = 2
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
    """The signatures of a build, and the numbers of its documents.

    Attributes:
        manifest: Of the signatures; its shards are the parts.
        bases: The number of each part's first document, and past them that of all, (parts + 1,).
    """

    manifest: Manifest
    bases: Ints

    @property
    def sources(self) -> list[str]:
        """The sources, in the order of the parts."""
        return self.manifest.sources()

    def paths(self, role: str) -> list[str]:
        """Return the file of a role of each part."""
        return [self.manifest.path(shard.output(role)) for shard in self.manifest.shards]

    def rows(self, role: str) -> int:
        """Return the number of rows of a role in all parts."""
        return sum(shard.output(role).rows for shard in self.manifest.shards)


def read_signed(folder: str) -> Signed:
    """Return the signatures that lie in a folder."""
    return signed(read_manifest(folder))


def signed(manifest: Manifest) -> Signed:
    """Return the signatures of a manifest."""
    counts = [shard.counts.into for shard in manifest.shards]
    return Signed(manifest, np.cumsum([0, *counts], dtype=np.int64))


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

    values = scheme.model_dump(mode="json", exclude={"threshold", "scope"})
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
    """Sign the documents of one part that are still in."""
    from corpus.text import minhash, ngrams

    part, scheme = task.part, task.scheme
    kept = kept_rows(part)
    rows, lengths, shingles, exact, bands, ids = [], [], [], [], [], []
    for start, every_row in batches(part, ["id", "text"]):
        batch = every_row
        own = np.flatnonzero(kept[start : start + len(batch)])
        if len(own) < len(batch):
            batch = batch.take(pa.array(own))
        texts = batch.column("text")
        signatures, grams = minhash.counted_signatures(
            texts,
            permutations=scheme.bands * scheme.rows,
            shingle=scheme.shingle,
            words=scheme.words,
            seed=task.seed,
        )
        rows.append(own + start)
        lengths.append(np.diff(ngrams.text_buffers(texts)[1]))
        shingles.append(grams)
        exact.append(minhash.exact_keys(texts))
        bands.append(minhash.band_keys(signatures, bands=scheme.bands, rows=scheme.rows))
        ids.append(batch.column("id"))
    every = pa.table(
        {
            "row": _joined(rows, np.int64),
            "length": _joined(lengths, np.int64),
            "shingles": _joined(shingles, np.int64),
            "score": pa.array(_scores(part)[_joined(rows, np.int64)], pa.float64()),
        }
    )
    keys = _joined(exact, np.uint64).reshape(-1, 2)
    matrix = _joined(bands, np.uint64).reshape(-1, scheme.bands)
    name = f"{task.source}/{task.name}"
    outputs = (
        write_table(task.folder, f"{name}.parquet", every, "documents"),
        _write_texts(task.folder, name, every, keys, pa.chunked_array(ids, pa.string())),
        _write_bands(task.folder, name, every, keys, matrix),
    )
    return Shard(task.name, task.source, task.key, outputs, Counts(len(every), len(every)))


def _joined(arrays: Sequence[npt.NDArray[Any]], dtype: type) -> npt.NDArray[Any]:
    return np.concatenate([np.empty((0, *arrays[0].shape[1:]) if arrays else 0, dtype), *arrays])


def _scores(part: Part) -> npt.NDArray[np.float64]:
    """Return the quality score of each row, NaN where there is none."""
    if part.verdict is None:
        return np.full(part.rows, np.nan)
    score = read_columns(part.verdict, ["score"])["score"]
    return cast(npt.NDArray[np.float64], score.to_numpy(zero_copy_only=False).astype(np.float64))


def _write_texts(
    folder: str, name: str, every: pa.Table, keys: npt.NDArray[np.uint64], ids: pa.ChunkedArray
) -> Output:
    """Write the exact keys of the texts; empty ones are nobody's copies."""
    filled = np.flatnonzero(every["length"].to_numpy() > 0)
    table = pa.table(
        {
            "high": keys[filled, 0],
            "low": keys[filled, 1],
            "position": filled.astype(np.int32),
            "score": every["score"].take(pa.array(filled)),
            "id": ids.take(pa.array(filled)),
        }
    )
    bits = exchange.bits(len(table), exchange.BATCH_ROWS)
    partition = exchange.by_hash(keys[filled, 0], bits)
    return exchange.write(folder, f"{name}.texts.{bits}.arrow", table, partition, "texts")


def _write_bands(
    folder: str,
    name: str,
    every: pa.Table,
    keys: npt.NDArray[np.uint64],
    matrix: npt.NDArray[np.uint64],
) -> Output:
    """Write the band keys, once for all copies of a text in the part.

    Documents without a single shingle have the same signature, and are compared exactly alone.
    """
    first = np.zeros(len(keys), dtype=np.bool_)
    first[np.unique(keys, axis=0, return_index=True)[1] if len(keys) else []] = True
    own = np.flatnonzero(first & (every["shingles"].to_numpy() > 0))
    flat = matrix[own].ravel()
    position = np.repeat(own.astype(np.int32), matrix.shape[1])
    table = pa.table({"key": flat, "position": position})
    bits = exchange.bits(len(flat), exchange.BATCH_ROWS)
    partition = exchange.by_hash(flat, bits)
    return exchange.write(folder, f"{name}.bands.{bits}.arrow", table, partition, "bands")

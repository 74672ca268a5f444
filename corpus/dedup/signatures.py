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
from corpus.dedup.order import Scope, visiting_order
from corpus.engine import Engine
from corpus.manifest import Counts, Manifest, Output, Shard, fingerprint, read_manifest
from corpus.parts import Part, batches, kept_rows, read_columns, write_table
from corpus.progress import Progress
from corpus.stage_folder import make

VERSION = 3
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
    """The signatures of a build and of the indexes it is compared with, with document numbers.

    Attributes:
        manifests: Of the build's signatures, then of each index's; their shards are the parts.
        bases: The number of each part's first document, and past them that of all, (parts + 1,).
        sources: The number of each part's source, as `Scope.sources` has them.
    """

    manifests: tuple[Manifest, ...]
    bases: Ints
    sources: tuple[int, ...]

    @property
    def folders(self) -> tuple[str, ...]:
        """Where the signatures lie."""
        return tuple(manifest.folder for manifest in self.manifests)

    @property
    def own_parts(self) -> int:
        """How many of the parts are the build's own; those of indexes follow."""
        return len(self.manifests[0].shards)

    @property
    def own(self) -> int:
        """How many of the documents are the build's own, which is the first number of another."""
        return int(self.bases[self.own_parts])

    def paths(self, role: str) -> list[str]:
        """Return the file of a role of each part."""
        return [m.path(shard.output(role)) for m in self.manifests for shard in m.shards]

    def rows(self, role: str) -> int:
        """Return the number of rows of a role in all parts."""
        return sum(shard.output(role).rows for m in self.manifests for shard in m.shards)


def read_signed(folders: Sequence[str], scope: Scope) -> Signed:
    """Return the signatures that lie in folders: a build's, then those of its indexes."""
    return signed([read_manifest(folder) for folder in folders], scope)


def signed(manifests: Sequence[Manifest], scope: Scope) -> Signed:
    """Return the signatures of manifests: a build's, then those of its indexes."""
    counts = [shard.counts.into for m in manifests for shard in m.shards]
    sources: list[int] = []
    first = 0
    for turn, manifest in enumerate(manifests):
        names = list(scope.sources[: scope.own]) if not turn else manifest.sources()
        sources += [first + names.index(shard.source) for shard in manifest.shards]
        first += len(names)
    return Signed(tuple(manifests), np.cumsum([0, *counts], dtype=np.int64), tuple(sources))


def sign(
    found: Sequence[Part],
    scheme: DedupScheme,
    seed: int,
    output: str,
    engine: Engine,
    progress: Progress,
) -> Manifest:
    """Sign every document that is still in."""
    stored = signature_settings(scheme, seed)
    values = {key: value for key, value in stored.items() if key not in ("versions", "seed")}
    versions = stored["versions"]
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
    return make(output, "signatures", signatures_shard, tasks, engine, progress, settings=stored)


def signature_settings(scheme: DedupScheme, seed: int) -> dict[str, Any]:
    """Return all that signatures depend on beside the text: those of equal ones can be compared."""
    from corpus.text import minhash, normalization

    words = normalization.WORDS_VERSIONS[scheme.words]
    versions = [VERSION, words, minhash.SIGNATURE_VERSION, minhash.BAND_KEY_VERSION]
    values = scheme.model_dump(mode="json", exclude={"threshold", "scope"})
    return {"versions": versions, "seed": seed, **values}


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
        del every_row, batch, texts  # or they are held while the next ones are read
    every = pa.table(
        {
            "row": joined(rows, np.int64),
            "length": joined(lengths, np.int64),
            "shingles": joined(shingles, np.int64),
            "score": pa.array(scores(part)[joined(rows, np.int64)], pa.float64()),
        }
    )
    keys = joined(exact, np.uint64).reshape(-1, 2)
    matrix = joined(bands, np.uint64).reshape(-1, scheme.bands)
    named = every.append_column("id", pa.chunked_array(ids, pa.string()))
    name = f"{task.source}/{task.name}"
    outputs = (
        write_table(task.folder, f"{name}.parquet", every, "documents"),
        _write_texts(task.folder, name, named, keys),
        _write_bands(task.folder, name, named, keys, matrix),
    )
    return Shard(task.name, task.source, task.key, outputs, Counts(len(every), len(every)))


def joined(arrays: Sequence[npt.NDArray[Any]], dtype: type) -> npt.NDArray[Any]:
    """Return arrays as one, which may be of none."""
    return np.concatenate([np.empty((0, *arrays[0].shape[1:]) if arrays else 0, dtype), *arrays])


def scores(part: Part) -> npt.NDArray[np.float64]:
    """Return the quality score of each row, NaN where there is none."""
    if part.verdict is None:
        return np.full(part.rows, np.nan)
    score = read_columns(part.verdict, ["score"])["score"]
    return cast(npt.NDArray[np.float64], score.to_numpy(zero_copy_only=False).astype(np.float64))


def _write_texts(folder: str, name: str, every: pa.Table, keys: npt.NDArray[np.uint64]) -> Output:
    """Write the exact keys of the texts; empty ones are nobody's copies."""
    filled = np.flatnonzero(every["length"].to_numpy() > 0)
    table = pa.table(
        {
            "high": keys[filled, 0],
            "low": keys[filled, 1],
            "position": filled.astype(np.int32),
            "score": every["score"].take(pa.array(filled)),
            "id": every["id"].take(pa.array(filled)),
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
    """Write the band keys, once for all copies of a text in the part: those of the best copy.

    So where any copy of a part is kept, it is one with band keys. Documents without a single
    shingle have the same signature, and are compared exactly alone.
    """
    own = np.flatnonzero(_best_copies(every, keys) & (every["shingles"].to_numpy() > 0))
    flat = matrix[own].ravel()
    position = np.repeat(own.astype(np.int32), matrix.shape[1])
    table = pa.table({"key": flat, "position": position})
    bits = exchange.bits(len(flat), exchange.BATCH_ROWS)
    partition = exchange.by_hash(flat, bits)
    return exchange.write(folder, f"{name}.bands.{bits}.arrow", table, partition, "bands")


def _best_copies(every: pa.Table, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Say of each document whether it is the best, in the order of visits, of those of its text."""
    best = np.ones(len(keys), dtype=np.bool_)
    if not len(keys):
        return best
    _, text, copies = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    text = text.ravel()
    several = np.flatnonzero(copies[text] > 1)
    equal = every.take(pa.array(several))
    order = several[visiting_order(text[several], np.zeros_like(several), equal)]
    best[order[1:][text[order[1:]] == text[order[:-1]]]] = False
    return best

"""Documents that are similar to a text, in a build and in the indexes that it was checked against.

In: a text and a build whose stage dedup is complete. Out: a `Similarity`: what shares a band of
its signature with the text, or is an exact copy of it, with the true Jaccard index of both. Of each
part those batches of hashes are read that the text's keys lie in, and the texts that they name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus import storage
from corpus.build import open_indexes
from corpus.config import DedupScheme
from corpus.dedup import exchange
from corpus.dedup.index import Index, check_alike
from corpus.dedup.signatures import signature_settings
from corpus.errors import InputError
from corpus.manifest import Shard, read_manifest
from corpus.parts import Part, read_columns
from corpus.tables import Block, excerpt, printable
from corpus.verdicts import take_rows

_EXCERPT = 300  # characters of a neighbour's text
_ROWS = 1024  # candidates of a part whose texts are in memory together
_COLUMNS = ["id", "source", "url", "text"]


@dataclass(frozen=True)
class Neighbour:
    """A document that is similar to the text.

    Attributes:
        id: Its identifier.
        source: Its source.
        url: Its URL, or None.
        jaccard: Jaccard index of both sets of shingles; 1 for an exact copy.
        exact: Whether it is the text itself, byte for byte.
        kept: Whether dedup kept it.
        duplicate_of: What it was dropped for, or None.
        folder: The build that it is of.
        excerpt: The beginning of its text.
    """

    id: str
    source: str
    url: str | None
    jaccard: float
    exact: bool
    kept: bool
    duplicate_of: str | None
    folder: str
    excerpt: str


@dataclass(frozen=True)
class Similarity:
    """What is similar to a text.

    Attributes:
        shingles: Distinct shingles of the text; none in one of fewer words than a shingle.
        documents: Documents that were searched.
        candidates: Those that share a band with the text, or are copies of it.
        threshold: The least Jaccard index of the build's duplicates.
        found: Probability with which a pair at the threshold shares a band.
        neighbours: The most similar, most similar first.
    """

    shingles: int
    documents: int
    candidates: int
    threshold: float
    found: float
    neighbours: tuple[Neighbour, ...]


@dataclass(frozen=True)
class _Query:
    text: str
    scheme: DedupScheme
    shingles: npt.NDArray[np.uint64]
    bands: npt.NDArray[np.uint64]
    exact: npt.NDArray[np.uint64]


def similar(folder: str, text: str, *, number: int, least: float) -> Similarity:
    """Return the documents most similar to a text.

    Args:
        folder: Output folder of the build; its indexes are searched too.
        text: The text.
        number: How many to return.
        least: Only those with this Jaccard index and more.

    Raises:
        InputError: There is no build with a stage dedup, or the text is empty.
        RecipeError: The build was signed by another version of the program.
    """
    if not text.strip():
        raise InputError("the text is empty", where="TEXT", fix="Give some words")
    indexes = open_indexes([folder])
    stored = read_manifest(storage.join(indexes[0].folder, indexes[0].name)).settings
    scheme = DedupScheme(**{key: stored[key] for key in DedupScheme.model_fields})
    check_alike(indexes, signature_settings(scheme, stored["seed"]))
    query = _signed(text, scheme, stored["seed"])
    best: list[Neighbour] = []
    documents = candidates = 0
    for index in indexes:
        for part, shard in zip(index.parts, index.signatures.shards, strict=True):
            documents += shard.counts.into
            positions = _positions(index, shard, query)
            candidates += len(positions)
            for start in range(0, len(positions), _ROWS):
                own = positions[start : start + _ROWS]
                found = [n for n in _compared(index, shard, part, own, query) if n.jaccard >= least]
                best = sorted([*best, *found], key=_most_similar)[:number]
    miss = (1 - scheme.threshold**scheme.rows) ** scheme.bands
    return Similarity(
        len(query.shingles), documents, candidates, scheme.threshold, 1 - miss, tuple(best)
    )


def _signed(text: str, scheme: DedupScheme, seed: int) -> _Query:
    from corpus.text import minhash, ngrams

    texts = pa.array([text], pa.large_string())
    values = minhash.signatures(
        texts,
        permutations=scheme.bands * scheme.rows,
        shingle=scheme.shingle,
        words=scheme.words,
        seed=seed % 2**32,
    )
    _, shingles = ngrams.shingle_sets(texts, shingle=scheme.shingle, words=scheme.words)
    bands = minhash.band_keys(values, bands=scheme.bands, rows=scheme.rows)[0]
    if not len(shingles):
        bands = bands[:0]
    return _Query(text, scheme, shingles, bands, minhash.exact_keys(texts)[0])


def _positions(index: Index, shard: Shard, query: _Query) -> npt.NDArray[np.int64]:
    """Return the positions of a part's candidates, ascending."""
    path = index.signatures.path
    bands = exchange.read_keys(path(shard.output("bands")), "key", query.bands)
    texts = exchange.read_keys(path(shard.output("texts")), "high", query.exact[:1])
    same = texts["low"].to_numpy() == query.exact[1]
    positions = [bands["position"].to_numpy(), texts["position"].to_numpy()[same]]
    return np.unique(np.concatenate(positions)).astype(np.int64)


def _compared(
    index: Index, shard: Shard, part: Part, positions: npt.NDArray[np.int64], query: _Query
) -> Iterator[Neighbour]:
    """Yield documents of a part, compared with the text in full."""
    from corpus.text import minhash, ngrams

    signed = read_columns(index.signatures.path(shard.output("documents")), ["row"])
    rows: Sequence[int] = signed["row"].to_numpy()[positions].tolist()
    documents = take_rows(part.documents, rows, _COLUMNS)
    verdicts: list[dict[str, Any]] = [{"kept": True, "duplicate_of": None}] * len(rows)
    if part.verdict is not None:
        verdicts = take_rows(part.verdict, rows, ["kept", "duplicate_of"]).to_pylist()
    scheme = query.scheme
    texts = documents["text"].combine_chunks()
    if isinstance(texts, pa.ChunkedArray):
        texts = pa.concat_arrays(texts.chunks)
    bounds, hashes = ngrams.shingle_sets(texts, shingle=scheme.shingle, words=scheme.words)
    for place, row in enumerate(documents.to_pylist()):
        exact = row["text"] == query.text
        own = hashes[bounds[place] : bounds[place + 1]]
        jaccard = 1.0 if exact else minhash.jaccard(query.shingles, own)
        yield Neighbour(
            id=row["id"],
            source=row["source"],
            url=row["url"],
            jaccard=jaccard,
            exact=exact,
            kept=bool(verdicts[place]["kept"]),
            duplicate_of=verdicts[place]["duplicate_of"],
            folder=index.folder,
            excerpt=row["text"][:_EXCERPT],
        )


def _most_similar(neighbour: Neighbour) -> tuple[float, bool, bool, str, str]:
    one = neighbour
    return (-one.jaccard, not one.exact, not one.kept, one.id, one.folder)


def describe(similarity: Similarity) -> Iterator[Block]:
    """Yield what a person reads: the neighbours, most similar first, and how they were found."""
    if not similarity.shingles:
        yield "The text has fewer words than a shingle: only exact copies are found."
    for one in similarity.neighbours:
        state = "kept" if one.kept else f"dropped for {printable(one.duplicate_of or '?')}"
        copy = ", an exact copy" if one.exact else ""
        yield f"{one.jaccard:.4f}  {printable(one.id)}  {one.source}  {state}{copy}"
        yield f"        {printable(one.url or '(no URL)')}  in {printable(one.folder)}"
        yield f"        {excerpt(one.excerpt, _EXCERPT)}"
    if not similarity.neighbours:
        yield "No similar document was found."
    yield (
        f"{similarity.documents:,} documents searched, {similarity.candidates:,} share a band with "
        f"the text. A pair at Jaccard {similarity.threshold:g} does with a probability of "
        f"{similarity.found:.1%}."
    )

"""The seeded sample of a recipe's sources that a probe builds: a recipe of pieces.

A source of no more bytes than the sample is taken whole. Of a larger one files are drawn by the
seed, and the beginning of each is cut into pieces, which are the sampling units: at least `UNITS`,
of two sizes, so that what a task costs can be told from what a byte costs. In: a recipe and the
extents of its sources. Out: the sources of the probe, and how large the whole is.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import xxhash

from corpus import storage
from corpus.config import CommonCrawl, Recipe, Source
from corpus.fetching import fetch
from corpus.fetching.ranges import RangeReader
from corpus.fetching.session import Session
from corpus.planning import inputs
from corpus.planning.cut import Piece, cut
from corpus.planning.inputs import Extent, Look
from corpus.sources import compression

UNITS = 16  # pieces of a source at least, where it has so many bytes
_LEAST = 25_000  # bytes of a piece
_HEAD = 64  # bytes by which an error page is told from an archive
_SIZES = (0.5, 1.5)  # of pieces in turn, in parts of their mean
_ARCHIVES = (".warc", ".arc", ".wet")


@dataclass(frozen=True)
class Sampled:
    """What of a source a probe builds.

    Attributes:
        source: The source of the probe's recipe.
        extent: How large the whole source is.
        pieces: The pieces; None when the source is taken whole.
        fetched: Bytes that were downloaded for it.
    """

    source: Source
    extent: Extent
    pieces: tuple[Piece, ...] | None = None
    fetched: int = 0


def sampled(
    recipe: Recipe, name: str, folder: Path, session: Session, look: Look | None
) -> Sampled | None:
    """Return what of a source is built, or None when it cannot be sampled.

    Args:
        recipe: The recipe.
        name: Name of the source.
        folder: Where pieces are written.
        session: How to ask for remote files.
        look: What lists the files of a snapshot.

    Raises:
        InputError: A file is not there.
        FetchError: A download failed for good.
        RecipeError: A file is too large and cannot be cut.
    """
    source = recipe.sources[name]
    kind = source.commoncrawl
    if source.stdlib is not None:
        return Sampled(source, Extent(1, 0.0, "measured"))
    if _chosen_by_index(source):
        return None
    if kind is not None:
        files = inputs.crawl_files(kind, recipe.seed, look) or []
    else:
        files = inputs.input_files(source)
    budget = recipe.plan.sample_bytes
    drawn = _drawn(files, recipe.seed, min(UNITS, max(1, budget // _LEAST)))
    given = recipe.plan.inputs.get(name)
    sizes = [inputs.limited(kind, _size(path, session)) for path in drawn]
    local = not any(map(storage.is_remote, files))
    if local:
        total = sum(inputs.limited(kind, storage.size(path)) for path in files)
    else:
        total = sum(sizes) / max(1, len(sizes)) * len(files)
    extent = Extent(
        len(files),
        float(given or total),
        "given" if given else "measured",
        inputs.is_fetched(source, files),
    )
    if total <= budget and (local or kind is None):
        return Sampled(source, extent)
    pieces: list[Piece] = []
    fetched = 0
    turns = itertools.cycle(_SIZES)
    each = min(budget, total) / max(1, len(drawn))
    for number, (path, size) in enumerate(zip(drawn, sizes, strict=True)):
        many = max(1, min(-(-UNITS // len(drawn)), int(min(each, size) // _LEAST)))
        wanted = [max(_LEAST, int(each / many * next(turns))) for _ in range(many)]
        own = folder / f"file-{number:05d}"
        own.mkdir(parents=True)
        if _is_archive(path) or path.startswith(("http://", "https://")):
            path, brought = _fetched(path, own, sum(wanted), session)
            fetched += brought
        pieces += cut(path, wanted, own / "pieces", seed=recipe.seed)
    return Sampled(_of_pieces(source, pieces), extent, tuple(pieces), fetched)


def quarter(pieces: Sequence[Piece]) -> list[Piece]:
    """Return the pieces of the first of a probe's two builds, one in four."""
    return list(pieces[::4])


def with_pieces(made: Sampled, pieces: Sequence[Piece]) -> Sampled:
    """Return a sample of fewer pieces."""
    return replace(made, source=_of_pieces(made.source, pieces), pieces=tuple(pieces))


def _chosen_by_index(source: Source) -> bool:
    """Say whether the pages of a source are only known when an index has been looked in."""
    kind, web = source.commoncrawl, source.webtext
    if web is not None and web.commoncrawl is not None:
        return True
    return kind is not None and (kind.pages is not None or kind.limit_records is not None)


def _drawn(files: Sequence[str], seed: int, most: int) -> list[str]:
    """Return at most so many files, drawn by a hash of seed and name, in the order of the draw."""

    def draw(path: str) -> int:
        # By its name: where the files lie changes nothing.
        return xxhash.xxh3_64_intdigest(f"{seed}:probe:{storage.name(path)}".encode())

    return sorted(files, key=draw)[:most]


def _is_archive(path: str) -> bool:
    return path.lower().endswith(".gz") and compression.plain_name(path).endswith(_ARCHIVES)


def _size(path: str, session: Session) -> float:
    """Return the size of a file; of one on a server by asking for its first bytes."""
    if not storage.is_remote(path):
        return float(storage.size(path))
    reader = RangeReader(path, session)
    reader.read(0, _HEAD)
    return float(reader.size())


def _fetched(path: str, folder: Path, size: int, session: Session) -> tuple[str, int]:
    """Return a local copy of the beginning of a file, and the bytes that were downloaded for it."""
    target = folder / storage.name(path)
    got = fetch.fetch(
        path,
        str(target),
        # Pieces end with a member, so each takes a little more than is asked for.
        limit_bytes=size + size // 4 if _is_archive(path) else None,
        limit_records=None,
        politeness=session.politeness,
        user_agent=session.user_agent,
        timeout=session.timeout,
        attempts=session.attempts,
    )
    return str(target), got.bytes if storage.is_remote(path) else 0


def _of_pieces(source: Source, pieces: Sequence[Piece]) -> Source:
    """Return a source that reads pieces instead of its files."""
    paths = tuple(piece.path for piece in pieces)
    if isinstance(source.commoncrawl, CommonCrawl):
        return source.model_copy(update={"commoncrawl": None, "warc": paths})
    if source.webtext is not None:
        web = source.webtext.model_copy(update={"pages": paths})
        return source.model_copy(update={"webtext": web})
    if source.documents is not None:
        documents = source.documents.model_copy(update={"paths": paths})
        return source.model_copy(update={"documents": documents})
    return source.model_copy(update={source.kind: paths})

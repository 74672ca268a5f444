"""What differs between two builds: their recipes, their funnels, and which documents they keep.

In: two builds. Out: `Difference`, plain facts, and the lines that show them. Documents are the same
when source and id are, which are stable from build to build. Memory: 20 bytes for each document of
the two builds, since only a 128-bit hash of source and id, and what became of it, is held.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus import storage
from corpus.build import BUILD, VERDICTS, Build
from corpus.manifest import Counts
from corpus.parts import read_columns
from corpus.report.line_losses import LineLosses, line_losses
from corpus.tables import Block, Table, printable
from corpus.text import minhash
from corpus.verdicts import judged_parts

KEPT, ABSENT = "kept", "not there"


@dataclass(frozen=True)
class Setting:
    """A key of the recipe with another value in each build; None where it is not given."""

    key: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Rows:
    """What one stage did with the rows of one source in each build; None where it has none."""

    stage: str
    source: str
    before: Counts | None
    after: Counts | None


@dataclass(frozen=True)
class Lines:
    """What `dedup.lines` cut out of one source in each build; None where it cut none."""

    source: str
    before: LineLosses | None
    after: LineLosses | None


@dataclass(frozen=True)
class Moved:
    """Documents of a source with another fate in each build: `kept`, `stage/reason`, or absent."""

    source: str
    before: str
    after: str
    documents: int


@dataclass(frozen=True)
class Difference:
    """The whole difference.

    Attributes:
        settings: Keys of the recipes that differ, in the order of the alphabet.
        rows: Stages and sources whose counts differ.
        lines: Sources that lose other lines.
        same: Documents that both keep, or both drop at the same place for the same reason.
        moved: All others by source and fate, most first.
    """

    settings: tuple[Setting, ...]
    rows: tuple[Rows, ...]
    lines: tuple[Lines, ...]
    same: int
    moved: tuple[Moved, ...]


def difference(before: Build, after: Build) -> Difference:
    """Return what differs.

    Raises:
        InputError: The stage extract of one is not built.
        IntegrityError: A file of one is damaged.
    """
    fates: list[str] = [ABSENT, KEPT]
    sources: list[str] = []
    keys, codes = [], []
    for build in (before, after):
        key, code = _documents(build, sources, fates)
        keys.append(key)
        codes.append(code)
    same, moved = _compare(keys, codes, sources, fates)
    return Difference(
        _settings(before, after), _rows(before, after), _lines(before, after), same, moved
    )


def _settings(before: Build, after: Build) -> tuple[Setting, ...]:
    one, other = (
        dict(_flat(storage.read_json(storage.join(build.output, BUILD))["recipe"]))
        for build in (before, after)
    )
    return tuple(
        Setting(key, one.get(key), other.get(key))
        for key in sorted({*one, *other})
        if one.get(key) != other.get(key)
    )


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def _rows(before: Build, after: Build) -> tuple[Rows, ...]:
    found = []
    for stage in ("extract", *VERDICTS):
        pair = [build.manifests.get(stage) for build in (before, after)]
        for source in dict.fromkeys(s for manifest in pair if manifest for s in manifest.sources()):
            one, other = (
                manifest.counts(source) if manifest and source in manifest.sources() else None
                for manifest in pair
            )
            if one != other:
                found.append(Rows(stage, source, one, other))
    return tuple(found)


def _lines(before: Build, after: Build) -> tuple[Lines, ...]:
    one, other = line_losses(before), line_losses(after)
    return tuple(
        Lines(source, one.get(source), other.get(source))
        for source in dict.fromkeys([*one, *other])
        if one.get(source) != other.get(source)
    )


def _documents(
    build: Build, sources: list[str], fates: list[str]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32]]:
    """Return the keys [n, 2] and fates [n, 2] (source, fate) of a build's documents.

    Names that are new are added to `sources` and `fates`; a fate is its place in them.
    """
    keys, codes = [np.empty((0, 2), np.uint64)], [np.empty((0, 2), np.int32)]
    for one in judged_parts(build):
        ids = read_columns(one.part.documents, ["id"])["id"].combine_chunks()
        fate = np.full(len(ids), fates.index(KEPT), dtype=np.int32)
        for stage, path in one.verdicts.items():
            table = read_columns(path, ["kept", "reason"])
            dropped = pc.equal(table["kept"], False).fill_null(False)
            for reason in pc.unique(table["reason"].filter(dropped)).to_pylist():
                name = f"{stage}/{reason}"
                rows = pc.and_(dropped, pc.equal(table["reason"], reason)).fill_null(False)
                fate[rows.to_numpy()] = _place(name, fates)
        place = _place(one.part.source, sources)
        named = pc.binary_join_element_wise(pa.scalar(one.part.source), ids.cast(pa.string()), "\n")
        keys.append(minhash.exact_keys(named))
        codes.append(np.stack([np.full(len(ids), place, dtype=np.int32), fate], axis=1))
    return np.concatenate(keys), np.concatenate(codes)


def _place(name: str, names: list[str]) -> int:
    if name not in names:
        names.append(name)
    return names.index(name)


def _compare(
    keys: list[npt.NDArray[np.uint64]],
    codes: list[npt.NDArray[np.int32]],
    sources: list[str],
    fates: list[str],
) -> tuple[int, tuple[Moved, ...]]:
    """Return how many documents have the same fate, and the others by source and fates."""
    every, fate = np.concatenate(keys), np.concatenate(codes)
    side = np.repeat(np.arange(2), [len(keys[0]), len(keys[1])])
    order = np.lexsort((side, every[:, 1], every[:, 0]))
    every, fate, side = every[order], fate[order], side[order]
    # The same document stands twice, before and after; an id is once in a source.
    pair = np.zeros(len(every) + 1, dtype=np.bool_)
    pair[1:-1] = (every[1:] == every[:-1]).all(axis=1) & (side[1:] != side[:-1])
    second = pair[:-1]
    single = ~second & ~pair[1:]
    first = np.flatnonzero(pair[1:])
    absent = fates.index(ABSENT)
    alone = np.flatnonzero(single)
    triples = np.concatenate(
        [
            np.stack([fate[first, 0], fate[first, 1], fate[first + 1, 1]], axis=1),
            np.stack(
                [
                    fate[alone, 0],
                    np.where(side[alone] == 0, fate[alone, 1], absent),
                    np.where(side[alone] == 1, fate[alone, 1], absent),
                ],
                axis=1,
            ),
        ]
    )
    kinds, numbers = np.unique(triples, axis=0, return_counts=True)
    same = int(numbers[kinds[:, 1] == kinds[:, 2]].sum())
    moved = [
        Moved(sources[source], fates[one], fates[other], int(number))
        for (source, one, other), number in zip(kinds.tolist(), numbers, strict=True)
        if one != other
    ]
    return same, tuple(sorted(moved, key=lambda m: (-m.documents, m.source, m.before, m.after)))


def describe(found: Difference) -> Iterator[Block]:
    """Yield the difference as lines and tables."""
    if found.settings:
        rows = [(s.key, _value(s.before), _value(s.after)) for s in found.settings]
        yield Table(("recipe", "before", "after"), rows)
    else:
        yield "The recipes are the same."
    if found.rows:
        yield Table(
            ("stage", "source", "in before", "in after", "kept before", "kept after"),
            [
                (
                    r.stage,
                    r.source,
                    *(_count(c, name) for name in ("into", "kept") for c in (r.before, r.after)),
                )
                for r in found.rows
            ],
        )
    if found.lines:
        yield Table(
            ("source", "lines cut before", "after", "bytes cut before", "after"),
            [
                (
                    one.source,
                    *(
                        _count(c, name)
                        for name in ("lines", "bytes")
                        for c in (one.before, one.after)
                    ),
                )
                for one in found.lines
            ],
        )
    yield f"{found.same:,} documents have the same fate in both."
    if found.moved:
        yield Table(
            ("source", "before", "after", "documents"),
            [(m.source, m.before, m.after, f"{m.documents:,}") for m in found.moved],
        )


def _value(value: Any) -> str:
    return "–" if value is None else printable(str(value))


def _count(counts: Counts | LineLosses | None, name: str) -> str:
    return "–" if counts is None else f"{getattr(counts, name):,}"

"""The rows that are looked at: the first of a stage, or a seeded sample, as they are shown."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.build import VERDICTS, Build
from corpus.document import DROP_SCHEMA, VERDICT_FIELDS
from corpus.parts import read_columns
from corpus.verdicts import PLACE, JudgedPart, judged_parts, kept_mask, take_rows, verdict_rows

_PLAIN = frozenset(field.name for field in VERDICT_FIELDS)
_READ = 10_000  # characters of a document that are held
_MOST_ITEMS = 20  # of a list, such as that of the lines that a document lost


@dataclass(frozen=True)
class Seen:
    """One row as it is shown.

    Attributes:
        id: Its identifier.
        source: Its source.
        url: Its URL, if it has one.
        language: ISO 639-1 code; None for rows that were lost before they were text.
        place: Archive and offset, or dump and page: what of it is known.
        text: Its first 10,000 characters; None for rows that never became text.
        reason: Why it was dropped here, or None.
        columns: What else the stages say about it: score, duplicate_of, cuts, detail, ...; of a
            list the first 20.
        totals: How many there are in a list that has more.
    """

    id: str
    source: str
    url: str | None
    language: str | None
    place: Mapping[str, str | int]
    text: str | None
    reason: str | None
    columns: Mapping[str, Any]
    totals: Mapping[str, int]


Candidates = Iterator[tuple[int, pa.Array, "np.ndarray[tuple[int], np.dtype[np.bool_]]"]]


def _choose(candidates: Candidates, number: int, sample: int | None) -> dict[int, list[int]]:
    """Return the chosen rows of each file: the first, or those with the smallest draws."""
    chosen: list[tuple[float, int, int]] = []
    for index, ids, mask in candidates:
        rows = np.flatnonzero(mask)
        if sample is None:
            chosen += [(0.0, index, row) for row in rows[: number - len(chosen)].tolist()]
            if len(chosen) >= number:
                break
            continue
        from corpus.text import quality

        draws = quality.draws(ids.take(pa.array(rows)), seed=sample, purpose="inspect")
        own = zip(draws.tolist(), [index] * len(rows), rows.tolist(), strict=True)
        chosen = heapq.nsmallest(number, [*chosen, *own])
    result: dict[int, list[int]] = {}
    for _, index, row in sorted(chosen, key=lambda item: item[1:]):
        result.setdefault(index, []).append(row)
    return result


def judged_rows(
    build: Build,
    stage: str,
    dropped: bool,
    reason: tuple[str, str],
    source: str | None,
    number: int,
    sample: int | None,
) -> Iterator[Seen]:
    """Yield documents that a stage kept or dropped.

    Args:
        build: The build.
        stage: The stage.
        dropped: Those that it dropped and not those that it kept.
        reason: The reason and its rule; either may be empty.
        source: Only those of this source.
        number: How many.
        sample: Seed of a random sample; the first ones by default.
    """
    found = [one for one in judged_parts(build) if source in (None, one.part.source)]
    for index, rows in _choose(_candidates(found, stage, dropped, reason), number, sample).items():
        one = found[index]
        documents = take_rows(one.part.documents, rows).to_pylist()
        verdicts = verdict_rows(one, rows)
        past = (*VERDICTS[: VERDICTS.index(stage) + 1],) if stage in VERDICTS else ()
        for i, document in enumerate(documents):
            columns: dict[str, Any] = {}
            for name in past:
                own = verdicts[name][i] if name in verdicts else {}
                columns |= {k: v for k, v in own.items() if k not in _PLAIN and v not in (None, [])}
            why = verdicts[stage][i]["reason"] if dropped else None
            yield _seen(document, document["text"][:_READ], why, columns)


def _candidates(
    found: Sequence[JudgedPart], stage: str, dropped: bool, reason: tuple[str, str]
) -> Candidates:
    """Yield each part's ids and which of them are meant; `reason` and its rule may be empty."""
    columns = ["id", "kept", "reason", *(["rule"] if reason[1] else [])]
    for index, one in enumerate(found):
        if stage == "extract":
            ids = read_columns(one.part.documents, ["id"])["id"].combine_chunks()
            yield index, ids, np.ones(len(ids), dtype=np.bool_)
            continue
        table = read_columns(one.verdicts[stage], columns)
        mask = kept_mask(table["kept"], value=not dropped)
        if reason[0]:
            same = pc.equal(table["reason"], reason[0]).fill_null(False).combine_chunks()
            mask &= same.to_numpy(zero_copy_only=False)
        if reason[1]:
            exactly = pc.equal(table["rule"], reason[1])  # or with what was found behind it
            found_so = pc.starts_with(table["rule"], pattern=f"{reason[1]}: ")
            same = pc.or_(exactly, found_so).fill_null(False).combine_chunks()
            mask &= same.to_numpy(zero_copy_only=False)
        yield index, table["id"].combine_chunks(), mask


def lost_rows(
    build: Build, reason: str | None, source: str | None, number: int, sample: int | None
) -> Iterator[Seen]:
    """Yield rows that the extract stage dropped."""
    extract = build.stage("extract")
    paths = [
        extract.path(output)
        for shard in extract.shards
        if source in (None, shard.source)
        for output in shard.all("dropped")
    ]

    def candidates() -> Candidates:
        for index, path in enumerate(paths):
            table = read_columns(path, ["id", "reason"])
            same = table["reason"].combine_chunks().to_numpy(zero_copy_only=False) == reason
            mask = same if reason is not None else np.ones(table.num_rows, dtype=np.bool_)
            yield index, table["id"].combine_chunks(), mask

    for index, rows in _choose(candidates(), number, sample).items():
        for drop in take_rows(paths[index], rows, DROP_SCHEMA.names).to_pylist():
            columns = {} if drop["detail"] is None else {"detail": drop["detail"]}
            yield _seen(drop, None, drop["reason"], columns)


def _seen(
    row: Mapping[str, Any], text: str | None, reason: str | None, columns: Mapping[str, Any]
) -> Seen:
    more = {
        key: value
        for key, value in columns.items()
        if isinstance(value, list) and len(value) > _MOST_ITEMS
    }
    return Seen(
        id=row["id"],
        source=row["source"],
        url=row["url"],
        language=row.get("language"),
        place={key: row[key] for key in PLACE if row[key] is not None},
        text=text,
        reason=reason,
        columns={**columns, **{key: value[:_MOST_ITEMS] for key, value in more.items()}},
        totals={key: len(value) for key, value in more.items()},
    )

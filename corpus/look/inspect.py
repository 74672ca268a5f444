"""Looking at documents: those that a stage kept or dropped, and the clusters of duplicates.

In: a build. Out: `Inspection` and `Clustering`, plain facts, and the lines that show them.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.build import VERDICTS, Build
from corpus.document import DROP_SCHEMA, VERDICT_FIELDS
from corpus.errors import RecipeError
from corpus.manifest import Counts, Manifest
from corpus.parts import read_columns
from corpus.tables import Block, Table, excerpt, printable
from corpus.verdicts import PLACE, JudgedPart, judged_parts, kept_mask, take_rows, verdict_rows

_PLAIN = frozenset(field.name for field in VERDICT_FIELDS)
_TEXT = 300  # characters of a document that are shown
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


@dataclass(frozen=True)
class Inspection:
    """A look at a stage: where the rows of each source went, and some of the rows."""

    stage: str
    folder: str
    dropped: bool
    counts: Mapping[str, Counts]
    rules: Mapping[str, Mapping[str, Mapping[str, int]]]  # by source, reason and rule: how many
    rows: tuple[Seen, ...]


def stages_of(build: Build) -> list[str]:
    """Return the stages of a build that have documents to look at, in order."""
    return [stage for stage in ("extract", *VERDICTS) if stage in build.manifests]


def inspect(
    build: Build,
    *,
    stage: str | None,
    dropped: bool,
    reason: str | None,
    source: str | None,
    number: int,
    sample: int | None,
) -> Inspection:
    """Look at some documents of a stage.

    Args:
        build: The build.
        stage: Which stage; by default the last that decided about documents, or with a reason the
            last that dropped for it.
        dropped: Those that the stage dropped and not those that it kept.
        reason: Only those dropped for this reason, or with `reason/rule` by this rule of it.
        source: Only those of this source.
        number: How many.
        sample: Seed of a random sample; the first documents by default.

    Raises:
        InputError: The stage is not built.
        RecipeError: No such stage, source or reason.
    """
    reason, _, rule = (reason or "").partition("/")
    stage = _stage(build, stage, reason or None)
    manifest = build.stage(stage)
    counts = {name: manifest.counts(name) for name in manifest.sources()}
    rules = {name: _rules(manifest, name) for name in manifest.sources()}
    if source is not None and source not in counts:
        raise _unknown("source", source, list(counts))
    reasons = sorted({name for count in counts.values() for name in count.dropped})
    if reason and reason not in reasons:
        raise _unknown("reason", reason, reasons)
    known = sorted({one for own in rules.values() for one in own.get(reason, {})})
    if rule and rule not in known:
        raise _unknown(f"rule of {reason}", rule, known)
    if stage == "extract" and dropped:
        rows = _lost(build, reason or None, source, number, sample)
    else:
        rows = _judged(build, stage, dropped, (reason, rule), source, number, sample)
    return Inspection(stage, manifest.folder, dropped, counts, rules, tuple(rows))


def _rules(manifest: Manifest, source: str) -> dict[str, dict[str, int]]:
    """Return how many documents of a source each rule of each reason dropped, most first."""
    total: dict[str, Counter[str]] = {}
    for shard in manifest.of(source):
        for reason, own in shard.details.get("rules", {}).items():
            total.setdefault(reason, Counter()).update(own)
    return {reason: dict(total[reason].most_common()) for reason in sorted(total)}


def _stage(build: Build, stage: str | None, reason: str | None) -> str:
    stages = stages_of(build)
    if stage is None:
        build.stage("extract")
        holding = [s for s in stages if reason in build.manifests[s].counts().dropped]
        return (holding or stages)[-1]
    if stage not in ("extract", *VERDICTS):
        raise RecipeError(
            f"{stage} decides about no documents",
            where="STAGE",
            fix=f"Look at one of {', '.join(stages)}",
        )
    return stage


def _unknown(what: str, name: str, known: Sequence[str]) -> RecipeError:
    listed = ", ".join(known) if known else "none"
    return RecipeError(f"there is no {what} {name!r} here", fix=f"There are: {listed}")


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


def _judged(
    build: Build,
    stage: str,
    dropped: bool,
    reason: tuple[str, str],
    source: str | None,
    number: int,
    sample: int | None,
) -> Iterator[Seen]:
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


def _lost(
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


def describe(inspection: Inspection) -> Iterator[Block]:
    """Yield what a person reads: the table of the stage, then the documents."""
    yield f"{inspection.stage} ({inspection.folder})"
    yield counts_table(inspection.counts)
    if any(inspection.rules.values()):
        yield ""
        yield rules_table(inspection.rules)
    for row in inspection.rows:
        yield ""
        yield f"{printable(row.id)}  {row.source}  {printable(row.url or '(no URL)')}"
        facts = [f"dropped: {row.reason}"] if row.reason else []
        facts += [f"language {row.language}"] if row.language else []
        facts += [
            f"{key} {shown(value, row.totals.get(key))}" for key, value in row.columns.items()
        ]
        facts += [f"{key} {printable(str(value))}" for key, value in row.place.items()]
        yield f"  {', '.join(facts)}"
        if row.text is not None:
            yield f"  {excerpt(row.text, _TEXT)}"
    if not inspection.rows:
        yield ""
        yield f"No document was {'dropped' if inspection.dropped else 'kept'} here."


def shown(value: Any, total: int | None = None) -> str:
    """Return a value of a verdict as a person reads it.

    Args:
        value: The value.
        total: How many items a list has that is given in part.
    """
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list):
        told = [
            f"{item['start']}-{item['end']}" if isinstance(item, dict) else printable(str(item))
            for item in value
        ]
        more = 0 if total is None else total - len(told)
        return " ".join([*told, f"and {more:,} more"] if more else told)
    return printable(str(value))


def counts_table(counts: Mapping[str, Counts]) -> Table:
    """Return where the rows of each source went."""
    reasons = sorted({reason for count in counts.values() for reason in count.dropped})
    rows = [
        (name, f"{c.into:,}", f"{c.kept:,}", *(f"{c.dropped.get(r, 0):,}" for r in reasons))
        for name, c in counts.items()
    ]
    return Table(("source", "in", "kept", *reasons), rows)


def rules_table(rules: Mapping[str, Mapping[str, Mapping[str, int]]]) -> Table:
    """Return how many documents each rule dropped, by source."""
    names = [
        (reason, rule)
        for reason in sorted({reason for own in rules.values() for reason in own})
        for rule in sorted({rule for own in rules.values() for rule in own.get(reason, {})})
    ]
    rows = [
        (f"{r}/{rule}", *(f"{own.get(r, {}).get(rule, 0):,}" for own in rules.values()))
        for r, rule in names
    ]
    return Table(("rule", *rules), rows)

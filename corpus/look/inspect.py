"""Looking at documents: those that a stage kept or dropped.

In: a build. Out: an `Inspection`, plain facts, and the lines that show it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from corpus.build import VERDICTS, Build
from corpus.errors import RecipeError
from corpus.look.seen import Seen, judged_rows, lost_rows
from corpus.manifest import Counts, Manifest
from corpus.tables import Block, Table, excerpt, printable

_TEXT = 300  # characters of a document that are shown


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
        rows = lost_rows(build, reason or None, source, number, sample)
    else:
        rows = judged_rows(build, stage, dropped, (reason, rule), source, number, sample)
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

"""A prediction as a person reads it: tables of the stages and the sources, money, and the disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from corpus.planning.cost import Bill
from corpus.planning.prediction import Prediction
from corpus.planning.sources import Estimate
from corpus.tables import Block, Table, size


def describe(
    made: Prediction,
    *,
    drawn: Mapping[str, int | None],
    paid: Bill | None,
    free: int | None,
) -> Iterator[Block]:
    """Yield the lines and tables of a prediction.

    Args:
        made: The prediction.
        drawn: Tokens that the training run takes of each source.
        paid: Money.
        free: Free bytes where the output goes; None of a store.
    """
    cores = "1 core" if made.cores == 1 else f"{made.cores:,} cores"
    yield f"Predicted from {made.origin}, for {cores}; ± is a 95 % interval:"
    yield ""
    yield _sources(made, drawn)
    yield ""
    yield _stages(made)
    yield ""
    totals = {"documents": made.documents}
    if _tokenized(made):
        totals = {"tokens": made.tokens, **totals}
    if not made.sources:
        yield f"{' and '.join(totals)}: not known"
    else:
        told = (f"{n}: {_within(_number(total.value), total)}" for n, total in totals.items())
        yield "; ".join(told)
    space = "" if free is None else f"; free: {size(free)}"
    disk = _within(size(int(made.disk.value)), made.disk)
    yield f"disk: {disk}, at its peak {size(int(made.peak))}{space}"
    work = _within(f"{duration(made.cpu.value)} of core time", made.cpu)
    busy = (
        f"on cores as busy with other work as then, {made.slowdown:.1f} times that of idle ones; "
        if made.slowdown > 1
        else ""
    )
    yield f"time: {duration(made.wall)} ({busy}{work})"
    if paid is not None:
        yield (
            f"money: {paid.total:,.2f} {paid.currency} (cores {paid.cores:,.2f}, disk "
            f"{paid.disk:,.2f}, transfer {paid.transfer:,.2f})"
        )
    for name, why in made.unknown.items():
        yield f"sources.{name} is not predicted: {why}"
    yield from made.notes


def _sources(made: Prediction, drawn: Mapping[str, int | None]) -> Table:
    head = (
        "source",
        "input",
        "files",
        "size is",
        "sample",
        "documents",
        "±",
        "tokens",
        "±",
        "epochs",
    )
    tokenized = _tokenized(made)
    rows = []
    for source in made.sources:
        taken = drawn.get(source.name)
        epochs = taken / source.tokens.value if taken and source.tokens.value else None
        rows.append(
            (
                source.name,
                size(int(source.bytes)),
                f"{source.files:,}",
                source.how,
                _part(source.sample),
                _count(source.documents),
                _share(source.documents),
                _count(source.tokens) if tokenized else "-",
                _share(source.tokens) if tokenized else "-",
                "-" if epochs is None else f"{epochs:.2f}",
            )
        )
    return Table(head, rows)


def _stages(made: Prediction) -> Table:
    head = ("stage", "documents", "disk", "temporary", "memory", "core time", "±", "time")
    rows = [
        (
            stage.stage,
            "-" if stage.documents is None else _number(stage.documents),
            size(int(stage.written)),
            size(int(stage.temporary)) if stage.temporary else "-",
            size(int(stage.memory)) if stage.memory else "-",
            duration(stage.cpu.value),
            _share(stage.cpu),
            duration(stage.wall),
        )
        for stage in made.stages
    ]
    return Table(head, rows)


def _part(share: float) -> str:
    """Return the share of an input that was measured."""
    if not share:
        return "other"
    return f"{share:.3g}" if share < 1 else "all"


def _number(value: float) -> str:
    return f"{value:,.0f}"


def _count(value: Estimate) -> str:
    """Return a number; none where there is nothing but the zero that nothing was measured from."""
    return "-" if value.error is None and not value.value else _number(value.value)


def _tokenized(made: Prediction) -> bool:
    """Say whether tokens are made: without the stage there are not 0 of them, but none to tell."""
    return any(stage.stage == "tokenize" for stage in made.stages)


def _within(number: str, value: Estimate) -> str:
    """Return a number with half of its interval, or with a word that it has none."""
    if value.error is None:
        return f"{number} (its error is not known)" if value.value else "not known"
    return f"{number} ± {_share(value)}"


def _share(value: Estimate) -> str:
    """Return half of the interval in parts of the number."""
    if value.error is None:
        return "not known"
    if not value.value or not value.error:
        return "0%"
    return f"{value.error / value.value:.1%}"


def duration(seconds: float) -> str:
    """Return a time as a person reads it: 1.5 h."""
    for unit, length in (("days", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.1f} s"

"""The report as one HTML page, which opens without a network and runs no script.

In: a `Report`. Out: the text of `index.html`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from corpus.manifest import Counts, add_counts
from corpus.report.charts import COLOURS, histogram, stacked_bars
from corpus.report.facts import Examples, Funnel, Histogram, Report
from corpus.report.html import document, table, words, words_of_lines
from corpus.tables import excerpt

_TEXT = 300  # characters of an example


def page(report: Report) -> str:
    """Return the page."""
    title = f"{report.name}: what was built"
    return document(title, _sections(report, title))


def _sections(report: Report, title: str) -> Iterator[str]:
    first, last = report.funnel[0], report.funnel[-1]
    came, stayed = _all(first).into, _all(last).kept
    yield f"<h1>{words(title)}</h1>"
    yield (
        f"<p>{came:,} documents and pages came in, {stayed:,} were kept "
        f"({_share(stayed, came)}).</p>"
    )
    yield "<h2>The funnel</h2>"
    for funnel in report.funnel:
        yield from _stage(funnel)
    if report.mixture:
        sequences = sum(row.sequences for row in report.mixture)
        yield "<h2>The mixture</h2>"
        yield table(
            ("source", "tokens", "weight", "obtained", "drawn", "epochs"),
            [
                (
                    row.name,
                    f"{row.tokens:,}",
                    f"{row.weight:.2%}",
                    f"{row.sequences / sequences:.2%}",
                    f"{row.tokens_drawn:,}",
                    f"{row.epochs:.2f}",
                )
                for row in report.mixture
            ],
        )
    yield from _documents(report)
    yield from _duplicates(report)
    if report.drops:
        yield "<h2>What was dropped</h2>"
        for examples in report.drops:
            yield from _dropped(examples)
    yield "<h2>The recipe</h2>"
    yield f"<pre>{words_of_lines(json.dumps(report.recipe, indent=1, ensure_ascii=False))}</pre>"
    yield "<h2>Versions</h2>"
    yield table(("library", "version"), sorted(report.versions.items()))


def _stage(funnel: Funnel) -> Iterator[str]:
    reasons = list(_ranked(_all(funnel).dropped))
    legend = ["kept", *reasons]
    rows = [
        (source, [("kept", counts.kept), *((r, counts.dropped.get(r, 0)) for r in reasons)])
        for source, counts in funnel.sources.items()
    ]
    keys = "".join(
        f' <span class="name"><span class="key c{min(number, COLOURS - 1)}"></span>'
        f"{words(name)}</span>"
        for number, name in enumerate(legend)
    )
    yield (
        f"<h3>{words(funnel.stage)}</h3><figure>{stacked_bars(rows, legend=legend)}"
        f"<figcaption>Documents of each source:{keys}</figcaption></figure>"
    )
    yield table(
        ("source", "in", "kept", "share", *reasons),
        [
            (
                source,
                f"{counts.into:,}",
                f"{counts.kept:,}",
                _share(counts.kept, counts.into),
                *(f"{counts.dropped.get(reason, 0):,}" for reason in reasons),
            )
            for source, counts in [*funnel.sources.items(), ("all", _all(funnel))]
        ],
    )


def _documents(report: Report) -> Iterator[str]:
    yield "<h2>The documents</h2>"
    if report.parts_read < report.parts:
        yield f'<p class="soft">From {report.parts_read:,} of {report.parts:,} parts.</p>'
    for measured in report.histograms:
        yield _histogram(measured)
    yield table(
        ("language", "documents kept"), [(name, f"{number:,}") for name, number in report.languages]
    )


def _histogram(measured: Histogram) -> str:
    edges = [_edge(edge) for edge in measured.edges]
    chart = histogram(edges, measured.kept, measured.dropped, measured.title)
    keys = '<span class="key c0"></span>kept<span class="key c1"></span>dropped'
    return (
        f"<figure>{chart}<figcaption>{words(measured.title)}, {sum(measured.kept):,} documents "
        f"kept and {sum(measured.dropped):,} dropped:{keys}</figcaption></figure>"
    )


def _duplicates(report: Report) -> Iterator[str]:
    found = report.clusters
    if found is None:
        return
    yield "<h2>Duplicates</h2>"
    yield f"<p>{found.dropped:,} documents were dropped for {found.clusters:,} that were kept.</p>"
    if found.largest:
        yield table(
            ("kept document", "source", "dropped", "Jaccard of the nearest"),
            [
                (
                    one.keeper.url or one.keeper.id,
                    one.keeper.source,
                    f"{one.dropped:,}",
                    next((f"{m.jaccard:.3f}" for m in one.members if m.jaccard is not None), "–"),
                )
                for one in found.largest
            ],
        )
    if report.lines:
        yield "<h3>Lines that other documents have</h3>"
        yield table(
            ("source", "documents cut", "lines cut", "bytes cut", "share of the text"),
            [
                (
                    source,
                    f"{lost.documents:,}",
                    f"{lost.lines:,}",
                    f"{lost.bytes:,}",
                    _share(lost.bytes, lost.text_bytes),
                )
                for source, lost in report.lines.items()
            ],
        )


def _dropped(examples: Examples) -> Iterator[str]:
    yield (
        f"<h3>{words(examples.stage)}: {words(examples.reason)} "
        f'<span class="soft">({examples.number:,})</span></h3>'
    )
    for row in examples.rows:
        yield f"<div>{words(row.url or row.id)}</div>"
        if row.text:
            yield f"<blockquote>{words(excerpt(row.text, _TEXT))}</blockquote>"


def _all(funnel: Funnel) -> Counts:
    return add_counts(funnel.sources.values())


def _ranked(dropped: Mapping[str, int]) -> list[str]:
    return sorted((r for r, number in dropped.items() if number), key=lambda r: (-dropped[r], r))


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "–"


def _edge(value: float) -> str:
    if value == float("inf"):
        return "∞"
    for size, unit in ((2**20, "M"), (2**10, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"

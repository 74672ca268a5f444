"""The report as one HTML page, which opens without a network and runs no script.

In: a `Report`. Out: the text of `index.html`. Whatever comes from a page of the corpus is made
harmless twice: what cannot be shown becomes U+FFFD, and markup is escaped; the page's own policy
forbids scripts and everything that is not in the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from corpus.manifest import Counts, add_counts
from corpus.report.charts import COLOURS, histogram, stacked_bars
from corpus.report.facts import Examples, Funnel, Histogram, Report
from corpus.tables import excerpt, printable

_TEXT = 300  # characters of an example
_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#59636e;--line:#d1d9e0;--page:#fff;
--c0:#2f7d4f;--c1:#c2572b;--c2:#d9a31c;--c3:#7a5bb0;--c4:#2f74b5;--c5:#b0446e;--c6:#6b8e23;
--c7:#8a8f98}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa4af;--line:#3d444d;--page:#0d1117;
--c0:#4fae78;--c1:#e07f50;--c2:#e3b945;--c3:#a58bd6;--c4:#62a5e0;--c5:#dd7aa0;--c6:#9dbb5a;
--c7:#9198a1}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:60rem;
margin:2rem auto;padding:0 1rem}
h1{font-size:1.7rem}h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}
table{border-collapse:collapse;margin:1rem 0;display:block;overflow-x:auto}
th,td{padding:.2rem .7rem;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
svg{width:100%;height:auto;font:11px system-ui,sans-serif;fill:var(--ink)}
svg .label{text-anchor:end}figure{margin:1rem 0}figcaption,.soft{color:var(--soft)}
.key{display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 1em}
pre{overflow-x:auto;background:color-mix(in srgb,var(--line) 35%,transparent);padding:1rem}
blockquote{margin:.3rem 0 .8rem;padding-left:.8rem;border-left:3px solid var(--line);
overflow-wrap:anywhere}
"""
_COLOURS = "".join(f".c{n}{{fill:var(--c{n});background:var(--c{n})}}" for n in range(COLOURS))


def page(report: Report) -> str:
    """Return the page."""
    title = f"{report.name}: what was built"
    head = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width">'
        f"<title>{_words(title)}</title><style>{_STYLE}{_COLOURS}</style></head><body>"
    )
    return head + "\n".join(_sections(report, title)) + "</body></html>\n"


def _sections(report: Report, title: str) -> Iterator[str]:
    first, last = report.funnel[0], report.funnel[-1]
    came, stayed = _all(first).into, _all(last).kept
    yield f"<h1>{_words(title)}</h1>"
    yield (
        f"<p>{came:,} documents and pages came in, {stayed:,} were kept "
        f"({_share(stayed, came)}).</p>"
    )
    yield "<h2>The funnel</h2>"
    for funnel in report.funnel:
        yield from _stage(funnel)
    if report.mixture:
        yield "<h2>The mixture</h2>"
        yield _table(
            ("source", "tokens", "weight", "obtained", "drawn", "epochs"),
            [
                (
                    row.name,
                    f"{row.tokens:,}",
                    f"{row.weight:.2%}",
                    _share(row.sequences, sum(r.sequences for r in report.mixture)),
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
    yield f"<pre>{_words_of_lines(json.dumps(report.recipe, indent=1, ensure_ascii=False))}</pre>"
    yield "<h2>Versions</h2>"
    yield _table(("library", "version"), sorted(report.versions.items()))


def _stage(funnel: Funnel) -> Iterator[str]:
    reasons = list(_ranked(_all(funnel).dropped))
    legend = ["kept", *reasons]
    rows = [
        (source, [("kept", counts.kept), *((r, counts.dropped.get(r, 0)) for r in reasons)])
        for source, counts in funnel.sources.items()
    ]
    keys = "".join(
        f'<span class="key c{min(number, COLOURS - 1)}"></span>{_words(name)}'
        for number, name in enumerate(legend)
    )
    yield (
        f"<h3>{_words(funnel.stage)}</h3><figure>{stacked_bars(rows, legend=legend)}"
        f"<figcaption>Documents of each source:{keys}</figcaption></figure>"
    )
    yield _table(
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
    yield _table(
        ("language", "documents kept"), [(name, f"{number:,}") for name, number in report.languages]
    )


def _histogram(measured: Histogram) -> str:
    edges = [_edge(edge) for edge in measured.edges]
    chart = histogram(edges, measured.kept, measured.dropped, measured.title)
    keys = '<span class="key c0"></span>kept<span class="key c1"></span>dropped'
    return (
        f"<figure>{chart}<figcaption>{_words(measured.title)}, {sum(measured.kept):,} documents "
        f"kept and {sum(measured.dropped):,} dropped:{keys}</figcaption></figure>"
    )


def _duplicates(report: Report) -> Iterator[str]:
    found = report.clusters
    if found is None:
        return
    yield "<h2>Duplicates</h2>"
    yield f"<p>{found.dropped:,} documents were dropped for {found.clusters:,} that were kept.</p>"
    if found.largest:
        yield _table(
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


def _dropped(examples: Examples) -> Iterator[str]:
    yield (
        f"<h3>{_words(examples.stage)}: {_words(examples.reason)} "
        f'<span class="soft">({examples.number:,})</span></h3>'
    )
    for row in examples.rows:
        yield f"<div>{_words(row.url or row.id)}</div>"
        if row.text:
            yield f"<blockquote>{_words(excerpt(row.text, _TEXT))}</blockquote>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    numeric = [
        bool(rows) and all(row[i][:1].isdigit() or row[i] == "–" for row in rows)
        for i in range(len(head))
    ]
    mark = [' class="n"' if is_number else "" for is_number in numeric]
    top = "".join(f"<th{m}>{_words(name)}</th>" for m, name in zip(mark, head, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{m}>{_words(c)}</td>' for m, c in zip(mark, row, strict=True))}</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


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


def _words(text: str) -> str:
    return escape(printable(text))


def _words_of_lines(text: str) -> str:
    return "\n".join(
        " " * (len(line) - len(line.lstrip())) + _words(line.strip()) for line in text.split("\n")
    )

"""Pages that open without a network and run no script: their frame, and tables.

In: words and numbers. Out: HTML. Whatever comes from a page of the corpus is made harmless twice:
what cannot be shown becomes U+FFFD, and markup is escaped; the page's own policy forbids scripts
and everything that is not in the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from corpus.report.charts import COLOURS
from corpus.tables import printable

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
svg .label{text-anchor:end}svg .zero{stroke:var(--soft);stroke-dasharray:3}
figure{margin:1rem 0}figcaption,.soft{color:var(--soft)}.name{white-space:nowrap}
.key{display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 1em}
pre{overflow-x:auto;background:color-mix(in srgb,var(--line) 35%,transparent);padding:1rem}
blockquote{margin:.3rem 0 .8rem;padding-left:.8rem;border-left:3px solid var(--line);
overflow-wrap:anywhere}
"""
_COLOURS = "".join(f".c{n}{{fill:var(--c{n});background:var(--c{n})}}" for n in range(COLOURS))


def document(title: str, sections: Iterable[str]) -> str:
    """Return a whole page of sections that are HTML already."""
    head = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width">'
        f"<title>{words(title)}</title><style>{_STYLE}{_COLOURS}</style></head><body>"
    )
    return head + "\n".join(sections) + "</body></html>\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; columns of numbers are aligned to the right."""
    numeric = [
        bool(rows) and all(row[i][:1].isdigit() or row[i] == "–" for row in rows)
        for i in range(len(head))
    ]
    mark = [' class="n"' if is_number else "" for is_number in numeric]
    top = "".join(f"<th{m}>{words(name)}</th>" for m, name in zip(mark, head, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{m}>{words(c)}</td>' for m, c in zip(mark, row, strict=True))}</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def words(text: str) -> str:
    """Return text on one line, made harmless."""
    return escape(printable(text))


def words_of_lines(text: str) -> str:
    """Return text with its line ends and indents, made harmless."""
    return "\n".join(
        " " * (len(line) - len(line.lstrip())) + words(line.strip()) for line in text.split("\n")
    )

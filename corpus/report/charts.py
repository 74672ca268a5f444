"""Charts as SVG: bars that add up to a whole, histograms, and values with their intervals.

In: numbers and labels. Out: one `<svg>` element each, which needs no script and no other file. The
colours are classes that the page's style sheet gives a colour, for light and for dark screens.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH = 640  # of the drawing; it grows and shrinks with the page
_ROW, _BAR, _LABEL, _NUMBER = 24, 16, 130, 90
_PLOT_HEIGHT, _AXIS = 150, 20
COLOURS = 8  # classes c0 ... c7; c0 is what is kept
Slice = tuple[str, int]


def stacked_bars(rows: Sequence[tuple[str, Sequence[Slice]]], *, legend: Sequence[str]) -> str:
    """Return horizontal bars, as long as their sum, of named parts.

    Args:
        rows: Label and parts of each bar; a part is a name out of `legend` and a number.
        legend: All names, in the order of their colours; beyond the last colour they share it.
    """
    longest = max((sum(number for _, number in parts) for _, parts in rows), default=0)
    scale = (WIDTH - _LABEL - _NUMBER) / max(longest, 1)
    lines = []
    for number, (label, parts) in enumerate(rows):
        y, x = number * _ROW, float(_LABEL)
        total = sum(value for _, value in parts)
        lines.append(f'<text x="{_LABEL - 8}" y="{y + 13}" class="label">{escape(label)}</text>')
        for name, value in parts:
            width = value * scale
            title = f"<title>{escape(f'{label}: {name} {value:,}')}</title>"
            lines.append(_rectangle(x, y, width, _BAR, legend.index(name), title))
            x += width
        lines.append(f'<text x="{x + 6:.1f}" y="{y + 13}">{total:,}</text>')
    return _svg(lines, height=len(rows) * _ROW, name=f"Bars of {len(rows)} rows")


def histogram(edges: Sequence[str], kept: Sequence[int], dropped: Sequence[int], title: str) -> str:
    """Return upright bars, dropped upon kept, with the lower edge of each bin below it.

    Args:
        edges: The edges in words; one more than there are bins.
        kept: Documents of each bin that were kept.
        dropped: Documents of each bin that were dropped.
        title: What is measured, for those who hear the page.
    """
    highest = max(map(sum, zip(kept, dropped, strict=True)), default=0)
    step = WIDTH / max(len(kept), 1)
    scale = _PLOT_HEIGHT / max(highest, 1)
    lines = []
    for number, (good, bad) in enumerate(zip(kept, dropped, strict=True)):
        x, base = number * step, float(_PLOT_HEIGHT)
        words = escape(f"{edges[number]} to {edges[number + 1]}: {good:,} kept, {bad:,} dropped")
        for colour, value in ((0, good), (1, bad)):
            height = value * scale
            base -= height
            note = f"<title>{words}</title>"
            lines.append(_rectangle(x + 1, base, step - 2, height, colour, note))
        if number % max(1, len(kept) // 10) == 0:
            y = _PLOT_HEIGHT + 14
            lines.append(f'<text x="{x:.1f}" y="{y}">{escape(edges[number])}</text>')
    return _svg(lines, height=_PLOT_HEIGHT + _AXIS, name=title)


def intervals(rows: Sequence[tuple[str, float, float, float]], *, name: str) -> str:
    """Return a dot with its interval for each row, beside a line at zero.

    Args:
        rows: Label, value, and the lower and upper end of its interval.
        name: What is shown, for those who hear the page.
    """
    ends = [0.0, *(end for _, _, low, high in rows for end in (low, high))]
    least, most = min(ends), max(ends)
    scale = (WIDTH - _LABEL - _NUMBER) / ((most - least) or 1.0)

    def place(value: float) -> float:
        return _LABEL + (value - least) * scale

    height = len(rows) * _ROW
    zero = place(0.0)
    lines = [f'<line x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{height}" class="zero"/>']
    for number, (label, value, low, high) in enumerate(rows):
        y = number * _ROW + _ROW / 2
        note = f"<title>{escape(f'{label}: {value:+.4g} ({low:+.4g} to {high:+.4g})')}</title>"
        lines.append(f'<text x="{_LABEL - 8}" y="{y + 4:.1f}" class="label">{escape(label)}</text>')
        lines.append(_rectangle(place(low), y - 1, place(high) - place(low), 2, 4, note))
        at = f'cx="{place(value):.1f}" cy="{y:.1f}"'
        lines.append(f'<circle {at} r="4" class="c4">{note}</circle>')
        lines.append(f'<text x="{place(most) + 8:.1f}" y="{y + 4:.1f}">{value:+.4g}</text>')
    return _svg(lines, height=height, name=name)


def _rectangle(x: float, y: float, width: float, height: float, colour: int, inside: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" '
        f'class="c{min(colour, COLOURS - 1)}">{inside}</rect>'
    )


def _svg(lines: Sequence[str], *, height: int, name: str) -> str:
    return (
        f'<svg role="img" aria-label="{escape(name)}" viewBox="0 0 {WIDTH} {height}">'
        + "".join(lines)
        + "</svg>"
    )

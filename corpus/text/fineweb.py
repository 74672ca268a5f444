"""The three rules that FineWeb adds to those of Gopher and C4 (Penedo et al. 2024, section 3.6).

A text goes in; the name of the first rule that it breaks comes out.
"""

from __future__ import annotations

from dataclasses import dataclass

from corpus.text.gopher import duplicate_shares

# Ends of sentences in the scripts of the large languages, and the quotation marks that close them.
_END_MARKS = (*".!?'\"…”’»", *"。！？」』", *"؟۔", *"।॥", *"።", *"։")


@dataclass(frozen=True, slots=True)
class FineWeb:
    """Thresholds of the rules: a document AT a threshold is dropped, as the paper has it.

    Attributes:
        minimum_punctuated_lines: Dropped when the fraction of lines that end in a mark is this
            or less.
        maximum_duplicate_line_characters: Dropped when the fraction of characters in lines that
            repeat an earlier one is this or more.
        short_line: A line with fewer characters is short.
        maximum_short_lines: Dropped when the fraction of short lines is this or more.
    """

    minimum_punctuated_lines: float
    maximum_duplicate_line_characters: float
    short_line: int
    maximum_short_lines: float


def failure(text: str, rules: FineWeb) -> str | None:
    """Return the name of the first rule that the text breaks, or None; blank lines do not count."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if not lines:
        return "punctuated_lines"
    punctuated = sum(line.endswith(_END_MARKS) for line in lines)
    if punctuated / len(lines) <= rules.minimum_punctuated_lines:
        return "punctuated_lines"
    if duplicate_shares(lines)[1] >= rules.maximum_duplicate_line_characters:
        return "duplicate_line_characters"
    short = sum(len(line) < rules.short_line for line in lines)
    if short / len(lines) >= rules.maximum_short_lines:
        return "short_lines"
    return None

"""The three rules that FineWeb adds to those of Gopher and C4 (Penedo et al. 2024, section 3.6).

Lines end at a line feed; they are stripped, and blank ones do not count. A text of blank lines
breaks the rule of punctuated lines, whatever the thresholds.

datatrove has a fourth rule, of line breaks a word, that the paper does not have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from corpus.text.gopher import SEED
from corpus.text.rule_texts import Broken, Texts, limit
from corpus.text.unicode_tables import character_flags

RULES = ("punctuated_lines", "duplicate_line_characters", "short_lines", "line_breaks")


@dataclass(frozen=True, slots=True)
class FineWeb:
    """Thresholds of the rules; None turns one off.

    A document AT one of the first three is dropped, as the paper has it.

    Attributes:
        minimum_punctuated_lines: Dropped when the fraction of lines that end in a mark is this
            or less.
        end_marks: The characters that are such marks.
        maximum_duplicate_line_characters: Dropped when the fraction of characters in lines that
            repeat an earlier one is this or more.
        short_line: A line with fewer characters is short.
        maximum_short_lines: Dropped when the fraction of short lines is this or more.
        maximum_line_breaks: Dropped when there are more line feeds a word.
    """

    minimum_punctuated_lines: float | None
    end_marks: str
    maximum_duplicate_line_characters: float | None
    short_line: int
    maximum_short_lines: float | None
    maximum_line_breaks: float | None


def lines(texts: Texts, rules: FineWeb) -> Broken:
    """Return the first rule that each text breaks."""
    from corpus.text.fineweb_kernels import line_rules

    limits = np.array(
        [
            limit(rules.minimum_punctuated_lines, least=True),
            limit(rules.maximum_duplicate_line_characters),
            limit(rules.maximum_short_lines),
            limit(rules.maximum_line_breaks),
        ]
    )
    broken = line_rules(
        texts.data,
        texts.offsets,
        texts.rows,
        character_flags(),
        limits,
        rules.short_line,
        np.array([ord(mark) for mark in rules.end_marks], np.int64),
        SEED,
    )
    return Broken(broken, RULES)

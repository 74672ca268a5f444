"""The heuristic rule sets, applied to a column of texts in the order that they are given.

The rules are those of their papers: `corpus.text.gopher`, `corpus.text.c4`, `corpus.text.fineweb`.
They are computed by compiled kernels over the column's bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import numpy as np
import pyarrow as pa

from corpus.document import DropReason
from corpus.text import c4, fineweb, gopher
from corpus.text.c4 import C4
from corpus.text.fineweb import FineWeb
from corpus.text.gopher import GopherQuality, GopherRepetition
from corpus.text.ngrams import text_buffers
from corpus.text.rule_texts import Broken, Texts

RuleSet = GopherQuality | GopherRepetition | C4 | FineWeb


def verdicts(
    texts: pa.Array, *, rule_sets: Sequence[RuleSet]
) -> tuple[pa.StringArray, pa.StringArray]:
    """Return why each text is dropped.

    Args:
        texts: StringArray or LargeStringArray of n texts, without nulls.
        rule_sets: What to ask for; the first rule that fails, of the first set that fails, counts.

    Returns:
        n reasons (the value of a `DropReason`) and n names of rules; both null for a text that
        passes.

    Raises:
        TypeError: `texts` is no Arrow array of strings.
        ValueError: There is a null among the texts.
    """
    data, offsets = text_buffers(texts)
    reasons = np.full(len(texts), None, dtype=object)
    rules = np.full(len(texts), None, dtype=object)
    left = np.arange(len(texts))
    for one in rule_sets:
        reason, broken = _ask(Texts(data, offsets, left), one)
        failed = broken.numbers > 0
        reasons[left[failed]] = reason.value
        names = np.array(broken.names, dtype=object)
        rules[left[failed]] = names[broken.numbers[failed] - 1]
        left = left[~failed]
    return pa.array(reasons, pa.string()), pa.array(rules, pa.string())


def _ask(texts: Texts, rules: RuleSet) -> tuple[DropReason, Broken]:
    match rules:
        case GopherQuality():
            return DropReason.GOPHER_QUALITY, gopher.quality(texts, rules)
        case GopherRepetition():
            return DropReason.GOPHER_REPETITION, gopher.repetition(texts, rules)
        case C4():
            return DropReason.C4, c4.page(texts, rules)
        case FineWeb():
            return DropReason.FINEWEB, fineweb.lines(texts, rules)
        case _:
            assert_never(rules)

"""The heuristic rule sets, applied to a column of texts in the order that they are given.

The rules are those of their papers: `corpus.text.gopher`, `corpus.text.c4`, `corpus.text.fineweb`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import pyarrow as pa

from corpus.document import DropReason
from corpus.text import c4, fineweb, gopher
from corpus.text.c4 import C4
from corpus.text.fineweb import FineWeb
from corpus.text.gopher import GopherQuality, GopherRepetition

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
        ValueError: There is a null among the texts.
    """
    if texts.null_count:
        raise ValueError(f"{texts.null_count} of {len(texts)} texts are null")
    reasons: list[str | None] = []
    rules: list[str | None] = []
    for text in texts:
        reason, rule = _first_failure(text.as_py(), rule_sets)
        reasons.append(reason)
        rules.append(rule)
    return pa.array(reasons, pa.string()), pa.array(rules, pa.string())


def _first_failure(text: str, rule_sets: Sequence[RuleSet]) -> tuple[str | None, str | None]:
    for rules in rule_sets:
        reason, failed = _ask(text, rules)
        if failed is not None:
            return reason.value, failed
    return None, None


def _ask(text: str, rules: RuleSet) -> tuple[DropReason, str | None]:
    match rules:
        case GopherQuality():
            return DropReason.GOPHER_QUALITY, gopher.quality_failure(text, rules)
        case GopherRepetition():
            return DropReason.GOPHER_REPETITION, gopher.repetition_failure(text, rules)
        case C4():
            return DropReason.C4, c4.failure(text, rules)
        case FineWeb():
            return DropReason.FINEWEB, fineweb.failure(text, rules)
        case _:
            assert_never(rules)

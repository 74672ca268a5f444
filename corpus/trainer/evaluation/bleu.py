"""BLEU of translations, by sacrebleu: the field's reference, which signs what it computed.

In: a translation and its references, one at a time. Out: their n-gram counts, which add up, and the
BLEU of sums of them, from 0 to 100.

`bleu` has the tokenization that sacrebleu takes by default; `bleu_intl` that of GPT-3's signature
in table 3.4, "BLEU+case.mixed+numrefs.1+smooth.exp+tok.intl". Table 3.4 itself is by
multi-bleu.perl on XLM's tokens, which is not there.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.errors import RecipeError

TOKENIZATIONS = {"bleu": "13a", "bleu_intl": "intl"}
_SMOOTHING = "exp"
_ORDER = 4


def require(where: str) -> None:
    """Check that sacrebleu is there.

    Args:
        where: What asks for it.

    Raises:
        RecipeError: It is not.
    """
    try:
        importlib.import_module("sacrebleu")
    except ImportError as error:
        raise RecipeError(
            "translations are scored by sacrebleu, which is not installed",
            where=where,
            fix="pip install 'corpusmill[translation]', or leave the task out",
        ) from error


@cache
def _metric(name: str) -> Any:
    from sacrebleu.metrics import BLEU

    # With effective_order sacrebleu does not warn about single sentences; counts are the same.
    return BLEU(tokenize=TOKENIZATIONS[name], smooth_method=_SMOOTHING, effective_order=True)


def counts(name: str, translation: str, references: Sequence[str]) -> list[int]:
    """Return what a translation adds to a BLEU.

    Args:
        name: Of the BLEU, one of `TOKENIZATIONS`.
        translation: The translation.
        references: One or more.

    Returns:
        Lengths of translation and closest reference in tokens, then for n from 1 to 4 the n-grams
        that are in a reference, then all: 10 numbers.
    """
    found = _metric(name).sentence_score(translation, list(references))
    return [int(n) for n in (found.sys_len, found.ref_len, *found.counts, *found.totals)]


def score(totals: NDArray[np.int64]) -> float:
    """Return the BLEU of added counts: int64 [10]."""
    found = _metric("bleu").compute_bleu(
        totals[2 : 2 + _ORDER].tolist(),
        totals[2 + _ORDER :].tolist(),
        int(totals[0]),
        int(totals[1]),
        smooth_method=_SMOOTHING,
    )
    return float(found.score)


def of_corpus(rows: Sequence[Sequence[int]]) -> tuple[float, float | None]:
    """Return the BLEU of many translations, and its standard error; None where there is one.

    The error is the jackknife's: from what BLEU is without each translation in turn.

    Args:
        rows: What `counts` returned for each.
    """
    table = np.array(rows, dtype=np.int64)
    total = table.sum(axis=0)
    n = len(table)
    if n < 2:
        return score(total), None
    without = np.array([score(total - row) for row in table])
    return score(total), float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))


def signature(name: str) -> str:
    """Return sacrebleu's signature of a BLEU, by which others can compute the same."""
    tokenization = TOKENIZATIONS[name]
    return f"nrefs:1|case:mixed|eff:no|tok:{tokenization}|smooth:{_SMOOTHING}|version:{version()}"


def version() -> str:
    """Return the version of sacrebleu."""
    return importlib.metadata.version("sacrebleu")

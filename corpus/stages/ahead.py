"""The kernels that a stage needs, compiled once and side by side before its first task.

Numba compiles a kernel where it is first called. After a change of the program, or in a fresh
clone, all workers would come to the same kernel at the same time and each compile it, one kernel
after the other: 14 s of every CPU in `filter` alone. Handed out like tasks beforehand, each kernel
is compiled by one worker and found by the others in the cache on disk, which lies beside its
module. Where machines do not share that folder, those that got no kernel compile as before.

In: the settings of a stage. Out: the engine that the stage runs its tasks on. A kernel is compiled
by calling what the tasks call, on one short text, so that its types are those of the tasks.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import pyarrow as pa

from corpus import config
from corpus.engine import Engine, Hosted
from corpus.text.heuristics import RuleSet

T = TypeVar("T")
R = TypeVar("R")
Call = Callable[[], object]

_TEXT = "A short text, which nobody reads: the kernels are compiled for it.\n"
_WORDS = "word"  # another kind has another table, of the same type


class CompiledAhead:
    """An engine that has kernels compiled before the first task that it is given.

    Args:
        engine: What runs the tasks.
        calls: Module-level functions without arguments, or partials of such, each of which calls
            one kernel; those that take longest to compile first.
    """

    def __init__(self, engine: Engine, calls: Sequence[Call]) -> None:
        self._engine = engine
        self._calls = list(calls)

    def map(self, function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        """See `Engine.map`."""
        if tasks and self._calls:
            calls, self._calls = self._calls, []
            for _ in self._engine.map(_call, calls):
                pass
        yield from self._engine.map(function, tasks)

    def host(self, name: str, service: object) -> Hosted | None:
        """See `Engine.host`."""
        return self._engine.host(name, service)

    def close(self) -> None:
        """See `Engine.close`."""
        self._engine.close()


def _call(function: Call) -> None:
    function()


def of_filter(settings: config.Filter) -> list[Call]:
    """Return what compiles the kernels of `filter`, and of a classifier that it trains."""
    from corpus.filter.rules import rule_sets

    calls: list[Call] = []
    if isinstance(settings.classifier, str | config.ClassifierTraining):
        calls.append(_probabilities)
    if isinstance(settings.classifier, config.ClassifierTraining):
        calls.append(_signatures)
    return [*calls, *(functools.partial(_rules, rules) for rules in rule_sets(settings.heuristics))]


def of_dedup() -> list[Call]:
    """Return what compiles the kernels of `dedup` that take long, but for those of its lines."""
    return [_visit, _signatures, _shingles]


def of_decontaminate() -> list[Call]:
    """Return what compiles the kernels of `decontaminate`."""
    return [_grams, _cuts]


def _texts() -> pa.Array:
    return pa.array([_TEXT])


def _probabilities() -> None:
    from corpus.text import quality

    features = quality.Features(16, 1, "l2")
    quality.scores(_texts(), quality.LinearModel(features, np.zeros(16), 0.0))


def _rules(rules: RuleSet) -> None:
    from corpus.text import heuristics

    heuristics.verdicts(_texts(), rule_sets=(rules,))


def _signatures() -> None:
    from corpus.text import minhash

    minhash.signatures(_texts(), permutations=1, shingle=1, words=_WORDS, seed=0)


def _shingles() -> None:
    from corpus.text import ngrams

    ngrams.shingle_sets(_texts(), shingle=1, words=_WORDS)


def _visit() -> None:
    from corpus.dedup.kernels import visit_components

    none = np.zeros(0, np.int64)
    hashes = np.zeros(0, np.uint64)
    hashes.setflags(write=False)  # as Arrow gives them
    roles, efforts = np.zeros(0, np.uint8), (none.copy(), none.copy())
    visit_components(
        np.zeros(1, np.int64), none, True, none, none, hashes, roles, 0.5, 1, *efforts, 1, 1
    )


def _grams() -> None:
    from corpus.text import contamination

    # In one process, since the two are compiled of the same functions.
    _, hashes = contamination.gram_hashes(_texts(), size=1, words=_WORDS)
    contamination.find(_texts(), contamination.make_index(hashes, size=1, words=_WORDS))


def _cuts() -> None:
    from corpus.text.cut_kernels import cut_rows
    from corpus.text.ngrams import text_buffers

    bounds = np.zeros(2, np.int64)
    cut_rows(*text_buffers(_texts()), np.zeros((0, 2), np.int64), bounds, 0, 0, 1)

"""Kernels that are compiled before a stage's tasks: once, and as the tasks call them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from corpus.stages.ahead import CompiledAhead
from tests.conftest import ROOT, write_inputs

# What a fresh process compiles or loads for a build after what is compiled ahead, of kernels that
# are kept on disk. Each of those left out takes some tenths of a second to compile.
SCRIPT = """
import json, sys
from pathlib import Path
from numba.core.dispatcher import Dispatcher
from corpus.build import build
from corpus.config import load_recipe
from corpus.engine import LocalEngine
from corpus.progress import Silent
from corpus.stages import ahead

def kernels():
    return {
        f"{name}.{own}": len(value.signatures)
        for name, module in sorted(sys.modules.items())
        if name.startswith("corpus.")
        for own, value in vars(module).items()
        if isinstance(value, Dispatcher) and value.__module__ == name
        and "Null" not in type(value._cache).__name__
    }

recipe = load_recipe(sys.argv[1], ["filter.heuristics=[gopher, c4, fineweb]"])
for call in [*ahead.of_filter(recipe.filter), *ahead.of_dedup(), *ahead.of_decontaminate()]:
    call()
before = kernels()
build(recipe, sys.argv[2], LocalEngine(0), Silent(), "decontaminate")
after = kernels()
compiled = {name: number for name, number in before.items() if number}
print(json.dumps([compiled, {n: c for n, c in after.items() if c > before.get(n, 0)}]))
"""
SMALL = "corpus.dedup.prefix.maybe_shared"


class Recorded:
    """An engine that runs tasks in this process and notes what it is given."""

    def __init__(self) -> None:
        self.maps: list[list[Any]] = []

    def map(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Any]:
        self.maps.append(list(tasks))
        yield from map(function, tasks)

    def host(self, name: str, service: object) -> None:
        return None

    def close(self) -> None:
        self.maps.clear()


def test_kernels_are_compiled_once_and_before_the_first_task() -> None:
    engine, order = Recorded(), list[object]()
    ahead = CompiledAhead(engine, [lambda: order.append("one"), lambda: order.append("two")])
    assert list(ahead.map(order.append, [])) == []
    assert order == []  # nothing to do, nothing to compile for
    list(ahead.map(order.append, [1, 2]))
    list(ahead.map(order.append, [3]))
    assert order == ["one", "two", 1, 2, 3]
    assert [len(tasks) for tasks in engine.maps] == [0, 2, 2, 1]


@pytest.mark.slow
def test_what_is_compiled_ahead_is_what_the_tasks_call(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "mix.yaml"), str(tmp_path / "output")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    compiled, again = json.loads(done.stdout)
    assert len(compiled) >= 10
    assert [name for name in again if not name.startswith(SMALL)] == []

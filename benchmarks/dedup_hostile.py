"""The dedup stage on inputs that are made to blow it up: seconds, peak memory and verdicts.

`python benchmarks/dedup_hostile.py KIND [COUNT ...]` makes so many documents of a kind, in files of
50,000, and builds up to the stage on one worker process. The kinds:

- `unlike`: pages of one template, each pair at 0.45: all stay
- `below`: pages of one template, each pair at 0.798, just below the threshold: all stay
- `alike`: pages of one template, each pair at 0.90: one stays
- `clusters`: the same in clusters of 100 pages, at 0.45 between clusters: one of each stays
- `subsets`: random seven eighths of one list of sentences: most pairs are a little below the
  threshold and no shingle is rare, so that no filter spares the comparisons
- `same`: one document; `word`: documents of one word, 1,000 different ones; `marks`: only
  punctuation; `cjk`: Chinese without spaces
- `long`: documents of 100 MB, of few different words and of many
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from dedup import children, peak, seconds, warm, workers

from corpus import build
from corpus.config import Recipe
from corpus.engine import LocalEngine
from corpus.progress import Silent

FILE_ROWS = 50_000
WORDS = [f"word{number}" for number in range(120)]
SENTENCES = [[f"s{number}w{place}" for place in range(8)] for number in range(45)]


class Steps(Silent):
    """Prints the seconds and the peak memory of the workers in each step."""

    name = ""

    def start(self, stage: str, *, total: int, reused: int, shards: int) -> None:
        now = sum(map(seconds, children()))
        if self.name:
            print(f"    {self.name}: {now - self.used:.1f} s, {workers()} MB")
            for pid in children():
                Path(f"/proc/{pid}/clear_refs").write_text("5")
        self.name, self.used = f"{stage} ({shards})", now

    def end(self, line: str) -> None:
        self.start("", total=0, reused=0, shards=0)


def page(fresh: int, number: int) -> str:
    """Return the template with a run of words, in the middle, that no other page has."""
    start = (len(WORDS) - fresh) // 2
    own = [f"x{number}y{place}" for place in range(fresh)]
    return " ".join([*WORDS[:start], *own, *WORDS[start + fresh :]])


def cluster(number: int) -> str:
    words = page(40, number // 100).split()
    return " ".join([*words[:-6], f"z{number}", *words[-5:]])


def subset(number: int) -> str:
    draw = random.Random(number)
    return " ".join(word for one in SENTENCES if draw.random() < 0.875 for word in one)


def long(number: int) -> str:
    if number % 2:
        return "some words and more of them " * 3_700_000 + str(number)
    return " ".join(f"{number}w{place:09d}" for place in range(8_000_000))


KINDS: dict[str, Callable[[int], str]] = {
    "unlike": lambda number: page(40, number),
    "below": lambda number: page(9, number),
    "alike": lambda number: page(2, number),
    "clusters": cluster,
    "subsets": subset,
    "same": lambda number: page(0, 0),
    "word": lambda number: f"word{number % 1000}",
    "marks": lambda number: "?!" * (number % 1000 + 1),
    "cjk": lambda number: "日本語中文" * 40 + chr(0x4E00 + number % 1000),
    "long": long,
}


def run(kind: str, count: int, preset: str, steps: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        step = 1 if kind == "long" else FILE_ROWS
        for start in range(0, count, step):
            rows = range(start, min(start + step, count))
            texts = [KINDS[kind](number) for number in rows]
            table = pa.table({"id": [f"{number:09d}" for number in rows], "text": texts})
            pq.write_table(table, place / f"documents-{start:09d}.parquet")
        recipe = Recipe.model_validate(
            {
                "name": "hostile",
                "seed": 1,
                "sources": {"all": {"documents": f"{folder}/documents-*.parquet"}},
                "dedup": {"preset": preset, "max_loss": 1},
            }
        )
        engine = LocalEngine(1)
        list(engine.map(warm, [(folder, {"preset": preset})]))
        build.build(recipe, str(place / "out"), engine, Silent(), "extract")
        for pid in ("self", *children()):
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak counts from here
        print(f"{kind}, {count:,}; before: {peak('self'):.0f} MB, worker {workers()} MB")
        progress = Steps() if steps else Silent()
        before, own = sum(map(seconds, children())), time.process_time()
        summary = build.build(recipe, str(place / "out"), engine, progress).stage("dedup").summary
        used = sum(map(seconds, children())) - before + time.process_time() - own
        kept = count - summary["exact_duplicates"] - summary["near_duplicates"]
        print(
            f"  {used:.1f} s of processor time, {used / count * 1e6:.0f} µs a document; peak "
            f"{peak('self'):.0f} MB, worker {workers()} MB; {kept:,} kept"
        )
        names = ("candidates", "largest_component", "largest_group", "compared", "unfinished")
        print("  " + ", ".join(f"{name} {summary.get(name, 0):,}" for name in names), flush=True)
        engine.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("count", type=int, nargs="+")
    parser.add_argument("--preset", default="thorough")
    parser.add_argument("--steps", action="store_true")
    given = parser.parse_args()
    for count in given.count:
        run(given.kind, count, given.preset, given.steps)


if __name__ == "__main__":
    main()

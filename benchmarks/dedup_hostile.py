"""The dedup stage on inputs that are made to blow it up: seconds, peak memory and verdicts.

`python benchmarks/dedup_hostile.py KIND [COUNT ...]` makes so many documents of a kind, in files of
50,000, and builds up to the stage on one worker process. It stops at a wrong verdict: where a kind
says how many stay, that many have to; no document may be dropped for one that is not kept or that
is less alike than the threshold; and the Jaccard index of 1,000 drops, drawn at random, is computed
again by plain Python sets. The kinds:

- `unlike`: pages of one template, each pair at 0.45: all stay
- `below`: pages of one template, each pair at 0.798, just below the threshold: all stay
- `alike`: pages of one template, each pair at 0.90: one stays
- `clusters`: the same in clusters of 100 pages, at 0.45 between clusters: one of each stays
- `subsets`: random seven eighths of one list of sentences: most pairs are a little below the
  threshold and no shingle is rare, so that no filter spares the comparisons
- `same`: one document; `word`: documents of one word; `marks`: only punctuation; `cjk`: Chinese
  without spaces, which is one word; of each of these three 1,000 different ones, which stay
- `long`: three documents of 100 MB among pages of which all stay: one of words that are all
  different, one of six words, and a near-copy of the first, which goes
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from dedup import children, peak, seconds, shingles, warm, workers

from corpus import build
from corpus.config import Recipe
from corpus.engine import LocalEngine
from corpus.progress import Silent

FILE_ROWS = 50_000
SAMPLE = 1000  # drops whose Jaccard index is computed again
WORDS = [f"word{number}" for number in range(120)]
SENTENCES = [[f"s{number}w{place}" for place in range(8)] for number in range(45)]


class Steps(Silent):
    """Prints the seconds and the peak memory of the workers in each step."""

    name = ""
    most = 0.0  # peak of a worker in all steps, in MB

    def start(self, stage: str, *, total: int, reused: int, shards: int) -> None:
        now = sum(map(seconds, children()))
        if self.name:
            print(f"    {self.name}: {now - self.used:.1f} s, {workers()} MB")
            self.most = max(self.most, *map(peak, children()))
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
    if number > 2:
        return page(40, number)
    if number == 1:
        return "some words and more of them " * 3_700_000
    words = " ".join(f"w{place:010d}" for place in range(8_500_000))
    return f"the end of it is here {words}" if number else words


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

# Of so many documents of a kind, how many stay; of `subsets` nobody knows without all pairs.
KEPT: dict[str, Callable[[int], int]] = {
    "unlike": lambda count: count,
    "below": lambda count: count,
    "alike": lambda count: 1,
    "clusters": lambda count: -(-count // 100),
    "same": lambda count: 1,
    "word": lambda count: min(count, 1000),
    "marks": lambda count: min(count, 1000),
    "cjk": lambda count: min(count, 1000),
    "long": lambda count: count - 1,
}


def check(built: build.Build, kind: str, count: int, scheme: Any) -> None:
    """Raise AssertionError for a verdict that is wrong."""
    manifest = built.stage("dedup")
    columns = ["id", "kept", "duplicate_of", "jaccard"]
    tables = [
        pq.read_table(manifest.path(one.output("verdict")), columns=columns)
        for one in manifest.shards
    ]
    verdicts = pa.concat_tables(tables)
    assert len(verdicts) == count, f"{len(verdicts):,} verdicts for {count:,} documents"
    kept, dropped = verdicts.filter(pc.field("kept")), verdicts.filter(~pc.field("kept"))
    if kind in KEPT:
        expected = KEPT[kind](count)
        assert len(kept) == expected, f"{len(kept):,} are kept instead of {expected:,}"
    found = pc.is_in(dropped["duplicate_of"], kept["id"])
    assert pc.all(found, min_count=0).as_py(), "a keeper is not kept"
    alike = pc.greater_equal(dropped["jaccard"], scheme.threshold)
    assert pc.all(alike, min_count=0).as_py(), "a document is dropped below the threshold"
    drawn = random.Random(1).sample(range(len(dropped)), min(len(dropped), SAMPLE))
    for one in dropped.take(pa.array(drawn, pa.int64())).to_pylist():
        a, b = KINDS[kind](int(one["id"])), KINDS[kind](int(one["duplicate_of"]))
        own, other = shingles(a, scheme), shingles(b, scheme)
        index = 1.0 if a == b else len(own & other) / max(len(own | other), 1)
        assert abs(index - one["jaccard"]) < 1e-12, f"{one['id']}: {index} and not as recorded"


def run(kind: str, count: int, preset: str, steps: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for start in range(0, count, FILE_ROWS):
            rows = range(start, min(start + FILE_ROWS, count))
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
        built = build.build(recipe, str(place / "out"), engine, progress)
        summary = built.stage("dedup").summary
        used = sum(map(seconds, children())) - before + time.process_time() - own
        highest = max(getattr(progress, "most", 0), *map(peak, children()))
        kept = count - summary["exact_duplicates"] - summary["near_duplicates"]
        print(
            f"  {used:.1f} s of processor time, {used / count * 1e6:.0f} µs a document; peak "
            f"{peak('self'):.0f} MB, worker {highest:.0f} MB; {kept:,} kept"
        )
        names = ("candidates", "largest_component", "largest_group", "compared", "unfinished")
        print("  " + ", ".join(f"{name} {summary.get(name, 0):,}" for name in names), flush=True)
        engine.close()
        scheme = recipe.dedup.scheme()  # type: ignore[union-attr]
        check(built, kind, count, scheme)


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

"""The dedup stage and a script around rensa, on the same documents and cores, in turns.

`python benchmarks/dedup_peers.py DOCUMENTS --rensa PYTHON [--workers 2] [--rounds 2]` takes a
Parquet file of `id, text` and a Python that has rensa (`benchmarks/dedup_rensa.py`, which compares
signatures and not texts). Both read Parquet and write Parquet. Printed is the best of the rounds by
processor time; the start of our workers, which a build pays once for all its stages, is apart.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq
from dedup import children, made, seconds, warm

from corpus import build
from corpus.engine import LocalEngine
from corpus.progress import Silent

SCRIPT = Path(__file__).with_name("dedup_rensa.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("documents", type=Path)
    parser.add_argument("--rensa", required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--files", type=int, default=4)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        documents = pq.read_table(given.documents, columns=["id", "text"])
        count = len(documents)
        recipe = made(documents, place, {"preset": "thorough"}, given.files)
        del documents
        engine = LocalEngine(given.workers)
        list(engine.map(warm, [(folder, {"preset": "thorough"})] * (2 * given.workers)))
        best: dict[str, tuple[float, float, int]] = {}

        def ours(turn: int) -> tuple[float, float, int]:
            output = str(place / f"out-{turn}")
            build.build(recipe, output, engine, Silent(), "extract")
            before = sum(map(seconds, children())) + time.process_time()
            begun = time.perf_counter()
            counts = build.build(recipe, output, engine, Silent()).stage("dedup").counts()
            wall = time.perf_counter() - begun
            used = sum(map(seconds, children())) + time.process_time() - before
            return used, wall, counts.into - counts.kept

        def theirs(turn: int) -> tuple[float, float, int]:
            command = [given.rensa, str(SCRIPT), folder, str(given.workers)]
            told = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
            wall, used, dropped = told.split()
            return float(used), float(wall), int(dropped)

        for turn in range(given.rounds):
            for name, work in (("ours", ours), ("rensa", theirs)):
                found = work(turn)
                best[name] = min(best.get(name, found), found)
        engine.close()
        for name, (used, wall, dropped) in best.items():
            print(
                f"{name}: {count / used:,.0f} documents/s of a core, {count / wall:,.0f} by the "
                f"clock with {given.workers} processes, {dropped:,} of {count:,} dropped"
            )
        print(f"ratio {best['rensa'][0] / best['ours'][0]:.2f} of processor time", file=sys.stdout)
        print(f"ratio {best['rensa'][1] / best['ours'][1]:.2f} by the clock")


if __name__ == "__main__":
    main()

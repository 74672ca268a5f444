"""The dedup stage beside those of others, on the same documents and cores, in turns.

`python benchmarks/dedup_peers.py DOCUMENTS [--rensa PYTHON] [--fdedup PYTHON] [--workers 2]` takes
a Parquet file of `id, text`; a Python that has rensa, for `benchmarks/dedup_rensa.py`; and one that
has data-prep-kit (`data-prep-toolkit-transforms[fdedup]`), which is one process without Ray.
Neither of them verifies by texts. All read Parquet and write Parquet, with 18 bands of 7 over
5-word shingles. Printed is the best of the rounds by processor time; the start of our workers,
which a build pays once for all its stages, is apart.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from dedup import children, made, seconds, warm

from corpus import build
from corpus.engine import LocalEngine
from corpus.progress import Silent

SCRIPT = Path(__file__).with_name("dedup_rensa.py")
FDEDUP = """
import resource, sys, time
from dpk_fdedup.transform_python import Fdedup
def used():
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(one.ru_utime + one.ru_stime for one in map(resource.getrusage, kinds))
begun, before = time.perf_counter(), used()
Fdedup(input_folder=sys.argv[1], output_folder=sys.argv[2], num_permutations=126, num_bands=18,
       num_minhashes_per_band=7, word_shingle_size=5, jaccard_similarity_threshold=0.8,
       operation_mode="filter_duplicates").transform()
print("measured", time.perf_counter() - begun, used() - before)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("documents", type=Path)
    parser.add_argument("--rensa")
    parser.add_argument("--fdedup")
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

        def fdedup(turn: int) -> tuple[float, float, int]:
            source, target = place / "in", place / f"fdedup-{turn}"
            source.mkdir(exist_ok=True)
            first = 0
            for path in sorted(place.glob("documents-*.parquet")):
                texts = pq.read_table(path)["text"]
                numbers = pa.array(range(first, first + len(texts)))
                table = pa.table({"contents": texts, "int_id_column": numbers})
                pq.write_table(table, source / path.name)
                first += len(texts)
            command = [given.fdedup, "-c", FDEDUP, str(source), str(target)]
            told = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
            [wall, used] = map(float, told.rpartition("measured ")[2].split())
            cleaned = (target / "cleaned").glob("*.parquet")
            return used, wall, first - sum(pq.read_metadata(path).num_rows for path in cleaned)

        peers = {"rensa": (given.rensa, theirs), "fdedup": (given.fdedup, fdedup)}
        asked = {name: work for name, (python, work) in peers.items() if python}
        for turn in range(given.rounds):
            for name, work in {"ours": ours, **asked}.items():
                found = work(turn)
                best[name] = min(best.get(name, found), found)
        engine.close()
        for name, (used, wall, dropped) in best.items():
            print(
                f"{name}: {count / used:,.0f} documents/s of a core, {count / wall:,.0f} by the "
                f"clock with {given.workers} processes, {dropped:,} of {count:,} dropped"
            )
        for name in asked:
            times = (best[name][n] / best["ours"][n] for n in (0, 1))
            print("{}: {:.2f} times our processor time, {:.2f} by the clock".format(name, *times))


if __name__ == "__main__":
    main()

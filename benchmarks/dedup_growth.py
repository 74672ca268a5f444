"""How the dedup stage grows: processor time and memory for some documents and for many more.

`python benchmarks/dedup_growth.py DOCUMENTS ...` takes Parquet files of `id, text`, such as ten
seeds of one generator. The stage runs over the first one and then over all, in parts of
50,000 documents, on two workers; printed are for each step the processor time and the peak memory
of a worker, and at the end the ratio of the times. Verdicts are checked by `benchmarks/dedup.py`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from dedup import children, peak, seconds, warm, workers
from dedup_hostile import FILE_ROWS, Steps

from corpus import build
from corpus.config import Recipe
from corpus.engine import LocalEngine
from corpus.progress import Silent


def measured(files: Sequence[Path], preset: str, workers_wanted: int) -> float:
    """Run the stage over files and return its processor time."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        count = 0
        for number, path in enumerate(files):
            for batch in pq.ParquetFile(path).iter_batches(FILE_ROWS, columns=["id", "text"]):
                ids = [f"{number}-{id}" for id in batch.column("id").to_pylist()]
                table = pa.table({"id": ids, "text": batch.column("text")})
                pq.write_table(table, place / f"documents-{count:09d}.parquet")
                count += len(table)
        recipe = Recipe.model_validate(
            {
                "name": "growth",
                "seed": 1,
                "sources": {"all": {"documents": f"{folder}/documents-*.parquet"}},
                "dedup": {"preset": preset, "max_loss": 1},
            }
        )
        engine = LocalEngine(workers_wanted)
        list(engine.map(warm, [(folder, {"preset": preset})] * (2 * workers_wanted)))
        build.build(recipe, str(place / "out"), engine, Silent(), "extract")
        for pid in ("self", *children()):
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        print(f"{count:,} documents; before: {peak('self'):.0f} MB, workers {workers()} MB")
        before, own = sum(map(seconds, children())), time.process_time()
        begun = time.perf_counter()
        built = build.build(recipe, str(place / "out"), engine, Steps()).stage("dedup")
        wall = time.perf_counter() - begun
        used = sum(map(seconds, children())) - before + time.process_time() - own
        print(
            f"  {used:.1f} s of processor time ({used / count * 1e6:.1f} µs a document), "
            f"{wall:.1f} s by the clock; {peak('self'):.0f} MB here"
        )
        print(f"  {dict(built.summary)}")
        for name in ("signatures-*", "dedup-*"):
            paths = [path for one in (place / "out").glob(name) for path in one.rglob("*")]
            size = sum(path.stat().st_size for path in paths if path.is_file())
            print(f"  {name}: {size / count:.1f} bytes a document on disk", flush=True)
        engine.close()
        return used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("documents", type=Path, nargs="+")
    parser.add_argument("--preset", default="thorough")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    small = measured(given.documents[:1], given.preset, given.workers)
    if len(given.documents) > 1:
        large = measured(given.documents, given.preset, given.workers)
        print(f"{len(given.documents)} times the files: {large / small:.2f} times the time")


if __name__ == "__main__":
    main()

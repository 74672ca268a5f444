"""What somebody would write with rensa: Parquet in, which documents to keep as Parquet out.

`PYTHON benchmarks/dedup_rensa.py FOLDER WORKERS`, by a Python that has rensa and pyarrow, over the
files `documents-*.parquet` (`id, text`) of a folder; started by `benchmarks/dedup.py --rensa`. The
same shingles, signatures of the same length and the same bands as the preset `thorough`; what
shares a band is compared by signatures, not by texts, and the first one is kept. Signatures are
made by so many processes, in rensa's bulk call. Prints seconds by the clock, seconds of processor
time, and how many documents are dropped.
"""

from __future__ import annotations

import multiprocessing
import re
import resource
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rensa import RMinHash, RMinHashLSH

PERMUTATIONS, BANDS, THRESHOLD, SHINGLE = 126, 18, 0.8, 5


def signed(path: Path) -> tuple[list[str], list[Any]]:
    table = pq.read_table(path, columns=["id", "text"])
    sets = []
    for text in table["text"].to_pylist():
        words = re.findall(r"\w+", text.lower())
        sets.append([" ".join(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)])
    return table["id"].to_pylist(), RMinHash.from_token_sets(sets, PERMUTATIONS, 1)


def used() -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    found = [resource.getrusage(kind) for kind in kinds]
    return sum(one.ru_utime + one.ru_stime for one in found)


def main() -> None:
    folder, workers = Path(sys.argv[1]), int(sys.argv[2])
    begun, before = time.perf_counter(), used()
    index = RMinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS, num_bands=BANDS)
    kept: dict[int, Any] = {}
    every: list[str] = []
    verdicts: list[bool] = []
    with multiprocessing.Pool(workers) as pool:
        for ids, signatures in pool.imap(signed, sorted(folder.glob("documents-*.parquet"))):
            for id, signature in zip(ids, signatures, strict=True):
                near = (kept[key] for key in index.query(signature))
                new = not any(signature.jaccard(other) >= THRESHOLD for other in near)
                if new:
                    index.insert(len(every), signature)
                    kept[len(every)] = signature
                every.append(id)
                verdicts.append(new)
        pool.close()
        pool.join()
    pq.write_table(pa.table({"id": every, "kept": verdicts}), folder / "rensa.parquet")
    print(time.perf_counter() - begun, used() - before, verdicts.count(False))


if __name__ == "__main__":
    main()

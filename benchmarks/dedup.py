"""The dedup stage on documents whose near-duplicates are known: what it finds, drops and costs.

`python benchmarks/dedup.py DOCUMENTS PAIRS [--preset NAME] [--threshold T] [--workers 2]` takes
documents (`id, text`; Parquet or JSONL) and pairs (`a, b, jaccard` or `jaccard5`; of the sets of
five consecutive words, `\\w+` of the lower-cased text). It prints the share of the known pairs of
which a document is dropped, whether any document was dropped whose Jaccard index with its keeper,
computed from the texts by plain Python sets, is below the threshold or not the recorded one, and
the time and memory of the stage, Parquet in and verdicts out.

`--signatures` compares signatures with datasketch's `update_batch`, and with `--rensa PYTHON`, a
Python that has rensa, with that; in turns, in one run.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import datasketch
import mmh3
import pyarrow as pa
import pyarrow.json as paj
import pyarrow.parquet as pq

from corpus import build
from corpus.config import Recipe
from corpus.engine import LocalEngine
from corpus.progress import Lines, Silent
from corpus.text import minhash, normalization

PERMUTATIONS, SHINGLE, ROUNDS = 128, 5, 3
BANDS = (0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0)
RENSA = """
import re, sys, time
import pyarrow.parquet as pq
from rensa import RMinHash
texts = pq.read_table(sys.argv[1])["text"].to_pylist()
start = time.process_time()
for text in texts:
    words = re.findall(r"\\w+", text.lower())
    grams = [" ".join(words[i : i + 5]) for i in range(len(words) - 4)]
    sketch = RMinHash(num_perm=128, seed=1)
    sketch.update(grams)
    sketch.digest()
print(time.process_time() - start)
"""


def read(path: Path) -> pa.Table:
    """Return a table of Parquet or JSONL, plain or `.zst`."""
    if path.suffix == ".parquet":
        return pq.read_table(path)
    with pa.input_stream(str(path), compression="zstd" if path.suffix == ".zst" else None) as file:
        block = paj.ReadOptions(block_size=1 << 26)
        return paj.read_json(pa.BufferReader(file.read()), read_options=block)


def made(documents: pa.Table, folder: Path, dedup: dict[str, Any], files: int) -> Recipe:
    """Return a recipe of documents, which are written into so many files."""
    for number in range(files):
        rows = pa.array(range(number, len(documents), files))
        pq.write_table(documents.take(rows), folder / f"documents-{number:03d}.parquet")
    return Recipe.model_validate(
        {
            "name": "benchmark",
            "seed": 1,
            "sources": {"all": {"documents": f"{folder}/documents-*.parquet"}},
            "dedup": {**dedup, "max_loss": 1},
        }
    )


def peak(process: int | str) -> float:
    """Return the peak resident memory of a process, in MB (proc(5): VmHWM)."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


def children() -> list[int]:
    task = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(number) for number in task.read_text().split()]


def workers() -> str:
    """Return the peaks of the workers, not of what only watches over them."""
    return ", ".join(f"{peak(pid):.0f}" for pid in children() if peak(pid) > 50)


def seconds(process: int | str) -> float:
    """Return the processor time of a process (proc(5): utime and stime, in ticks)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def shingles(text: str, scheme: Any) -> set[tuple[str, ...]]:
    """By the standard library alone."""
    words = re.findall(r"\w+", text.lower()) if scheme.words == "word" else text.lower().split()
    return {tuple(words[i : i + scheme.shingle]) for i in range(len(words) - scheme.shingle + 1)}


def check(built: build.Build, documents: pa.Table, scheme: Any) -> set[str]:
    """Print how many drops are wrong, and return what was dropped."""
    manifest = built.stage("dedup")
    tables = [pq.read_table(manifest.path(shard.output("verdict"))) for shard in manifest.shards]
    verdicts = pa.concat_tables(tables).to_pylist()
    texts = dict(zip(documents["id"].to_pylist(), documents["text"].to_pylist(), strict=True))
    kept = {one["id"] for one in verdicts if one["kept"]}
    wrong = 0
    for one in verdicts:
        if one["kept"]:
            continue
        a, b = texts[one["id"]], texts[one["duplicate_of"]]
        own, other = shingles(a, scheme), shingles(b, scheme)
        index = 1.0 if a == b else len(own & other) / max(len(own | other), 1)
        good = index >= scheme.threshold and abs(index - one["jaccard"]) < 1e-12
        wrong += not good or one["duplicate_of"] not in kept
    print(f"{len(verdicts) - len(kept):,} dropped of {len(verdicts):,}, {wrong} of them wrongly")
    return texts.keys() - kept


def recall(pairs: pa.Table, dropped: set[str], threshold: float) -> None:
    """Print the share of pairs of which a document is dropped, by Jaccard index."""
    column = "jaccard" if "jaccard" in pairs.column_names else "jaccard5"
    rows = list(zip(*(pairs[name].to_pylist() for name in ("a", "b", column)), strict=True))
    for low, high in zip(BANDS, (*BANDS[1:], 2.0), strict=True):
        own = [a in dropped or b in dropped for a, b, index in rows if low <= index < high]
        if own:
            print(f"pairs from {low:.2f}: {sum(own):,} of {len(own):,}, {sum(own) / len(own):.4f}")
    own = [a in dropped or b in dropped for a, b, index in rows if index >= threshold + 0.05]
    print(f"recall of all from {threshold + 0.05:.2f}: {sum(own) / max(len(own), 1):.4f}")


def warm(task: tuple[str, dict[str, Any]]) -> None:
    """Run the whole stage in this process, so that all that it needs is loaded, or compiled."""
    folder, dedup = task
    place = Path(folder) / f"warm-{os.getpid()}"
    place.mkdir(exist_ok=True)
    texts = [" ".join(str(n * n % (k + 7)) for n in range(60)) for k in range(60)]
    documents = pa.table({"id": [f"{k}" for k in range(120)], "text": [*texts, *texts]})
    recipe = made(documents, place, dedup, 1)
    build.build(recipe, str(place / "out"), LocalEngine(0), Silent())
    time.sleep(1)  # so that the other workers get a task as well


def stage(given: argparse.Namespace) -> None:
    dedup = {"preset": given.preset, "threshold": given.threshold}
    dedup = {key: value for key, value in dedup.items() if value is not None}
    with tempfile.TemporaryDirectory() as folder:
        engine = LocalEngine(given.workers)
        started = time.perf_counter()
        list(engine.map(warm, [(folder, dedup)] * (2 * given.workers)))
        print(f"start of workers and kernels: {time.perf_counter() - started:.1f} s")
        place = Path(folder)
        documents = read(given.documents).select(["id", "text"])
        count = len(documents)
        recipe = made(documents, place, dedup, given.files)
        del documents
        build.build(recipe, str(place / "out"), engine, Lines(), "extract")
        for pid in ("self", *children()):
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak counts from here
        print(f"memory before: {peak('self'):.0f} MB here, workers {workers()} MB")
        before = [seconds(pid) for pid in children()]
        own = time.process_time()
        begun = time.perf_counter()
        built = build.build(recipe, str(place / "out"), engine, Lines())
        wall = time.perf_counter() - begun
        busy = sum(map(seconds, children())) - sum(before)
        own = time.process_time() - own
        print(
            f"dedup: {count / wall:,.0f} documents/s of wall time with {given.workers} "
            f"workers; {busy + own:.1f} s of processor time: "
            f"{count / (busy + own):,.0f} documents/s of a core"
        )
        print(f"peak memory: {peak('self'):.0f} MB here, workers {workers()} MB")
        print(f"figures: {dict(built.stage('dedup').summary)}")
        [signed] = (place / "out").glob("signatures-*")
        size = sum(path.stat().st_size for path in signed.rglob("*") if path.is_file())
        print(f"signatures: {size / count:.0f} bytes a document on disk")
        engine.close()
        scheme = recipe.dedup.scheme()  # type: ignore[union-attr]
        dropped = check(built, read(given.documents), scheme)
        if given.pairs:
            recall(read(given.pairs), dropped, scheme.threshold)


def hash_shingle(data: bytes) -> int:
    return mmh3.hash(data, signed=False)


def signatures(documents: pa.Table, rensa: str | None) -> None:
    texts = documents["text"].slice(0, 2000).combine_chunks().cast(pa.large_string())
    texts = texts if isinstance(texts, pa.Array) else texts.chunk(0)

    def ours() -> float:
        start = time.process_time()
        minhash.signatures(texts, permutations=PERMUTATIONS, shingle=SHINGLE, words="word", seed=1)
        return time.process_time() - start

    def theirs() -> float:
        start = time.process_time()
        for text in texts.to_pylist():
            words = normalization.words(text, kind="word")
            sketch = datasketch.MinHash(num_perm=PERMUTATIONS, hashfunc=hash_shingle)
            spans = range(len(words) - SHINGLE + 1)
            sketch.update_batch([" ".join(words[i : i + SHINGLE]).encode() for i in spans])
        return time.process_time() - start

    def of_rensa() -> float:
        with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
            pq.write_table(pa.table({"text": texts}), file.name)
            command = [str(rensa), "-c", RENSA, file.name]
            return float(subprocess.run(command, capture_output=True, check=True).stdout)

    ours()
    times = {"ours": ours, "datasketch": theirs, **({"rensa": of_rensa} if rensa else {})}
    best = dict.fromkeys(times, float("inf"))
    for _ in range(ROUNDS):
        for name, work in times.items():
            best[name] = min(best[name], work())
    for name, needed in best.items():
        print(
            f"signatures by {name}: {len(texts) / needed:,.0f} documents/s of a core, ours "
            f"{needed / best['ours']:.1f} times as fast"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("documents", type=Path)
    parser.add_argument("pairs", type=Path, nargs="?")
    parser.add_argument("--preset")
    parser.add_argument("--threshold", type=float)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--files", type=int, default=4)
    parser.add_argument("--signatures", action="store_true")
    parser.add_argument("--rensa")
    given = parser.parse_args()
    if given.signatures or given.rensa:
        signatures(read(given.documents), given.rensa)
    else:
        stage(given)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(f"this process: {used.ru_utime + used.ru_stime:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main()

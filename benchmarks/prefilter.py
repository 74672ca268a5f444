"""Crawl to filtered documents with the cheap look, against the full path and against datatrove.

`python benchmarks/prefilter.py --datatrove PYTHON --lid lid.176.ftz [FOLDER]` runs, one after the
other over the same WARC files and with as many processes,

* this toolkit, English only, Gopher rules, alpha 9, with `extract.prefilter` and its quality look;
* the same without sparing a page (`audit: 1`), which is what the first is to keep;
* datatrove: WarcReader, Trafilatura, LanguageFilter, GopherRepetitionFilter, GopherQualityFilter,
  in the interpreter PYTHON that has it (`pip install datatrove[processing] spacy`), with the
  language model in a local file, since it would download one;

and prints pages a second, CPU seconds, the ratio, and the share of the full path's documents that
the look keeps: those of this seed, and expected over all draws. What starts once (interpreters,
kernels, models) is timed apart on an archive of one page and taken off all. FOLDER holds WARC files
at any depth; without it, `$CORPUS_TEST_DATA/commoncrawl`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from extract import RECORD  # beside this file

from corpus.build import read_build
from corpus.extract import prefilter
from corpus.manifest import Manifest
from corpus.text import quality

ROOT = Path(__file__).resolve().parent.parent
ALPHA, MARGIN, LANGUAGE_FLOOR = 9.0, 10.0, 0.65

DATATROVE = """
import sys
import datatrove.utils.lid as lid
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import (
    GopherQualityFilter, GopherRepetitionFilter, LanguageFilter
)
from datatrove.pipeline.readers import WarcReader
from datatrove.pipeline.writers import JsonlWriter

folder, output, model, workers = sys.argv[1:]
lid.cached_asset_path_or_download = lambda *a, **k: model
LocalPipelineExecutor(
    pipeline=[
        WarcReader(folder, glob_pattern="**/*.warc.gz"),
        Trafilatura(),
        LanguageFilter(["en"], language_threshold=0.65),
        GopherRepetitionFilter(),
        GopherQualityFilter(),
        JsonlWriter(output),
    ],
    tasks=8,
    workers=int(workers),
    start_method="fork",
    logging_dir=output + "/logs",
).run()
"""


@dataclass(frozen=True)
class Timed:
    """Wall and CPU seconds of a command and all of its children."""

    seconds: float
    cpu: float

    def less(self, start: Timed) -> Timed:
        return Timed(self.seconds - start.seconds, self.cpu - start.cpu)


def timed(command: list[str]) -> Timed:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    done = subprocess.run(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr[-3000:]}")
    seconds = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Timed(seconds, cpu)


def recipe(folder: Path, classifier: str, audit: float) -> str:
    look = {"quality": True, "margin": MARGIN, "audit": audit}
    return json.dumps(
        {
            "name": "prefilter",
            "seed": 2020,
            "sources": {"crawl": {"filter": True, "warc": f"{folder}/**/*.warc.gz"}},
            "extract": {"prefilter": look},
            "filter": {
                "classifier": classifier,
                "alpha": ALPHA,
                "languages": {"en": LANGUAGE_FLOOR},
                "heuristics": ["gopher"],
            },
        }
    )


def build(folder: Path, output: Path, classifier: str, audit: float, workers: int) -> Timed:
    output.mkdir(parents=True)
    (output / "mix.yaml").write_text(recipe(folder, classifier, audit))
    command = [sys.executable, "-m", "corpus", "build", "--config", f"{output}/mix.yaml"]
    command += ["--output", f"{output}/out", "--engine", "local", "--workers", str(workers)]
    return timed(command)


def datatrove(python: str, model: str, folder: Path, output: Path, workers: int) -> Timed:
    output.mkdir(parents=True)
    (output / "run.py").write_text(DATATROVE)
    return timed([python, f"{output}/run.py", str(folder), f"{output}/out", model, str(workers)])


def kept(manifest: Manifest) -> set[str]:
    found: set[str] = set()
    for shard in manifest.shards:
        table = pq.read_table(manifest.path(shard.output("verdict")), columns=["id", "kept"])
        found.update(table.filter(table["kept"])["id"].to_pylist())
    return found


def expected(output: Path) -> float:
    """Return the share of the full path's documents that the look keeps, over all draws."""
    made = read_build(f"{output}/out").manifests
    looks = pa.concat_tables(
        pq.read_table(made["extract"].path(shard.output("looks")))
        for shard in made["extract"].shards
    )
    verdicts = pa.concat_tables(
        pq.read_table(made["filter"].path(shard.output("verdict")))
        for shard in made["filter"].shards
    )
    verdict = {row["id"]: row for row in verdicts.to_pylist()}
    both = full = 0.0
    for row in looks.to_pylist():
        found = verdict.get(row["id"])
        if found is None or found["reason"] not in (None, "quality"):
            continue
        keep = float(quality.keep_probability(np.array([found["score"]]), alpha=ALPHA)[0])
        passes = float(
            prefilter.pass_probability(np.array([row["score"]]), alpha=ALPHA, margin=MARGIN)[0]
        )
        full += keep
        both += 0.0 if row["reason"] not in (None, "quality") else min(keep, passes)
    return both / full


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--classifier", default=str(ROOT / "classifiers" / "quality"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--datatrove", metavar="PYTHON")
    parser.add_argument("--lid", metavar="FILE", help="fastText's language model, for datatrove")
    given = parser.parse_args()
    data = Path(os.environ.get("CORPUS_TEST_DATA", ROOT / ".." / "shared" / "data"))
    folder = (given.folder or data / "commoncrawl").resolve()
    classifier = str(Path(given.classifier).resolve())
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        small = scratch / "one"
        small.mkdir()
        (small / "one.warc.gz").write_bytes(gzip.compress(RECORD))
        build(small, scratch / "warm", classifier, 0.02, 1)  # compiles what is not cached
        start = build(small, scratch / "start", classifier, 0.02, given.workers)
        with_look = build(folder, scratch / "look", classifier, 0.02, given.workers).less(start)
        without = build(folder, scratch / "full", classifier, 1.0, given.workers).less(start)
        look = read_build(f"{scratch}/look/out").manifests
        full = read_build(f"{scratch}/full/out").manifests
        into = look["extract"].counts()
        pages = into.into - into.dropped.get("mime_type", 0) - into.dropped.get("http_status", 0)
        sides = {"with the look": with_look, "without": without}
        print(f"{pages:,} pages, {given.workers} workers; to start: {start.seconds:.1f} s")
        if given.datatrove:
            model = str(Path(given.lid).resolve())
            theirs = datatrove(given.datatrove, model, small, scratch / "d0", given.workers)
            all_of_it = datatrove(given.datatrove, model, folder, scratch / "d1", given.workers)
            sides["datatrove"] = all_of_it.less(theirs)
            print(f"datatrove, to start: {theirs.seconds:.1f} s")
        for side, one in sides.items():
            rate = pages / one.seconds
            print(f"{side:<14} {rate:>7.1f} pages/s  {one.seconds:.1f} s  {one.cpu:.1f} CPU s")
        if given.datatrove:
            wall = sides["datatrove"].seconds / with_look.seconds
            cpu = sides["datatrove"].cpu / with_look.cpu
            print(f"pages/s: {wall:.1f} times datatrove's; CPU: {cpu:.1f} times (wanted: 6)")
        wanted, got = kept(full["filter"]), kept(look["filter"])
        print(
            f"kept: {len(wanted & got)} of the {len(wanted)} documents of the full path, "
            f"{expected(scratch / 'full'):.2%} expected over all draws (wanted: 97 %); the build "
            f"says: {json.dumps(look['filter'].summary['prefilter'])}"
        )


if __name__ == "__main__":
    main()

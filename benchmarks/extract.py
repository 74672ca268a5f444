"""Extraction against bare loops over the same archives, in one run.

`python benchmarks/extract.py [FOLDER]` prints pages per second and CPU seconds of a bare loop
(FastWARC, then trafilatura or resiliparse, and nothing else) and of the extract stage's function
(reading damage and all, bounds, charset, title, language, Parquet), and their ratio. FOLDER holds
WARC files at any depth; without it, `$CORPUS_TEST_DATA/commoncrawl`.

Every measurement has a process of its own and the two sides take turns, so that a change in the
machine's load meets both. What starts once is timed apart: imports, the first page, and the child
process of the extraction, which a build pays for once in `extract.recycle_pages` pages.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from corpus.config import Extract
from corpus.extract.shard import ExtractTask, extract_shard

ROOT = Path(__file__).resolve().parent.parent
EXTRACTORS = ("trafilatura", "resiliparse")
BOUNDS = {"trafilatura": 1.05, "resiliparse": 1.25}
START_RUNS = 5
PAGE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<title>One</title><p>"
    + b"The path by the river was under water for most of its length that morning. " * 9
)
RECORD = (
    b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:1>\r\n"
    b"WARC-Target-URI: http://one.example/\r\nWARC-Date: 2026-11-14T03:02:01Z\r\n"
    b"Content-Type: application/http; msgtype=response\r\n"
    b"Content-Length: %d\r\n\r\n%s\r\n\r\n" % (len(PAGE), PAGE)
)


@dataclass(frozen=True)
class Measured:
    """One side, once: pages with text, seconds, and CPU seconds of the process and its children."""

    pages: int
    seconds: float
    cpu: float
    children: float
    start: float  # CPU seconds of a shard of one page, start-up being nearly all of it


def cpu_seconds() -> tuple[float, float]:
    """Return the CPU seconds of this process and of its ended children."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime


def timed(work: Callable[[], int]) -> Measured:
    own, children = cpu_seconds()
    begin = time.perf_counter()
    pages = work()
    seconds = time.perf_counter() - begin
    own_after, children_after = cpu_seconds()
    spent = children_after - children
    return Measured(pages, seconds, own_after - own + spent, spent, 0.0)


def bare_loop(paths: list[Path], extractor: str) -> int:
    """The shortest program that gets text out of an archive."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding
    from trafilatura import extract

    pages = 0
    for path in paths:
        with path.open("rb") as file:
            for record in ArchiveIterator(file, record_types=WarcRecordType.response):
                head = record.http_headers
                if head is None or head.status_code != 200:
                    continue
                if record.http_content_type not in ("text/html", "application/xhtml+xml"):
                    continue
                body = record.reader.read()
                if extractor == "trafilatura":
                    text = extract(body, include_comments=False)
                else:
                    page = bytes_to_str(body, detect_encoding(body) or "utf-8")
                    text = extract_plain_text(page, main_content=True)
                pages += bool(text)
    return pages


def our_stage(paths: list[Path], extractor: str) -> int:
    pages = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, path in enumerate(paths):
            task = ExtractTask(
                name=f"part-{number:05d}",
                source="bench",
                key="bench",
                weight=1,
                path=str(path),
                file_name=path.name,
                reader="warc",
                fields={},
                links="",
                offsets=None,
                settings=Extract.model_validate({"extractor": extractor}),
                folder=folder,
            )
            pages += extract_shard(task).counts.kept
    return pages


def measure(side: str, extractor: str, paths: list[Path]) -> Measured:
    """Measure one side in this process, its first page behind it."""
    run = bare_loop if side == "bare" else our_stage
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "one.warc.gz"
        small.write_bytes(gzip.compress(RECORD))
        run([small], extractor)
        start = statistics.median(
            timed(lambda: run([small], extractor)).cpu for _ in range(START_RUNS)
        )
    one = timed(lambda: run(paths, extractor))
    return Measured(one.pages, one.seconds, one.cpu, one.children, start)


def measured(side: str, extractor: str, paths: list[Path]) -> Measured:
    """Measure one side in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--measure", f"{side} {extractor}", *map(str, paths)],
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return Measured(**json.loads(done.stdout))


def compare(extractor: str, paths: list[Path], rounds: int) -> None:
    """Print one extractor's two sides, and the median of the rounds' ratios."""
    ratios: list[float] = []
    best: dict[str, Measured] = {}
    for _ in range(rounds):
        cpu = {}
        for side in ("bare", "ours"):
            one = measured(side, extractor, paths)
            # The stage starts a process for every file here; of real files, of 40,000 pages, one
            # in recycle_pages pays.
            cpu[side] = one.cpu - (one.start * len(paths) if side == "ours" else 0.0)
            if side not in best or one.cpu < best[side].cpu:
                best[side] = one
        ratios.append(cpu["ours"] / cpu["bare"])
    for side, one in best.items():
        started = one.start * len(paths) if side == "ours" else 0.0
        shown = f"{one.cpu - started:.2f} CPU s"
        if one.children:
            shown += f" (parent {one.cpu - one.children:.2f})"
            shown += f", and {one.start:.2f} for each start of the child"
        print(f"{extractor:<12} {side}  {one.pages / one.seconds:>6.1f} pages/s  {shown}")
    ratio = statistics.median(ratios)
    spread = ", ".join(f"{one:.3f}" for one in ratios)
    print(f"{extractor:<12} ours / bare, CPU: {ratio:.3f} (bound {BOUNDS[extractor]}; {spread})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--files", type=int, default=2, help="so many of the folder's archives")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--extractor", choices=EXTRACTORS, action="append")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        side, extractor = given.measure.split()
        print(json.dumps(asdict(measure(side, extractor, given.paths))))
        return
    data = Path(os.environ.get("CORPUS_TEST_DATA", ROOT / ".." / "shared" / "data"))
    folder = given.paths[0] if given.paths else data / "commoncrawl"
    paths = sorted(path for path in folder.rglob("*.warc.gz") if path.is_file())[: given.files]
    if not paths:
        parser.error(f"no *.warc.gz in {folder}: name a folder, or set CORPUS_TEST_DATA")
    print(f"{len(paths)} archives, {sum(path.stat().st_size for path in paths):,} bytes")
    for extractor in given.extractor or EXTRACTORS:
        compare(extractor, paths, given.rounds)


if __name__ == "__main__":
    main()

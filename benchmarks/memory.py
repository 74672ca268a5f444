"""Memory of the extraction over many pages: whether it stays flat.

`python benchmarks/memory.py [FOLDER] [--pages 10000] [--extractor trafilatura]` reads the archives
in FOLDER (else `$CORPUS_TEST_DATA/commoncrawl`) over and over, as one task of the extract stage
reads its file, until so many pages went through, and prints the resident memory of the reading
process and of the extracting child as it goes. `--recycle` is `extract.recycle_pages`; a number
beyond `--pages` shows what one child would grow to.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from corpus.config import Extract
from corpus.document import Document, Drop, Page
from corpus.document_writer import DocumentWriter
from corpus.extract.sandbox import Extracted, Sandbox
from corpus.sources import warc

ROOT = Path(__file__).resolve().parent.parent
MIB = 1 << 20


def resident(process: int | str) -> float:
    """Return the resident memory of a process, in MiB (proc(5): statm counts pages)."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def children() -> list[int]:
    """Return this process's children."""
    task = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(number) for number in task.read_text().split()]


def replay(paths: list[Path], settings: Extract, wanted: int) -> Iterator[Page | Drop]:
    """Yield pages of the archives, over and over."""
    pages = 0
    while True:
        for path in paths:
            limit = settings.max_page_bytes
            for item in warc.read(str(path), name=path.name, max_page_bytes=limit):
                yield item
                pages += isinstance(item, Page)
                if pages >= wanted:
                    return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--pages", type=int, default=10_000)
    parser.add_argument("--extractor", default="trafilatura")
    parser.add_argument("--recycle", type=int, default=Extract().recycle_pages)
    parser.add_argument("--lines", type=int, default=20)
    given = parser.parse_args()
    data = Path(os.environ.get("CORPUS_TEST_DATA", ROOT / ".." / "shared" / "data"))
    paths = sorted((given.folder or data / "commoncrawl").rglob("*.warc.gz"))
    if not paths:
        parser.error("no *.warc.gz there: name a folder, or set CORPUS_TEST_DATA")
    settings = Extract.model_validate({"extractor": given.extractor})
    every = max(1, given.pages // given.lines)
    begin = time.monotonic()
    done = 0
    with (
        tempfile.TemporaryDirectory() as folder,
        DocumentWriter(folder, "replay", "part") as writer,
        Sandbox(
            extractor=given.extractor,
            timeout=settings.timeout,
            memory_bytes=settings.memory_bytes,
            recycle_pages=given.recycle,
        ) as sandbox,
    ):
        print(f"{'pages':>8} {'seconds':>8} {'parent MiB':>11} {'child MiB':>10}")
        for page, result in sandbox.map(replay(paths, settings, given.pages)):
            if isinstance(page, Drop):
                continue
            if isinstance(result, Extracted):
                writer.add(
                    Document(page.id, page.url, page.date, result.title, result.text, page.place)
                )
            done += 1
            if done % every == 0:
                child = sum(map(resident, children()))
                seconds = time.monotonic() - begin
                print(f"{done:>8} {seconds:>8.0f} {resident('self'):>11.0f} {child:>10.0f}")
        writer.finish("replay")
    print(f"{done} pages, {done / (time.monotonic() - begin):.0f} a second")


if __name__ == "__main__":
    main()

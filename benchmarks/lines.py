"""Line dedup: the kernel and the whole step against plain Python's CCNet and datatrove's, in turns.

`python benchmarks/lines.py DOCUMENTS... [--times N] [--datatrove PYTHON]` takes JSONL files with
`text` and reads each N times over, with other words in every second line, so that there is more to
do than a small crawl has. It prints, in processor time:

- the kernel (find, normalise and hash all lines), in MB of text a second, and plain Python doing
  the same: split, lower case, digits, punctuation and accents by regular expressions and
  `unicodedata`, SHA-1;
- the stage with and without `dedup.lines`, whose difference is the whole step, Parquet in and
  verdicts out; and plain Python doing it in memory: the first of each line in the order given;
- with the Python of an environment that has datatrove, its sentence dedup set to lines: signatures,
  finding, filtering, JSONL in and out.

And what is cut: lines, bytes, documents dropped, and whether plain Python leaves as much.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import resource
import string
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from corpus import build
from corpus.config import Recipe
from corpus.engine import LocalEngine
from corpus.progress import Silent
from corpus.text import lines

ROUNDS = 3
DIGITS = re.compile(r"\d")
MARKS = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c)[0] == "P"]
PUNCTUATION = re.compile(f"[{re.escape(''.join({*MARKS, *string.punctuation}))}\x00-\x1f\x7f-\x9f]")
ACCENTS = re.compile("[\u0300-\u036f]")
DATATROVE = """
import sys, time, resource
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    SentDedupConfig, SentenceDedupFilter, SentenceDedupSignature, SentenceFindDedups)
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers.jsonl import JsonlWriter
source, place = sys.argv[1:3]
config = SentDedupConfig(n_sentences=1, split_sentences=False, only_dedup_in_index=False,
    min_doc_words=0, min_num_sentences=0)
steps = [
    [JsonlReader(source), SentenceDedupSignature(place + "/s", config=config)],
    [SentenceFindDedups(place + "/s", place + "/d", config=config)],
    [JsonlReader(source), SentenceDedupFilter(place + "/d", config=config),
     JsonlWriter(place + "/o", compression=None)],
]
start = time.process_time()
for number, pipeline in enumerate(steps):
    LocalPipelineExecutor(pipeline, tasks=1, workers=1, logging_dir=place + f"/l{number}").run()
print("seconds", time.process_time() - start)
"""


def read(paths: Sequence[str], times: int) -> list[str]:
    """Return the texts, again and again with some lines changed."""
    files = [Path(path).read_text().split("\n")[:-1] for path in paths]
    texts = [json.loads(line)["text"] for file in files for line in file]
    found = list(texts)
    for turn in range(1, times):
        for text in texts:
            changed = text.split("\n")
            changed[::2] = [f"{line} {'again ' * turn}" for line in changed[::2]]
            found.append("\n".join(changed))
    return found


def plain_form(line: str) -> str:
    """Normalise as section 3.1 says."""
    line = unicodedata.normalize("NFD", line.strip().lower())
    line = ACCENTS.sub("", line)
    return PUNCTUATION.sub("", DIGITS.sub("0", line))


def plain_hashes(text: str) -> list[bytes]:
    return [hashlib.sha1(plain_form(x).encode()).digest()[:8] for x in text.split("\n")]


def plain_dedup(texts: Sequence[str]) -> list[str]:
    seen: set[bytes] = set()
    left = []
    for text in texts:
        kept = []
        for line, key in zip(text.split("\n"), plain_hashes(text), strict=True):
            if not line.strip() or key not in seen:
                kept.append(line)
                seen.add(key)
        left.append("\n".join(kept))
    return left


def best(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the processor time of each way: the best of some rounds, taken in turns."""
    found = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.process_time()
            way()
            found[name] = min(found[name], time.process_time() - start)
    return found


def stage(folder: Path, paths: Sequence[str], dedup: dict[str, object]) -> build.Build:
    recipe = {"name": "lines", "seed": 1, "sources": {"s": {"documents": list(paths)}}}
    settings = {"max_loss": 1, **dedup}
    made = Recipe.model_validate({**recipe, "dedup": settings})
    return build.build(made, str(folder), LocalEngine(0), Silent())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("documents", nargs="+")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--datatrove", metavar="PYTHON")
    given = parser.parse_args()
    texts = read(given.documents, given.times)
    size = sum(len(text.encode()) for text in texts) / 1e6
    column = pa.array(texts, pa.large_string())

    def kernel() -> lines.Lines:
        return lines.find_lines(column, unit="line", normalization="ccnet")

    found = kernel()  # compiles, and builds the tables
    print(f"{len(texts):,} documents, {len(found):,} lines, {size:.1f} MB")
    seconds = best({"kernel": kernel, "plain": lambda: [plain_hashes(text) for text in texts]})
    ratio = seconds["plain"] / seconds["kernel"]
    rates = {name: size / spent for name, spent in seconds.items()}
    print(f"kernel {rates['kernel']:.0f} MB/s, plain {rates['plain']:.2f} MB/s: {ratio:.0f} times")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "in").mkdir()
        paths = [str(folder / "in" / f"{part}.jsonl") for part in range(4)]
        for part, path in enumerate(paths):
            with Path(path).open("w") as file:
                for number in range(part, len(texts), 4):
                    file.write(json.dumps({"id": str(number), "text": texts[number]}) + "\n")
        whole = {"lines": {"minimum_left": 0}}
        stage(folder / "warm", paths[:1], whole)
        step: list[float] = []
        for turn in range(ROUNDS):
            out = folder / str(turn)
            stage(out, paths, {})  # reads the documents and signs them
            start = time.process_time()
            stage(out, paths, {"threshold": 0.81})
            middle = time.process_time()
            made = stage(out, paths, {"threshold": 0.81, **whole})
            step.append(time.process_time() - middle - (middle - start))
        summary = made.stage("dedup").summary
        bare = best({"plain": lambda: plain_dedup(texts)})["plain"]
        print(
            f"step {size / min(step):.0f} MB/s, plain in memory {size / bare:.2f} MB/s: "
            f"{bare / min(step):.0f} times"
        )
        figures = summary["lines"]
        print(
            f"cut {figures['cut_lines']:,} lines of {figures['cut_documents']:,} documents, "
            f"{figures['cut_bytes'] / figures['text_bytes']:.1%} of the bytes of no duplicates; "
            f"{made.stage('dedup').counts().dropped}; {figures['short_keepers']} short keepers"
        )
        left = sum(len(text.encode()) for text in plain_dedup(texts)) / 1e6
        print(f"plain leaves {left / size:.1%} of all bytes")
        if given.datatrove:
            script = folder / "peer.py"
            script.write_text(DATATROVE)
            command = [given.datatrove, str(script), str(folder / "in"), str(folder / "dt")]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            spent = float(done.stdout.split("seconds")[1])
            rest = sum(
                len(json.loads(line)["text"].encode())
                for path in (folder / "dt/o").glob("*.jsonl")
                for line in path.read_text().split("\n")[:-1]
            )
            print(
                f"datatrove {size / spent:.2f} MB/s: {spent / min(step):.0f} times the step's time"
            )
            print(f"datatrove leaves {rest / size / 1e6:.1%} of all bytes")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:.0f} MB")


if __name__ == "__main__":
    main()

"""Masking personal data against tokenisation, and against datatrove's formatter, in one run.

`python benchmarks/pii.py TEXTS [DOCUMENTS] [PYTHON]` prints megabytes a second of processor time
and ratios. TEXTS is a JSONL file, plain or `.zst`, with `text` in each line. PYTHON is an
interpreter that has datatrove; without it that comparison is left out. The two do not find the
same: datatrove's has no phone numbers and no IPv6.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import zstandard

from corpus.text import pii, tokenizer

ROUNDS = 3
PEER = """
import json, sys, time
from datatrove.pipeline.formatters.pii import PIIFormatter
formatter = PIIFormatter()
texts = json.load(open(sys.argv[1], encoding="utf-8"))
best = float("inf")
for _ in range(3):
    start = time.process_time()
    for text in texts:
        formatter.format(text)
    best = min(best, time.process_time() - start)
print(best)
"""


def seconds(work: Callable[[], object]) -> float:
    work()
    best = np.inf
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return float(best)


def main() -> None:
    path, most = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    data = Path(path).read_bytes()
    if path.endswith(".zst"):
        data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
    texts = [json.loads(line)["text"] for line in data.splitlines()[:most]]
    column = pa.array(texts, pa.large_string())
    size = sum(len(text.encode()) for text in texts) / 1e6
    encoder = tokenizer.load("gpt2")
    encoding = seconds(lambda: encoder.encode(texts))
    print(f"{len(texts):,} documents, {size:.1f} MB")
    print(f"tokenize          {size / encoding:7.1f} MB/s")
    for kinds in (("email",), ("ip",), ("phone",), ("email", "ip"), pii.KINDS):
        taken = seconds(lambda kinds=kinds: pii.mask(column, kinds))  # type: ignore[misc]
        share = 100 * taken / encoding
        counts = pii.mask(column, kinds).counts
        print(f"{'+'.join(kinds):<17} {size / taken:7.1f} MB/s, {share:.1f} % of it; {counts}")
        if kinds == ("email", "ip") and len(sys.argv) > 3:
            with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
                json.dump(texts, file)
                file.flush()
                output = subprocess.check_output([sys.argv[3], "-c", PEER, file.name])
            theirs = float(output.split()[-1])
            print(
                f"  datatrove       {size / theirs:7.1f} MB/s, {theirs / taken:.1f} times the time"
            )


if __name__ == "__main__":
    main()

"""fastText classifiers against fastText itself, in turns within one run, on the same texts.

`python benchmarks/fasttext.py [PYTHON] [MODEL] [TEXTS] [DOCUMENTS]` prints documents a second of
processor time on one core, the ratio, and the largest difference of a probability. PYTHON is an
interpreter that has the package fasttext (this one by default). Without a MODEL one of DCLM's shape
is trained: 100 dimensions, pairs of words, 2,000,000 buckets (0.8 GB). TEXTS is a JSONL file,
plain or `.zst`, with `text` in each line; without it texts are made.
"""

from __future__ import annotations

import io
import json
import mmap
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import zstandard
from kernels import make_texts

from corpus.text import fasttext

ROUNDS = 3
TRAINER = """
import fasttext, sys
fasttext.train_supervised(input=sys.argv[1], dim=100, wordNgrams=2, bucket=2_000_000, epoch=1,
    thread=2, verbose=0).save_model(sys.argv[2])
"""
# Answers each line of its input with the seconds that all texts took and, at first, the numbers.
PREDICTOR = """
import json, sys, time, fasttext
model = fasttext.load_model(sys.argv[1])
texts = [text.replace("\\n", " ") for text in json.load(open(sys.argv[2], encoding="utf-8"))]
label = sys.argv[3]
for _ in sys.stdin:
    start = time.process_time()
    found = [model.predict(text, k=-1) for text in texts]
    seconds = time.process_time() - start
    values = [float(dict(zip(names, values)).get(label, 0)) for names, values in found]
    print(json.dumps([seconds, values]), flush=True)
"""


def read_texts(path: str, most: int) -> list[str]:
    data = Path(path).read_bytes()
    if path.endswith(".zst"):
        data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
    rows = [json.loads(line) for line in data.splitlines()[:most]]
    return [row["text"] for row in rows]


def trained(python: str, texts: list[str], folder: str) -> str:
    lines = [f"__label__{'hq' if i % 2 else 'cc'} {text}" for i, text in enumerate(texts)]
    source, model = Path(folder) / "train.txt", Path(folder) / "model.bin"
    source.write_text("\n".join(line.replace("\n", " ") for line in lines), encoding="utf-8")
    subprocess.run([python, "-c", TRAINER, str(source), str(model)], check=True)
    return str(model)


def main() -> None:
    given = dict(enumerate(sys.argv[1:]))
    python, most = given.get(0, sys.executable), int(given.get(3, 4000))
    made = given.get(2) is None
    texts = make_texts(most).to_pylist() if made else read_texts(given[2], most)
    with tempfile.TemporaryDirectory() as folder:
        path = given.get(1) or trained(python, texts, folder)
        passed = Path(folder) / "texts.json"
        passed.write_text(json.dumps(texts), encoding="utf-8")
        column = pa.array(texts, pa.large_string())
        with open(path, "rb") as file:
            data = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
        start = time.perf_counter()
        model = fasttext.parse(data, where=path)
        loading = time.perf_counter() - start
        label = model.labels[0]
        fasttext.scores(column[:1], model, label)
        command = [python, "-W", "ignore", "-c", PREDICTOR, path, str(passed), label]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as peer:
            assert peer.stdin is not None
            assert peer.stdout is not None
            best = [np.inf, np.inf]
            for _ in range(ROUNDS):
                start = time.process_time()
                ours = fasttext.scores(column, model, label)
                best[0] = min(best[0], time.process_time() - start)
                peer.stdin.write(b"\n")
                peer.stdin.flush()
                seconds, theirs = json.loads(peer.stdout.readline())
                best[1] = min(best[1], seconds)
            peer.stdin.close()
    given_by_both = np.array(theirs) > 0  # fastText leaves out labels below 0.00001
    difference = np.abs(ours - np.minimum(theirs, 1))[given_by_both]
    size = sum(len(text.encode()) for text in texts)
    print(
        f"{len(texts):,} documents, {size / 1e6:.1f} MB, {model.shape[0]:,} words, "
        f"{data.size / 1e6:,.0f} MB model, read in {loading:.2f} s\n"
        f"ours     {len(texts) / best[0]:>10,.0f} documents/s  {size / best[0] / 1e6:6.1f} MB/s\n"
        f"fastText {len(texts) / best[1]:>10,.0f} documents/s  {size / best[1] / 1e6:6.1f} MB/s\n"
        f"ratio {best[1] / best[0]:.2f}, largest difference {difference.max(initial=0):.1e}"
    )


if __name__ == "__main__":
    main()

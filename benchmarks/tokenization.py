"""Tokenising to shards against the bare encoders, and against datatrove, in one run in turns.

`python benchmarks/tokenization.py [--texts FILE ...] [--documents N] [--datatrove PYTHON]`

A part of documents (Parquet) with a verdict beside it is made into a shard: text read, one document
in ten left out and one in ten cut, `.bin`, `.idx` and the table of documents written and digested.
It is compared with encoding the same texts out of the same Arrow column and doing nothing with the
ids, by gigatoken (where it is installed) and by tiktoken; with datatrove's DocumentTokenizer over
a Parquet file of the same kept texts, its own files written. Loading vocabularies and libraries is
timed apart. FILE is JSONL, plain or `.zst`, with `text` in each line, or `.parquet`; without one
the texts are made here. PYTHON is an interpreter that has datatrove.

Printed are megabytes of text a second of processor time, and of wall time; ratios are medians over
the rounds.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from corpus.parts import Part
from corpus.stages.tokenize import TokenizeTask, tokenize_shard
from corpus.text import bpe_training, fast_tokenizer, tokenizer

GROUP = 1024  # documents that the bare encoders get at once, as the stage does
PEER = """
import json, sys, time
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.tokens import DocumentTokenizer
folder, vocabulary, out, most = sys.argv[1:]
reader = ParquetReader(folder, limit=int(most))
writer = DocumentTokenizer(
    out, vocabulary, eos_token="<|endoftext|>", shuffle_documents=False, save_final_metadata=False
)
writer.tokenizer
executor = LocalPipelineExecutor([reader, writer], logging_dir=out + "/logs", skip_completed=False)
start, wall = time.process_time(), time.perf_counter()
executor.run()
print(json.dumps([time.process_time() - start, time.perf_counter() - wall]))
"""


def read(path: str) -> Iterator[str]:
    if path.endswith(".parquet"):
        yield from pq.read_table(path, columns=["text"])["text"].to_pylist()
        return
    data = Path(path).read_bytes()
    if path.endswith(".zst"):
        data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
    for line in data.splitlines():
        text = json.loads(line).get("text")
        if text:
            yield text


def made(documents: int) -> Iterator[str]:
    """Yield documents of words whose frequencies fall as those of a language."""
    draw = random.Random(1)
    syllables = [a + b for a in "bcdfghklmnprstvw" for b in ("a", "e", "i", "o", "u", "en", "er")]
    words = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(30_000)]
    weights = [1 / (rank + 3) for rank in range(len(words))]
    for _ in range(documents):
        chosen = draw.choices(words, weights, k=draw.randint(50, 1200))
        yield ". ".join(
            " ".join(chosen[i : i + 12]).capitalize() for i in range(0, len(chosen), 12)
        )


def write(folder: Path, texts: list[str]) -> tuple[Part, list[str]]:
    """Write a part and its verdict; return it, and the texts that are left."""
    ids = [f"{number:032x}" for number in range(len(texts))]
    table = pa.table({"id": ids, "text": pa.array(texts, pa.large_string())})
    pq.write_table(
        table,
        folder / "part.parquet",
        compression="zstd",
        use_dictionary=False,
        row_group_size=1024,
    )
    kept = [number % 10 != 3 for number in range(len(texts))]
    cuts: list[Any] = [None] * len(texts)
    left = []
    for number, text in enumerate(texts):
        if number % 10 == 7 and len(text) > 400 and text[:400].isascii():
            cuts[number] = [{"start": 100, "end": 300}]
            text = text[:100] + "\n\n" + text[300:]
        if kept[number]:
            left.append(text)
    spans = pa.list_(pa.struct([("start", pa.int64()), ("end", pa.int64())]))
    verdict = pa.table({"id": ids, "kept": kept, "cuts": pa.array(cuts, spans)})
    pq.write_table(verdict, folder / "verdict.parquet", compression="zstd")
    paths = [str(folder / f"{name}.parquet") for name in ("part", "verdict")]
    size = (folder / "part.parquet").stat().st_size
    return Part("source", "part", paths[0], "0", len(texts), size, paths[1], "0"), left


def gigatoken_arrow(column: pa.ChunkedArray) -> Callable[[], object]:
    """Return what encodes an Arrow column by gigatoken, as fast as its interface lets one."""
    import awkward

    fast = fast_tokenizer._shared(tokenizer.load("gpt2"))
    batches = column.combine_chunks()
    groups = [batches.slice(first, GROUP) for first in range(0, len(batches), GROUP)]

    def encode() -> None:
        for group in groups:
            fast._encoder.encode_batch(awkward.from_arrow(group), parallel=False)

    return encode


def tiktoken_arrow(column: pa.ChunkedArray) -> Callable[[], object]:
    encoder = tokenizer.load("gpt2")
    batches = column.combine_chunks()

    def encode() -> None:
        for first in range(0, len(batches), GROUP):
            for text in batches.slice(first, GROUP).to_pylist():
                encoder._encoding.encode_to_numpy(text, disallowed_special=())

    return encode


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds of processor and of the wall; gigatoken's cache of words is empty."""
    if fast_tokenizer.installed():
        fast = fast_tokenizer._shared(tokenizer.load("gpt2"))
        fast._encoder, fast._encoded = fast._make(), 0
    start, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - start, time.perf_counter() - wall


def datatrove(python: str, folder: Path, texts: list[str], most: int) -> tuple[float, float]:
    out = tempfile.mkdtemp(dir=folder)
    arguments = [str(folder / "kept"), str(folder / "gpt2.json"), out, str(most)]
    printed = subprocess.run(
        [python, "-c", PEER, *arguments], check=True, capture_output=True, text=True
    ).stdout
    processor, wall = json.loads(printed.splitlines()[-1])
    return processor, wall


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--texts", nargs="*", default=[])
    arguments.add_argument("--documents", type=int, default=20_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--datatrove", default="")
    asked = arguments.parse_args()
    given = (text for path in asked.texts for text in read(path))
    texts = list(given if asked.texts else made(asked.documents))[: asked.documents]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        part, left = write(folder, texts)
        size = sum(len(text.encode()) for text in left) / 1e6
        print(f"{len(left):,} of {len(texts):,} documents, {size:.1f} MB to encode")
        column = pa.chunked_array([pa.array(left, pa.large_string())])

        def stage(fast: bool) -> None:
            out = tempfile.mkdtemp(dir=folder)
            settings = ("gpt2", 0.0, 1, (), fast, out)
            tokenize_shard(TokenizeTask("part", "source", "key", 1, part, *settings))

        works: dict[str, Callable[[], object]] = {}
        if fast_tokenizer.installed():
            works["stage, gigatoken"] = lambda: stage(True)
            works["gigatoken alone"] = gigatoken_arrow(column)
        works["stage, tiktoken"] = lambda: stage(False)
        works["tiktoken alone"] = tiktoken_arrow(column)
        if asked.datatrove:
            (folder / "kept").mkdir()
            ids = [str(number) for number in range(len(left))]
            pq.write_table(pa.table({"id": ids, "text": left}), folder / "kept" / "part.parquet")
            lines = tokenizer.load("gpt2").ranks_file().splitlines()
            json_file = bpe_training.tokenizer_json([b64decode(line.split()[0]) for line in lines])
            (folder / "gpt2.json").write_bytes(json_file)
            works["datatrove"] = lambda: datatrove(asked.datatrove, folder, left, -1)
        start = timed(lambda: [work() for name, work in works.items() if name != "datatrove"])
        print(f"first calls: {start[0]:.1f} s of processor time")
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
        for _ in range(asked.rounds):
            for name, work in works.items():
                if name == "datatrove":
                    found[name].append(datatrove(asked.datatrove, folder, left, -1))
                else:
                    found[name].append(timed(work))
        for name, times in found.items():
            processor, wall = (statistics.median(column) for column in zip(*times, strict=True))
            print(f"{name:<17} {size / processor:7.2f} MB/s of CPU {size / wall:7.2f} MB/s of wall")
        for first, second in (
            ("stage, gigatoken", "gigatoken alone"),
            ("stage, tiktoken", "tiktoken alone"),
            ("stage, gigatoken", "datatrove"),
            ("stage, tiktoken", "datatrove"),
        ):
            if first in found and second in found:
                ratios = [
                    [theirs[kind] / ours[kind] for kind in (0, 1)]
                    for ours, theirs in zip(found[first], found[second], strict=True)
                ]
                by_cpu, by_wall = (statistics.median(kind) for kind in zip(*ratios, strict=True))
                print(f"{first} : {second} = {by_cpu:.2f} of CPU, {by_wall:.2f} of wall")


if __name__ == "__main__":
    sys.exit(main())

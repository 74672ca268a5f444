"""The search for benchmark n-grams against a Python set of their strings, on the same text.

`python benchmarks/decontaminate.py [DOCUMENTS [GRAMS]]` prints megabytes of text per second on one
core for counting, for cutting and for the set, their ratio, and the memory of GRAMS grams.
DOCUMENTS is a JSONL file with `text`, or how many are made here: 500 words of a Zipf-like
vocabulary each. The benchmarks are 12,000 such texts of 80 words. Each way gets the processor time
of its best of three runs, taken in turns. What is found is compared: both find the same grams.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pyarrow as pa

from corpus.document import Document
from corpus.sources import documents
from corpus.text import contamination, cuts, normalization
from corpus.text.contamination import BenchmarkGrams, GramIndex

NGRAM, ITEMS, ITEM_WORDS, WORDS = 13, 12_000, 80, 500
ASKED = 100  # documents that the set is tried on: it is slow
MARKS = filter(normalization.is_punctuation, map(chr, range(sys.maxunicode + 1)))
PUNCTUATION = str.maketrans("", "", "".join(MARKS))


def make_texts(number: int, words: int, seed: int) -> list[str]:
    draw = np.random.Generator(np.random.Philox(seed))
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    lengths = np.random.Generator(np.random.Philox(1)).integers(2, 11, 20_000)
    spell = np.random.Generator(np.random.Philox(2))
    vocabulary = ["".join(spell.choice(letters, length)) for length in lengths]
    ranks = np.minimum(draw.zipf(1.3, (number, words)) - 1, len(vocabulary) - 1)
    marks = draw.choice(["", "", "", "", "", "", "", ",", "."], (number, words))
    rows = zip(ranks, marks, strict=True)
    return [" ".join(vocabulary[r] + m for r, m in zip(*row, strict=True)) for row in rows]


def read_texts(path: str) -> list[str]:
    read = documents.read(path, name="text", fields={}, max_document_bytes=10**8)
    return [row.text for row in read if isinstance(row, Document)]


def plain_grams(text: str) -> list[str]:
    words = text.lower().translate(PUNCTUATION).split()
    return [" ".join(words[at : at + NGRAM]) for at in range(len(words) - NGRAM + 1)]


def memory(grams: int) -> None:
    """Print the memory of an index, and how fast it is with so many grams."""
    draw = np.random.Generator(np.random.Philox(4))
    hashes = draw.integers(0, 2**64, grams, dtype=np.uint64)
    hashes.sort()
    index = contamination.make_index(hashes, size=NGRAM, words="plain")
    texts = pa.array(make_texts(2000, WORDS, 5), pa.large_string())
    contamination.find(texts, index)
    start = time.process_time()
    contamination.find(texts, index)
    size = texts.nbytes / 1e6 / (time.process_time() - start)
    each = sum(a.nbytes for a in (index.hashes, index.bits, index.buckets)) / len(index)
    print(f"{len(index):,} grams: {each:.1f} bytes each, and 4 for its benchmarks; {size:.0f} MB/s")


def main() -> None:
    chosen = sys.argv[1] if len(sys.argv) > 1 else "4000"
    texts = make_texts(int(chosen), WORDS, 3) if chosen.isdigit() else read_texts(chosen)
    items = make_texts(ITEMS, ITEM_WORDS, 7)
    for number in range(0, len(texts), 50):  # so that there is something to cut
        texts[number] += f" {items[number % ITEMS]} {texts[number]}"
    column, own = pa.array(texts, pa.large_string()), pa.array(items, pa.large_string())
    _, hashes = contamination.gram_hashes(own, size=NGRAM, words="plain")
    index: GramIndex = contamination.make_index(np.unique(hashes), size=NGRAM, words="plain")
    grams = BenchmarkGrams(
        index, ("made",), np.zeros(len(index), np.int32), np.array([0, 1]), np.array([0])
    )
    known = {gram for item in items for gram in plain_grams(item)}
    asked = texts[:ASKED]

    def count() -> object:
        hits = contamination.find(column, index)
        return contamination.count_documents(hits, len(index))

    hits = contamination.find(column, index)
    ignored = contamination.count_documents(hits, len(index)) > 10

    def cut() -> object:
        settings = {"window": 200, "minimum": 200, "maximum_pieces": 10}
        return cuts.cut_documents(column, hits, grams, ignored=ignored, **settings)

    def ask() -> int:
        return sum(gram in known for text in asked for gram in plain_grams(text))

    found = contamination.find(column.slice(0, ASKED), index)
    asked_hits = ask()
    if asked_hits != len(found):
        raise SystemExit(f"the set finds {asked_hits} grams, the kernel {len(found)}")
    sizes = {"counting": sum(map(len, texts)), "cutting": sum(map(len, texts)), "set": 0}
    sizes["set"] = sum(map(len, asked))
    best = dict.fromkeys(sizes, np.inf)
    count(), cut()
    for _ in range(3):
        for name, work in (("counting", count), ("cutting", cut), ("set", ask)):
            start = time.process_time()
            work()
            best[name] = min(best[name], time.process_time() - start)
    speed = {name: sizes[name] / 1e6 / best[name] for name in sizes}
    both = 1 / (1 / speed["counting"] + 1 / speed["cutting"])
    print(f"{len(index):,} grams; the set finds the same {len(found):,} in {ASKED} documents")
    for name in sizes:
        ratio = f", {speed[name] / speed['set']:.1f} times the set" if name != "set" else ""
        print(f"{name:<10} {speed[name]:>8,.1f} MB/s{ratio}")
    print(f"both passes {both:>7,.1f} MB/s, {both / speed['set']:.1f} times the set")
    memory(int(sys.argv[2]) if len(sys.argv) > 2 else 10_000_000)


if __name__ == "__main__":
    main()

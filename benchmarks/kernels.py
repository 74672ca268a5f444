"""Kernels against the libraries that are their references, in one run on the same texts.

`python benchmarks/kernels.py [DOCUMENTS]` prints documents per second on one core and the ratio.
The texts are made here: words of a Zipf-like vocabulary, 500 a document. First calls, which compile
or load the kernels, are timed apart.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import datasketch
import mmh3
import numpy as np
import pyarrow as pa
from sklearn.feature_extraction.text import HashingVectorizer

from corpus.text import minhash, normalization, quality

PERMUTATIONS, SHINGLE, WORDS = 112, 5, 500


def make_texts(documents: int) -> pa.LargeStringArray:
    """Return documents of random words."""
    draw = np.random.Generator(np.random.Philox(2020))
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    vocabulary = ["".join(draw.choice(letters, draw.integers(2, 11))) for _ in range(20_000)]
    words = np.minimum(draw.zipf(1.3, (documents, WORDS)) - 1, len(vocabulary) - 1)
    rows = [" ".join(vocabulary[w] for w in row) for row in words]
    return pa.array(rows, pa.large_string())


def seconds(work: Callable[[], object]) -> float:
    """Return the processor time of the best of three runs."""
    best = np.inf
    for _ in range(3):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return float(best)


def hash_shingle(data: bytes) -> int:
    return mmh3.hash(data, signed=False)


def datasketch_signatures(texts: pa.LargeStringArray) -> None:
    for text in texts.to_pylist():
        words = normalization.words(text, kind="word")
        sketch = datasketch.MinHash(num_perm=PERMUTATIONS, hashfunc=hash_shingle)
        spans = range(len(words) - SHINGLE + 1)
        sketch.update_batch([" ".join(words[i : i + SHINGLE]).encode() for i in spans])


def report(name: str, ours: float, theirs: float, reference: str, documents: int) -> None:
    print(
        f"{name:<12} {documents / ours:>10,.0f} documents/s, {theirs / ours:.1f} times {reference} "
        f"({documents / theirs:,.0f})"
    )


def main() -> None:
    documents = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    texts = make_texts(documents)
    features = quality.Features(2**18, 1, "l2")
    weights = np.random.Generator(np.random.Philox(1)).normal(size=features.count)
    model = quality.LinearModel(features, weights, 0.0)
    vectorizer = HashingVectorizer(
        tokenizer=str.split, token_pattern=None, alternate_sign=False, n_features=features.count
    )

    def sign() -> object:
        return minhash.signatures(
            texts, permutations=PERMUTATIONS, shingle=SHINGLE, words="word", seed=1
        )

    start = time.perf_counter()
    sign()
    quality.scores(texts, model)
    print(f"first calls: {time.perf_counter() - start:.1f} s")
    report(
        "signatures",
        seconds(sign),
        seconds(lambda: datasketch_signatures(texts)),
        "datasketch",
        documents,
    )
    report(
        "scores",
        seconds(lambda: quality.scores(texts, model)),
        seconds(lambda: vectorizer.transform(texts.to_pylist()) @ weights),
        "scikit-learn",
        documents,
    )


if __name__ == "__main__":
    main()

"""The scorer against scikit-learn's pipeline, in turns on the same texts and the same core.

`python benchmarks/quality.py [FOLDER | FILE ...]`: Parquet files of documents (column `text`), or
folders of them, such as `extract-*/crawl` of a build; without any, texts that are made here. Both
score the same documents with the same weights: `HashingVectorizer` and a product, which is what
`LogisticRegression.predict_proba` does, against `corpus.text.quality.scores`. Time is the
process's, the best of three runs of each. The largest difference of two probabilities comes last.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sklearn.feature_extraction.text import HashingVectorizer

from corpus.text import quality

WORDS = 500  # a document, in the standardised rate
ALPHABETS = (
    "etaoinshrdlucmfwypvbgkjqxz",
    "äöüßetanirsdhulcgmo",
    "оеаинтсрвлкмдпуя",
    "的一是不了人我在有他",
)


def make_texts(documents: int) -> pa.LargeStringArray:
    """Return documents of random words, eight of ten in the first alphabet, some in capitals."""
    draw = np.random.Generator(np.random.Philox(2020))
    rows = []
    vocabularies = []
    for letters in ALPHABETS:
        sizes = draw.integers(2, 11, 20_000)
        vocabularies.append(["".join(draw.choice(list(letters), size)) for size in sizes])
    for row in range(documents):
        vocabulary = vocabularies[max(row % 10 - 6, 0)]
        words = np.minimum(draw.zipf(1.3, WORDS) - 1, len(vocabulary) - 1)
        chosen = [vocabulary[w] for w in words]
        chosen[::12] = [word.capitalize() for word in chosen[::12]]
        rows.append(" ".join(chosen))
    return pa.array(rows, pa.large_string())


def read_texts(paths: list[str]) -> pa.LargeStringArray:
    files = [
        f for p in map(Path, paths) for f in ([p] if p.is_file() else p.rglob("part-*.parquet"))
    ]
    return pa.concat_arrays(
        [pq.read_table(f, columns=["text"])["text"].combine_chunks() for f in sorted(files)]
    )


def timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def compare(texts: pa.LargeStringArray, words: int, ngrams: int, norm: str) -> None:
    features = quality.Features(2**18, ngrams, norm)
    weights = np.random.Generator(np.random.Philox(1)).normal(size=features.count)
    model = quality.LinearModel(features, weights, 0.0)
    vectorizer = HashingVectorizer(
        tokenizer=str.split,
        token_pattern=None,
        alternate_sign=False,
        n_features=features.count,
        ngram_range=(1, ngrams),
        norm=None if norm == "none" else norm,
    )

    def reference() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return 1 / (1 + np.exp(-(vectorizer.transform(texts.to_pylist()) @ weights)))

    difference = np.abs(quality.scores(texts, model) - reference()).max()
    ours, theirs = [], []
    for _ in range(3):
        ours.append(timed(lambda: quality.scores(texts, model)))
        theirs.append(timed(reference))
    best, reference_best = min(ours), min(theirs)
    print(
        f"{ngrams}-grams, norm {norm:<5} {len(texts) / best:>9,.0f} documents/s, "
        f"{words / best / WORDS:>9,.0f} of {WORDS} words/s, "
        f"{texts.nbytes / best / 1e6:>4,.0f} MB/s; "
        f"{reference_best / best:>5.1f} times scikit-learn ({len(texts) / reference_best:,.0f}); "
        f"largest difference {difference:.0e}"
    )


def main() -> None:
    texts = read_texts(sys.argv[1:]) if len(sys.argv) > 1 else make_texts(2000)
    words = sum(len(text.split()) for text in texts.to_pylist())
    ascii_share = np.mean([text.isascii() for text in texts.to_pylist()])
    print(
        f"{len(texts):,} documents, {words:,} words, "
        f"{pc.sum(pc.binary_length(texts)).as_py() / 1e6:.1f} MB, {ascii_share:.0%} all ASCII"
    )
    quality.scores(texts, quality.LinearModel(quality.Features(8, 2, "l2"), np.zeros(8), 0.0))
    for ngrams in (1, 2):
        for norm in quality.NORMS:
            compare(texts, words, ngrams, norm)


if __name__ == "__main__":
    main()

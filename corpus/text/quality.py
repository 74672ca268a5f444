"""The quality score of Appendix A of the GPT-3 paper, and the draw that keeps a document by it.

Features are those of Spark's Tokenizer and HashingTF, "Spark's standard tokenizer and HashingTF":
the text in lower case, split on white space, each word (and, on demand, each pair of words) counted
in the bucket of its MurmurHash3. A logistic regression turns them into the probability that the
document is of the reference class. Arrow columns of text go in, arrays come out.

The hash and the sign convention are scikit-learn's (seed 0, absolute value, modulo), so that
`scores` equals `HashingVectorizer` + `LogisticRegression.predict_proba` without building a matrix.
Lower case and white space are those of this Python's `str.lower` and `str.split`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from corpus.text import hashed_words, lower_case

_MAXIMUM_BUCKETS = 1 << 26  # weights and counts, 14 bytes a bucket at most: 896 MiB
_LARGEST_COUNT = (1 << 16) - 1
NORMS = ("l2", "none")


@dataclass(frozen=True, slots=True)
class Features:
    """How a text becomes a vector.

    Attributes:
        count: Number of buckets (HashingTF's numFeatures).
        ngrams: 1 for words, 2 for words and pairs of adjacent words.
        norm: "l2" (every vector has length 1, so a long text scores like a short one) or "none"
            (plain counts, as HashingTF gives them).

    Raises:
        ValueError: A value outside what is said above.
    """

    count: int
    ngrams: int
    norm: str

    def __post_init__(self) -> None:
        if not 1 <= self.count <= _MAXIMUM_BUCKETS:
            raise ValueError(f"count is {self.count}, it must be from 1 to {_MAXIMUM_BUCKETS}")
        if self.ngrams not in (1, 2):
            raise ValueError(f"ngrams is {self.ngrams}, it must be 1 or 2")
        if self.norm not in NORMS:
            raise ValueError(f"norm is {self.norm!r}, it must be one of {', '.join(NORMS)}")


@dataclass(frozen=True, slots=True, eq=False)
class LinearModel:
    """A logistic regression over hashed word counts.

    Attributes:
        features: How a text becomes a vector.
        weights: float64, one a bucket.
        intercept: The log-odds of a text without words.

    Raises:
        ValueError: The weights are not as many as the features, or not finite.
    """

    features: Features
    weights: NDArray[np.float64]
    intercept: float

    def __post_init__(self) -> None:
        if self.weights.dtype != np.float64 or self.weights.shape != (self.features.count,):
            raise ValueError(
                f"the weights are {self.weights.dtype} {self.weights.shape}, "
                f"they must be float64 ({self.features.count},)"
            )
        if not (np.isfinite(self.weights).all() and math.isfinite(self.intercept)):
            raise ValueError("a weight is not a finite number")


def scores(texts: pa.Array, model: LinearModel) -> NDArray[np.float64]:
    """Return the probability that each text is of the reference class.

    Args:
        texts: StringArray or LargeStringArray of n texts, without nulls.
        model: The classifier.

    Returns:
        (n,) probabilities, equal to scikit-learn's to rounding.

    Raises:
        ValueError: There is a null among the texts.
    """
    result, has_sigma = _score(*_buffers(texts), model)
    rows = np.flatnonzero(has_sigma)
    if rows.size:
        # Whether a sigma is final is for str.lower to say; the rest of the way is the same, since
        # lower case stays what it is. Bytes that are not UTF-8 are carried along untouched.
        lowered = [
            text.decode("utf-8", "surrogateescape").lower().encode("utf-8", "surrogateescape")
            for text in texts.take(pa.array(rows)).cast(pa.large_binary()).to_pylist()
        ]
        again, left = _score(*_buffers(pa.array(lowered, pa.large_binary())), model)
        assert not left.any()
        result[rows] = again
    return result


def draws(ids: pa.Array, *, seed: int, purpose: str = "") -> NDArray[np.float64]:
    """Return a number from [0, 1) for each id: a function of the seed and the id alone.

    The upper 53 bits of XXH3-64 of `"{seed}:{id}"`, so neither order, sharding nor the other ids
    of the batch have a say. Draws for another purpose, which is written before the seed, are
    independent of these.

    Raises:
        ValueError: There is a null among the ids.
    """
    _refuse_nulls(ids)
    prefix = f"{purpose}{seed}:"
    hashes = [xxhash.xxh3_64_intdigest((prefix + value).encode()) for value in ids.to_pylist()]
    return (np.array(hashes, np.uint64) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def keep_probability(scores: NDArray[np.float64], *, alpha: float) -> NDArray[np.float64]:
    """Return the probability `(2 - score) ** -alpha` with which a document is kept.

    The paper keeps a document when `np.random.pareto(alpha) > 1 - document_score` (Appendix A).
    What NumPy draws from is the Lomax distribution, P(X > x) = (1 + x) ** -alpha: hence the form.

    Raises:
        ValueError: alpha is not positive, or a score is not from 0 to 1.
    """
    if not (math.isfinite(alpha) and alpha > 0):
        raise ValueError(f"alpha is {alpha}, it must be a positive number")
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError("a score is not from 0 to 1")
    return cast(NDArray[np.float64], np.power(2.0 - scores, -alpha))


def keep(
    scores: NDArray[np.float64], draws: NDArray[np.float64], *, alpha: float
) -> NDArray[np.bool_]:
    """Say which documents are kept; what is kept at one alpha is kept at every lower one.

    Args:
        scores: (n,) probabilities from `scores`.
        draws: (n,) numbers from `draws`.
        alpha: Shape of the Pareto distribution; 9 in the paper.
    """
    return draws < keep_probability(scores, alpha=alpha)


def _refuse_nulls(column: pa.Array) -> None:
    if column.null_count:
        raise ValueError(f"{column.null_count} of {len(column)} values are null")


def _buffers(texts: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the column's bytes, not copied, and the n + 1 offsets of its texts in them."""
    _refuse_nulls(texts)
    large = pa.types.is_large_string(texts.type) or pa.types.is_large_binary(texts.type)
    if not (large or pa.types.is_string(texts.type)):
        raise TypeError(f"the texts are {texts.type}, they must be string or large_string")
    if len(texts) == 0:
        data, offsets = np.empty(0, np.uint8), np.zeros(1, np.int64)
    else:
        _, offset_buffer, data_buffer = texts.buffers()
        every = np.frombuffer(offset_buffer, np.int64 if large else np.int32)
        offsets = every[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
        size = data_buffer.size if data_buffer is not None else 0
        data = np.frombuffer(data_buffer, np.uint8) if size else np.empty(0, np.uint8)
    data.flags.writeable = False  # one type for the compiler, whoever made the buffer
    return data, offsets


def _score(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], model: LinearModel
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    return cast(
        tuple[NDArray[np.float64], NDArray[np.bool_]],
        hashed_words.probabilities(
            data,
            offsets,
            lower_case.lower_table(),
            np.ascontiguousarray(model.weights),
            float(model.intercept),
            model.features.ngrams == 2,
            model.features.norm == "l2",
            _LARGEST_COUNT,
        ),
    )

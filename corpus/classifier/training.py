"""Fit the quality classifier of Appendix A of the GPT-3 paper.

Batches of reference text and of raw crawl text go in, a `LinearModel` whose scores
`corpus.text.quality` computes comes out. Of each document only its sparse row of counts is kept: 12
bytes a distinct word. The paper gives neither the size nor the balance of the classes, the
regularisation or the dimension: both classes count the same, the rest is an argument. scikit-learn
is imported where it is used.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from corpus.classifier import measuring
from corpus.classifier.metrics import Metrics
from corpus.errors import InputError, StageError
from corpus.text import quality
from corpus.text.quality import Features, LinearModel

MAXIMUM_ITERATIONS = 1000  # of L-BFGS; 20 to 200 are usual, so that this is a sign of a bad fit
BALANCES = ("classes", "sources")


@dataclass
class TrainingRows:
    """The training documents as sparse rows, added batch by batch.

    Args:
        features: How a text becomes a vector.
        truncate_characters: Only so much of the beginning of a document is trained on, or None for
            all of it. Held-out documents are scored whole, as the filter scores them.
        pieces: Most pieces of that many characters to take of a document, spread over it evenly.
    """

    features: Features
    truncate_characters: int | None
    pieces: int = 1
    documents: int = 0
    _matrices: list[Any] = field(default_factory=list)
    _labels: list[NDArray[np.bool_]] = field(default_factory=list)
    _sources: list[NDArray[np.object_]] = field(default_factory=list)
    _draws: list[NDArray[np.float64]] = field(default_factory=list)

    def add(
        self, texts: pa.Array, *, positive: bool, source: str, draws: NDArray[np.float64]
    ) -> None:
        """Add a batch of n documents of one source; `draws` (n,) order them for `fit`."""
        if not len(texts):
            return
        pieces, documents = self._pieces(texts)
        self._matrices.append(self._vectorizer().transform(pieces))
        self._labels.append(np.full(len(pieces), positive))
        self._sources.append(np.full(len(pieces), source, np.object_))
        self._draws.append(draws[documents])
        self.documents += len(texts)

    def bytes(self) -> int:
        """Return the memory that the rows take."""
        return sum(m.data.nbytes + m.indices.nbytes + m.indptr.nbytes for m in self._matrices)

    def fit(
        self, *, inverse_regularisation: float, balance: str, shares: Sequence[float] = ()
    ) -> list[tuple[float, int, LinearModel]]:
        """Fit a model to all rows, and one to each share of them, the smallest draws.

        Returns:
            For each share in rising order, and 1 as the last: the share, the rows, the model.

        Raises:
            StageError: The optimiser does not converge.
        """
        import scipy.sparse

        matrix = scipy.sparse.vstack(self._matrices, format="csr")
        self._matrices.clear()
        labels, sources = np.concatenate(self._labels), np.concatenate(self._sources)
        draws = np.concatenate(self._draws)
        found = []
        for share in (*sorted(set(shares) - {1.0}), 1.0):
            # Of each class as much, so that a small share is not without one.
            chosen = np.zeros(labels.size, np.bool_)
            for label in (True, False):
                ours = draws[labels == label]
                chosen |= (labels == label) & (draws <= np.quantile(ours, share))
            rows = matrix if share == 1 else matrix[chosen]
            weights = sample_weights(labels[chosen], sources[chosen], balance)
            model = self._regress(rows, labels[chosen], weights, inverse_regularisation)
            found.append((share, int(chosen.sum()), model))
        return found

    def _vectorizer(self) -> Any:
        from sklearn.feature_extraction.text import HashingVectorizer

        return HashingVectorizer(
            tokenizer=str.split,
            token_pattern=None,
            lowercase=True,
            ngram_range=(1, self.features.ngrams),
            n_features=self.features.count,
            alternate_sign=False,
            norm=None if self.features.norm == "none" else self.features.norm,
            dtype=np.float64,
        )

    def _pieces(self, texts: pa.Array) -> tuple[list[str], NDArray[np.int64]]:
        """Return the texts to train on, and which document each is of."""
        size = self.truncate_characters
        if size is None:
            return texts.to_pylist(), np.arange(len(texts))
        if self.pieces == 1:
            return pc.utf8_slice_codeunits(texts, 0, size).to_pylist(), np.arange(len(texts))
        found, documents = [], []
        for number, text in enumerate(texts.to_pylist()):
            pieces = min(self.pieces, max(len(text) // size, 1))
            step = (len(text) - size) // (pieces - 1) if pieces > 1 else 0
            found += [text[i * step : i * step + size] for i in range(pieces)]
            documents += [number] * pieces
        return found, np.array(documents, np.int64)

    def _regress(
        self,
        matrix: Any,
        labels: NDArray[np.bool_],
        weights: NDArray[np.float64],
        inverse_regularisation: float,
    ) -> LinearModel:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        regression = LogisticRegression(
            C=inverse_regularisation, solver="lbfgs", max_iter=MAXIMUM_ITERATIONS
        )
        # With more threads sums are made in another order, and the last bits of the weights differ.
        with warnings.catch_warnings(), threadpool_limits(limits=1):
            warnings.simplefilter("error", ConvergenceWarning)
            try:
                regression.fit(matrix, labels, sample_weight=weights)
            except ConvergenceWarning as error:
                raise StageError(
                    f"the classifier did not converge within {MAXIMUM_ITERATIONS} iterations",
                    where="filter.classifier",
                    why=str(error).splitlines()[0],
                    fix='Lower the inverse regularisation, or use norm "l2"',
                ) from error
        # The solver's last digits differ between processors; those that are kept hardly ever do.
        stored = np.round(regression.coef_[0], 6).astype(np.float32).astype(np.float64)
        return LinearModel(self.features, stored, round(float(regression.intercept_[0]), 6))


def sample_weights(
    labels: NDArray[np.bool_], sources: NDArray[np.object_], balance: str
) -> NDArray[np.float64]:
    """Return the weight of each row: both classes the same, and with "sources" their sources too.

    The mean is 1, as with scikit-learn's `class_weight="balanced"`.

    Raises:
        ValueError: There is no such balance.
    """
    if balance not in BALANCES:
        raise ValueError(f"balance is {balance!r}, it must be one of {', '.join(BALANCES)}")
    weights = np.ones(labels.size)
    for label in (True, False):
        ours = labels == label
        if balance == "sources":
            names, inverse, counts = np.unique(
                sources[ours].astype(str), return_inverse=True, return_counts=True
            )
            weights[ours] = labels.size / (2 * len(names) * counts[inverse])
        else:
            weights[ours] = labels.size / (2 * ours.sum())
    return weights


def held_out_rows(keys: pa.Array, *, seed: int, share: float) -> NDArray[np.bool_]:
    """Say which documents are held out of training, by their texts or other keys.

    The same key always is, or never, so that a repeated text is never on both sides.
    """
    return quality.draws(keys, seed=seed) < share


def require_both_sides(positive: bool, trained: int, held_out: int) -> None:
    """Raise unless documents of a class are there to train on and to evaluate.

    Raises:
        InputError: On one side or on both there are none.
    """
    if trained and held_out:
        return
    kind = "positive (reference)" if positive else "negative (crawl)"
    if trained + held_out == 0:
        what, why = f"there are no {kind} documents to train the classifier on", None
    else:
        what = f"there are too few {kind} documents to train the classifier on"
        why = f"{trained} are left for training and {held_out} for evaluation"
    fix = "Name sources with more documents, or a folder with a trained classifier"
    raise InputError(what, where="filter.classifier", why=why, fix=fix)


def fit(
    positives: Iterable[pa.Array],
    negatives: Iterable[pa.Array],
    *,
    features: Features,
    seed: int,
    inverse_regularisation: float,
    truncate_characters: int | None,
    held_out: float,
) -> tuple[LinearModel, Metrics]:
    """Fit and evaluate a classifier on columns that fit into memory.

    The same documents in the same order give the same weights, whatever the number of processors.

    Args:
        positives: Columns of reference documents (WebText, Wikipedia, books in the paper).
        negatives: Columns of unfiltered crawl documents.
        features: How a text becomes a vector.
        seed: Of the choice of what is held out, which is by text.
        inverse_regularisation: C of scikit-learn: the weight of the data against the L2 penalty.
        truncate_characters: As in `TrainingRows`.
        held_out: Share of the documents that is not trained on but evaluated.

    Returns:
        The model and what it does to the documents held out.

    Raises:
        InputError: A class is empty, or too small for both sides of the split.
        StageError: The optimiser does not converge.
        ValueError: A setting that makes no sense, or a null among the texts.
    """
    if not 0 < held_out < 1:
        raise ValueError(f"held_out is {held_out}, it must lie between 0 and 1")
    rows = TrainingRows(features, truncate_characters)
    unseen: list[pa.Array] = []
    labels: list[NDArray[np.bool_]] = []
    for positive, columns in ((True, positives), (False, negatives)):
        before, left = rows.documents, 0
        for column in columns:
            aside = held_out_rows(column, seed=seed, share=held_out)
            train = column.filter(pa.array(~aside))
            rows.add(train, positive=positive, source="", draws=np.zeros(len(train)))
            unseen.append(column.filter(pa.array(aside)).cast(pa.large_string()))
            labels.append(np.full(len(unseen[-1]), positive))
            left += len(unseen[-1])
        require_both_sides(positive, rows.documents - before, left)
    model = rows.fit(inverse_regularisation=inverse_regularisation, balance="classes")[-1][2]
    metrics = measuring.evaluate(
        model, pa.concat_arrays(unseen), np.concatenate(labels), trained_on=rows.documents
    )
    return model, metrics
